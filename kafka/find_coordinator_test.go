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

func (d dying) Topic(name string) (Topic, bool) {
	leader, _ := d.Coordinator(false, "")
	return Topic{Name: name, Partitions: []PartitionState{{Leader: 1}, {Leader: leader}}}, true
}

func (d dying) Topics() []Topic {
	t, _ := d.Topic("t")
	return []Topic{t}
}

func (dying) ClusterID() string { return "c" }

func (dying) Unreachable(node int32) bool { return node == 2 }

// dyingAt runs f for a client of node 1 of a cluster in which node 2 is noticed to be dead after so many milliseconds.
func dyingAt(t *testing.T, dies int64, f func(t *testing.T, c *conn)) {
	synctest.Test(t, func(t *testing.T) {
		cluster := dying{noticed: time.Now().Add(time.Duration(dies) * time.Millisecond)}
		f(t, &conn{server: &Server{config: Config{Cluster: cluster, Clock: clock.Real}, advertised: advertised{"a", 1}}})
	})
}

// TestADeadLeaderIsNotNamedWhileAnotherIsAboutToCome: kgo asks again after five seconds.
func TestADeadLeaderIsNotNamedWhileAnotherIsAboutToCome(t *testing.T) {
	all, one := kmsg.NewPtrMetadataRequest(), kmsg.NewPtrMetadataRequest()
	one.Topics = []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr("t")}}
	for _, x := range []struct{ dies, answered, named int64 }{
		{0, 0, 3}, {600, 600, 3}, {60_000, 900, 2},
	} {
		for _, req := range []*kmsg.MetadataRequest{all, one} {
			dyingAt(t, x.dies, func(t *testing.T, c *conn) {
				begun := time.Now()
				resp := startMetadata(c, t.Context(), req)().(*kmsg.MetadataResponse)
				require.EqualValues(t, x.named, resp.Topics[0].Partitions[1].Leader)
				require.InDelta(t, x.answered, time.Since(begun).Milliseconds(), float64(deadPause.Milliseconds()))
			})
		}
	}
}

// TestADeadCoordinatorIsNotNamedWhileAnotherIsAboutToCome: a client that is sent to the dead one comes back ever later.
func TestADeadCoordinatorIsNotNamedWhileAnotherIsAboutToCome(t *testing.T) {
	for _, x := range []struct{ dies, answered, named int64 }{
		{0, 0, 3}, {600, 600, 3}, {60_000, 900, 2}, // the last is not noticed in time
	} {
		dyingAt(t, x.dies, func(t *testing.T, c *conn) {
			begun := time.Now()
			for _, version := range []int16{3, 6} {
				req := kmsg.NewPtrFindCoordinatorRequest()
				req.Version, req.CoordinatorKey, req.CoordinatorKeys = version, "g", []string{"g"}
				resp := startFindCoordinator(c, t.Context(), req)().(*kmsg.FindCoordinatorResponse)
				if version >= batchedFindVersion {
					resp.NodeID = resp.Coordinators[0].NodeID
				}
				require.EqualValues(t, x.named, resp.NodeID)
				if version == 3 {
					require.InDelta(t, x.answered, time.Since(begun).Milliseconds(), float64(deadPause.Milliseconds()))
				}
			}
		})
	}
}
