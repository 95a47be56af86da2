package kafka

import (
	"context"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
)

// Limits that quotas set, as Kafka names them (KIP-13, KIP-124, KIP-546).
const (
	quotaProduce = "producer_byte_rate" // bytes of Produce requests a second
	quotaConsume = "consumer_byte_rate" // bytes of Fetch responses a second
	quotaRequest = "request_percentage" // of one core's time
)

// QuotaEntity is whom a quota is about: a user, a client id, or both. The empty word is whoever has no quota of its own; nil is anybody.
type QuotaEntity struct{ User, ClientID *string }

// Quota is one limit of an entity.
type Quota struct {
	Entity QuotaEntity
	Name   string
	Value  float64
}

// Quotas is where quotas are kept.
type Quotas interface {
	// Table is what is set, nil if nothing is. It is asked for with each request.
	Table() *QuotaTable
	// Change sets and removes limits, all or none.
	Change(ctx context.Context, set, remove []Quota) error
}

// QuotaTable is all quotas at a moment. It is immutable.
type QuotaTable struct {
	all    []Quota
	limits map[string]float64
}

// NewQuotaTable makes a table; nil for no quotas. It keeps all.
func NewQuotaTable(all []Quota) *QuotaTable {
	if len(all) == 0 {
		return nil
	}
	t := &QuotaTable{all: all, limits: make(map[string]float64, len(all))}
	for _, q := range all {
		t.limits[q.Name+"\x00"+q.Entity.key()] = q.Value
	}
	return t
}

// key is the entity as a text.
func (e QuotaEntity) key() string {
	part := func(s *string) string {
		switch {
		case s == nil:
			return "-"
		case *s == "":
			return "*"
		}
		return "=" + *s
	}
	return part(e.User) + "\x00" + part(e.ClientID)
}

// find looks for the limit that holds for a client, the most particular one first (Kafka documentation, "Quota Configuration"), and returns whose it is: all clients that share
// it count together.
func (t *QuotaTable) find(name, user, clientID string) (limit float64, shared string, ok bool) {
	whoever := ""
	for _, try := range []struct{ set, shared QuotaEntity }{
		{QuotaEntity{&user, &clientID}, QuotaEntity{&user, &clientID}},
		{QuotaEntity{&user, &whoever}, QuotaEntity{&user, &clientID}},
		{QuotaEntity{&user, nil}, QuotaEntity{&user, nil}},
		{QuotaEntity{&whoever, &clientID}, QuotaEntity{&user, &clientID}},
		{QuotaEntity{&whoever, &whoever}, QuotaEntity{&user, &clientID}},
		{QuotaEntity{&whoever, nil}, QuotaEntity{&user, nil}},
		{QuotaEntity{nil, &clientID}, QuotaEntity{nil, &clientID}},
		{QuotaEntity{nil, &whoever}, QuotaEntity{nil, &clientID}},
	} {
		if limit, ok := t.limits[name+"\x00"+try.set.key()]; ok {
			return limit, name + "\x00" + try.shared.key(), true
		}
	}
	return 0, "", false
}

// anonymous is who has not said who it is, as Kafka calls it.
const anonymous = "ANONYMOUS"

const (
	// quotaBurst is how much of its rate a client may use at once when it has used nothing for that long.
	quotaBurst = time.Second
	// maxThrottle bounds how long a connection is not read from. What is owed beyond it is forgiven.
	maxThrottle = 30 * time.Second
	// maxUsages bounds the entities whose use is known. Beyond it those that owe nothing are forgotten.
	maxUsages = 10_000
)

// usages is what entities have used of their quotas on this node.
type usages struct {
	mu struct {
		sync.Mutex
		of map[string]*usage
	}
}

// usage is what an entity has left, in units of its limit.
type usage struct {
	left float64
	at   time.Time
}

// charge takes n units from an entity with a limit of so many a second, and returns how long it must pause.
func (u *usages) charge(shared string, limit, n float64, now time.Time) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.mu.of == nil {
		u.mu.of = map[string]*usage{}
	}
	most := limit * quotaBurst.Seconds()
	x, ok := u.mu.of[shared]
	if !ok {
		u.forgetLocked(now)
		x = &usage{left: most, at: now}
		u.mu.of[shared] = x
	}
	x.left = min(most, x.left+limit*max(now.Sub(x.at), 0).Seconds())
	x.at = now
	x.left = max(x.left-n, -limit*maxThrottle.Seconds())
	if x.left >= 0 {
		return 0
	}
	return min(time.Duration(-x.left/limit*float64(time.Second)), maxThrottle)
}

// forgetLocked makes room for one more entity. Who has not been heard of for the longest pause owes nothing.
func (u *usages) forgetLocked(now time.Time) {
	if len(u.mu.of) < maxUsages {
		return
	}
	for k, x := range u.mu.of {
		if now.Sub(x.at) > maxThrottle {
			delete(u.mu.of, k)
		}
	}
	if len(u.mu.of) >= maxUsages { // as many clients at a time as nobody has: they begin anew
		clear(u.mu.of)
	}
}

// charge counts what the client has used towards a quota. It returns how long the client must pause.
func (c *conn) charge(name string, n float64) time.Duration {
	table := c.server.config.Quotas.Table()
	if table == nil {
		return 0
	}
	user := c.user
	if user == "" {
		user = anonymous
	}
	limit, shared, ok := table.find(name, user, c.clientID)
	if !ok {
		return 0
	}
	return c.server.usages.charge(shared, limit, n, c.server.config.Clock.Now())
}

// limited starts a request and counts it. The answer goes out at once and tells of the pause, which the connection keeps before it reads the next request (KIP-219). The time that counts is
// what the request took of this node until its answer was waited for, without what it waited itself.
func (c *conn) limited(a api, req kmsg.Request, size int) func() response {
	begin := c.server.config.Clock.Now()
	c.waited = 0
	finish := a.start(c, c.ctx, req) // which counts what a Fetch has found
	if c.locked() {
		return finish
	}
	busy := c.server.config.Clock.Now().Sub(begin) - c.waited
	c.pause = max(c.pause, c.charge(quotaRequest, 100*max(busy, 0).Seconds()))
	if _, ok := req.(*kmsg.ProduceRequest); ok {
		c.pause = max(c.pause, c.charge(quotaProduce, float64(size)))
	}
	pause := c.pause
	if pause == 0 || finish == nil {
		return finish
	}
	return func() response {
		resp := finish()
		tellPause(resp, pause)
		return resp
	}
}

// throttleMillis is a pause as answers tell it, rounded up.
func throttleMillis(d time.Duration) int32 {
	return int32(math.Ceil(float64(d) / float64(time.Millisecond)))
}

// tellPause puts the pause into an answer.
func tellPause(resp response, d time.Duration) {
	if d == 0 || resp == nil {
		return
	}
	switch r := resp.(type) {
	case *fetchResponse:
		r.throttle = max(r.throttle, throttleMillis(d))
	case kmsg.SetThrottleResponse:
		r.SetThrottle(throttleMillis(d))
	}
}

// rest waits until the client may be heard again.
func (c *conn) rest() error {
	if c.pause == 0 {
		return nil
	}
	pause := c.pause
	c.pause = 0
	if !clock.Wait(c.ctx, c.server.config.Clock, pause) {
		return c.ctx.Err()
	}
	return nil
}

// quotaUnit says what a limit is of, for messages; empty for one that there is not.
func quotaUnit(name string) string {
	switch name {
	case quotaProduce, quotaConsume:
		return "bytes a second"
	case quotaRequest:
		return "percent"
	}
	return ""
}

// quotaNames are the limits that there are, for messages.
var quotaNames = strings.Join([]string{quotaProduce, quotaConsume, quotaRequest}, ", ")
