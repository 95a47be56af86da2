package kafka

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
)

// dying is a cluster in which node 2 coordinates everything and is dead, until that is noticed at a moment and node 3 takes over.
type dying struct {
	Cluster
	noticed time.Time
}

func (dying) NodeID() int32 { return 1 }

func (dying) Brokers() []BrokerAddress {
	return []BrokerAddress{{ID: 2, Host: "b", Port: 2}, {ID: 3, Host: "c", Port: 3}}
}

func (d dying) Coordinator(bool, string) (int32, bool) {
	if time.Now().Before(d.noticed) {
		return 2, true
	}
	return 3, true
}

func (dying) Unreachable(node int32) bool { return node == 2 }

// TestADeadCoordinatorIsNotNamedWhileAnotherIsAboutToCome: a client that is sent to the dead one comes back ever later.
func TestADeadCoordinatorIsNotNamedWhileAnotherIsAboutToCome(t *testing.T) {
	for _, x := range []struct{ dies, answered, named int64 }{
		{0, 0, 3}, {600, 600, 3}, {60_000, 900, 2}, // the last is not noticed in time
	} {
		synctest.Test(t, func(t *testing.T) {
			begun := time.Now()
			cluster := dying{noticed: begun.Add(time.Duration(x.dies) * time.Millisecond)}
			c := &conn{server: &Server{config: Config{Cluster: cluster, Clock: clock.Real}, advertised: advertised{"a", 1}}}
			for _, version := range []int16{3, 6} {
				req := kmsg.NewPtrFindCoordinatorRequest()
				req.Version, req.CoordinatorKey, req.CoordinatorKeys = version, "g", []string{"g"}
				resp := startFindCoordinator(c, t.Context(), req)().(*kmsg.FindCoordinatorResponse)
				if version >= batchedFindVersion {
					resp.NodeID = resp.Coordinators[0].NodeID
				}
				require.EqualValues(t, x.named, resp.NodeID)
				if version == 3 {
					require.InDelta(t, x.answered, time.Since(begun).Milliseconds(), float64(coordinatorPause.Milliseconds()))
				}
			}
		})
	}
}
