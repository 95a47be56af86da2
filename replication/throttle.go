package replication

import (
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/millracedb/millrace/replication/metadata"
)

// Catching up is throttled, on either side, for replicas that are not in sync (Kafka documentation, "Limiting Bandwidth Usage during Data Migration"): what acknowledgements wait for never is.

// Settings of topics that name the replicas whose catching up is throttled, at the node that leads and at the one that copies. A topic without has all of them throttled.
const (
	SettingThrottledAtLeader   = "leader.replication.throttled.replicas"
	SettingThrottledAtFollower = "follower.replication.throttled.replicas"
)

// ThrottledReplicas is a list of replicas as these settings have it: "*", or partition:node with commas between.
type ThrottledReplicas string

// Valid reports whether the list can be read.
func (l ThrottledReplicas) Valid() bool {
	if l == "" || l == "*" {
		return true
	}
	for word := range strings.SplitSeq(string(l), ",") {
		partition, node, ok := strings.Cut(strings.TrimSpace(word), ":")
		if _, err := strconv.ParseUint(partition, 10, 31); err != nil || !ok {
			return false
		}
		if _, err := strconv.ParseUint(node, 10, 31); err != nil {
			return false
		}
	}
	return true
}

// Has reports whether a replica is in the list.
func (l ThrottledReplicas) Has(partition, node int32) bool {
	if l == "" || l == "*" {
		return true
	}
	for word := range strings.SplitSeq(string(l), ",") {
		if p, n, _ := strings.Cut(strings.TrimSpace(word), ":"); p == strconv.Itoa(int(partition)) && n == strconv.Itoa(int(node)) {
			return true
		}
	}
	return false
}

// throttle holds a flow to so many bytes a second. A second's worth may pass at once.
type throttle struct {
	mu struct {
		sync.Mutex
		rate   int64 // bytes a second; negative: no limit
		tokens float64
		at     time.Time // when tokens were counted
	}
}

func (t *throttle) setRate(rate int64, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if rate != t.mu.rate {
		t.mu.rate, t.mu.tokens, t.mu.at = rate, float64(rate), now
	}
}

// active reports whether there is a limit.
func (t *throttle) active() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mu.rate >= 0
}

// left is how many bytes may pass now.
func (t *throttle) left(now time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.rate < 0 {
		return math.MaxInt
	}
	t.mu.tokens = min(t.mu.tokens+now.Sub(t.mu.at).Seconds()*float64(t.mu.rate), float64(t.mu.rate))
	t.mu.at = now
	return max(int(t.mu.tokens), 0)
}

// took says that bytes have passed, which may be more than were left: a batch is not cut.
func (t *throttle) took(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.mu.rate >= 0 {
		t.mu.tokens -= float64(n)
	}
}

// setThrottles takes the rates over from the metadata.
func (m *Manager) setThrottles(img *metadata.Image) {
	now := m.opts.Clock.Now()
	m.outbound.setRate(img.ThrottledRate(metadata.ThrottleLeader, m.opts.NodeID), now)
	m.inbound.setRate(img.ThrottledRate(metadata.ThrottleFollower, m.opts.NodeID), now)
}

// throttled reports whether the catching up of a partition is throttled here, by the list of the given setting.
func (m *Manager) throttled(t *throttle, topic metadata.UUID, id int32, setting string) bool {
	if !t.active() {
		return false
	}
	img, _ := m.opts.Metadata.Watch() // not Manager.Watch: fetchers run before this node has acted on any image
	of, ok := img.TopicByID(topic)
	return ok && ThrottledReplicas(of.Configs[setting]).Has(id, m.opts.NodeID)
}
