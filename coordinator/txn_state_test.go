package coordinator

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
)

// TestTransactionStates runs scripts against the pure state machine of one transactional id. Each step that succeeds takes
// effect at once and prints the state; the record of each state must read back as the same state.
//
//	new pid=N                                              an id never seen before
//	init [pid=N epoch=N] [fresh=N]                         InitProducerID; fresh is the producer id to take if epochs have run out
//	set epoch=N                                            jump to an epoch
//	fence | complete                                       the coordinator's own steps
//	add|verify pid=N epoch=N parts=(topic-n,...) [v2]      AddPartitionsToTxn, verification of a batch
//	end pid=N epoch=N [abort] [v2] [fresh=N]               EndTxn; v2 is a client as of KIP-890
//	owns pid=N epoch=N part=topic-n                        whose is a transaction found open after a crash
func TestTransactionStates(t *testing.T) {
	datadriven.Walk(t, "testdata/txn", func(t *testing.T, path string) {
		var s txn
		now := int64(0)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			now += 1000
			next, note, kerror := step(t, d, s, now)
			if kerror != nil {
				return kerror.Message + "\n"
			}
			s = next
			return note + describe(t, s)
		})
	})
}

type stepArgs struct {
	pid, fresh, epoch int64
	parts             []TopicPartition
	version           int16
}

func argsOf(t *testing.T, d *datadriven.TestData) stepArgs {
	a := stepArgs{pid: noProducerID, fresh: noProducerID, epoch: int64(noProducerEpoch)}
	d.MaybeScanArgs(t, "pid", &a.pid)
	d.MaybeScanArgs(t, "epoch", &a.epoch)
	d.MaybeScanArgs(t, "fresh", &a.fresh)
	for _, arg := range d.CmdArgs {
		if arg.Key != "parts" && arg.Key != "part" {
			continue
		}
		for _, v := range arg.Vals {
			topic, n, ok := strings.Cut(v, "-")
			require.True(t, ok, "part %q", v)
			tp := TopicPartition{Topic: topic}
			_, err := fmt.Sscan(n, &tp.Partition)
			require.NoError(t, err)
			a.parts = append(a.parts, tp)
		}
	}
	if d.HasArg("v2") {
		a.version = epochBumpVersion
	}
	return a
}

func step(t *testing.T, d *datadriven.TestData, s txn, now int64) (next txn, note string, _ *kerr.Error) {
	a := argsOf(t, d)
	epoch := int16(a.epoch)
	switch d.Cmd {
	case "new":
		return newTxn("tx", a.pid, now), "", nil
	case "set":
		s.epoch = epoch
		return s, "", nil
	case "init":
		next, kerror := s.initProducer(a.pid, epoch, 60_000, a.fresh, now)
		return next, "", kerror
	case "fence":
		return s.fence(now), "", nil
	case "complete":
		return s.complete(now), "", nil
	case "add":
		next, changed, kerror := s.addPartitions(a.pid, epoch, a.parts, a.version, now)
		return next, fmt.Sprintf("changed=%v\n", changed), kerror
	case "verify":
		return s, "verified\n", s.verifyPartition(a.pid, epoch, a.parts[0])
	case "end":
		next, what, kerror := s.prepareEnd(a.pid, epoch, !d.HasArg("abort"), a.version, a.fresh, now)
		return next, []string{"answer\n", "write\n", "decide\n"}[what], kerror
	case "owns":
		return s, fmt.Sprintf("owns=%v\n", s.owns(OpenTransaction{a.parts[0], a.pid, epoch})), nil
	}
	d.Fatalf(t, "unknown command %q", d.Cmd)
	return s, "", nil
}

func describe(t *testing.T, s txn) string {
	read, err := decodeTxnValue(s.id, encodeTxnValue(s))
	require.NoError(t, err)
	read.lastEpoch = s.lastEpoch // not in the log
	require.Equal(t, s, read)
	var b strings.Builder
	fmt.Fprintf(&b, "%s pid=%d epoch=%d", s.state, s.producerID, s.epoch)
	if s.lastEpoch != noProducerEpoch {
		fmt.Fprintf(&b, " last_epoch=%d", s.lastEpoch)
	}
	if s.prevProducerID != noProducerID {
		fmt.Fprintf(&b, " prev_pid=%d", s.prevProducerID)
	}
	if s.nextProducerID != noProducerID {
		fmt.Fprintf(&b, " next_pid=%d", s.nextProducerID)
	}
	for _, tp := range s.parts {
		fmt.Fprintf(&b, " %s-%d", tp.Topic, tp.Partition)
	}
	b.WriteByte('\n')
	return b.String()
}
