package coordinator

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
)

// noPeers is a cluster with other nodes that lead nothing.
type noPeers struct{}

func (noPeers) Leader(string, int32) (int32, bool) { return 0, false }
func (noPeers) Spread(string) bool                 { return false }
func (noPeers) Others() bool                       { return true }
func (noPeers) Active() []int32                    { return nil }
func (noPeers) Leaderless() bool                   { return false }
func (noPeers) Call(context.Context, int32, kmsg.Request) (kmsg.Response, error) {
	return nil, kerr.BrokerNotAvailable
}

// TestOffsetsAreStableOnlyWhenAllOfTheirTransactionIsReadable: who reads committed offsets goes on behind them, and says that what was written before them is there. In a cluster that holds for
// who coordinates next, too, and learns from the log alone which markers are written.
func TestOffsetsAreStableOnlyWhenAllOfTheirTransactionIsReadable(t *testing.T) {
	for name, others := range map[string]Peers{"a node alone": nil, "a cluster": noPeers{}} {
		t.Run(name, func(t *testing.T) {
			m := newMemLog(testTopics())
			lead := func() *Broker {
				b := New(Config{Partitions: m, Peers: others, AllocateIDs: (&ids{next: 1000}).allocate, Clock: clock.Real, InternalPartitions: testPartitions})
				t.Cleanup(func() { require.NoError(t, b.Close()) })
				require.NoError(t, b.Lead(t.Context(), allPartitions))
				return b
			}
			b := lead()
			p := &testProducer{b: b, txID: "tx"}
			require.NoError(t, p.init(testCtx))
			require.NoError(t, p.produce(testCtx, out0, "a"))
			require.NoError(t, p.commitOffset(testCtx, nobody, in0, 7))
			out := m.get("out", 0)
			heldUp := func() {
				t.Helper()
				const many = 1 << 20
				out.refuse(many)
				require.Eventually(t, func() bool { return out.refusalsLeft() < many-1 }, time.Minute, time.Millisecond, "a marker is tried for the second time")
			}
			ctx, cancel := context.WithCancel(testCtx)
			ended := make(chan error, 1)
			out.refuse(1 << 20)
			go func() { ended <- p.end(ctx, true) }()
			heldUp()
			_, err := fetchOffset(b, "g", in0, true)
			require.ErrorIs(t, err, kerr.UnstableOffsetCommit, "the marker of the output is held up")
			if others != nil {
				b.Resign(allPartitions)
				require.Error(t, <-ended)
				b = lead()
				heldUp()
				_, err = fetchOffset(b, "g", in0, true)
				require.ErrorIs(t, err, kerr.UnstableOffsetCommit, "it is still, though another coordinates")
			}
			cancel()
			out.refuse(0)
			require.NoError(t, b.AwaitStable(testCtx, "g", []TopicPartition{in0}))
			require.Equal(t, []string{"a"}, out.committedValues())
			at, err := fetchOffset(b, "g", in0, true)
			require.NoError(t, err)
			require.EqualValues(t, 7, at)
			if others == nil {
				<-ended
			}
		})
	}
}
