package core

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The scripts in testdata/leader drive one Leader, node 1. Commands, each answering with the effects:
//
//	lead replicas=(1,2,3) isr=(1,2) min=2 end=10 durable=10 hw=5   begin to lead in epoch 1; the lag time is 30,000 ms
//	appended end=20                    the log end moved
//	durable end=20                     the durable end moved
//	fetch replica=2 offset=20 [epoch=7] [ineligible]
//	changed isr=(1,2) [min=1] [stale] [leader-epoch=2]    metadata, of the next partition epoch unless stale
//	answer refused|unknown|superseded  to the proposal that is out
//	gone replica=3                     the broker is not active any more
//	now ms=100 / tick                  time passes / the lag is looked at
func TestLeader(t *testing.T) {
	var l *Leader
	var now int64
	datadriven.Walk(t, "testdata/leader", func(t *testing.T, path string) {
		l, now = nil, 0
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return runLeader(t, d, &l, &now)
		})
	})
}

func runLeader(t *testing.T, d *datadriven.TestData, lp **Leader, now *int64) string {
	scan := func(key string, dests ...any) {
		if d.HasArg(key) {
			d.ScanArgs(t, key, dests...)
		}
	}
	ids := func(key string) (out []int32) {
		for _, a := range d.CmdArgs {
			if a.Key == key {
				for _, v := range a.Vals {
					var id int32
					_, err := fmt.Sscan(v, &id)
					require.NoError(t, err)
					out = append(out, id)
				}
			}
		}
		return out
	}
	l := *lp
	switch d.Cmd {
	case "lead":
		meta := Meta{Replicas: ids("replicas"), ISR: ids("isr"), LeaderEpoch: 1, MinISR: 1}
		var end, durable, hw int64
		scan("min", &meta.MinISR)
		scan("end", &end)
		scan("durable", &durable)
		scan("hw", &hw)
		var e Effects
		*lp, e = NewLeader(1, meta, 30_000, end, durable, hw, *now)
		return show(e)
	case "appended":
		var end int64
		scan("end", &end)
		l.Appended(end)
		return show(Effects{HW: l.HW()})
	case "durable":
		var end int64
		scan("end", &end)
		return show(l.Durable(end, *now))
	case "fetch":
		f := Fetch{Eligible: !d.HasArg("ineligible"), BrokerEpoch: 1}
		scan("replica", &f.Replica)
		scan("offset", &f.Offset)
		scan("epoch", &f.BrokerEpoch)
		return show(l.Fetched(f, *now))
	case "gone":
		var gone int32
		scan("replica", &gone)
		return show(l.BrokersChanged(func(id int32, _ uint64) bool { return id != gone }, *now))
	case "changed":
		meta := l.Meta()
		meta.ISR = ids("isr")
		if !d.HasArg("stale") {
			meta.PartitionEpoch++
		}
		scan("min", &meta.MinISR)
		scan("leader-epoch", &meta.LeaderEpoch)
		return show(l.Changed(meta, *now)) + fmt.Sprintf("isr=%v enough=%v\n", l.Meta().ISR, l.EnoughISR())
	case "answer":
		v := map[string]Verdict{"refused": Refused, "unknown": Unknown, "superseded": Superseded}[d.CmdArgs[0].Key]
		return show(l.ISRAnswered(v, *now))
	case "now":
		scan("ms", now)
		return ""
	case "tick":
		return show(l.Tick(*now))
	}
	t.Fatalf("unknown command %s", d.Cmd)
	return ""
}

func show(e Effects) string {
	var b strings.Builder
	fmt.Fprintf(&b, "hw=%d", e.HW)
	if e.Raised {
		b.WriteString(" raised")
	}
	if e.AskISR != nil {
		fmt.Fprintf(&b, " ask isr=%v broker-epochs=%v at=(%d,%d)", e.AskISR.ISR, e.AskISR.BrokerEpochs, e.AskISR.LeaderEpoch, e.AskISR.PartitionEpoch)
	}
	return b.String() + "\n"
}

func TestFetchIsJudgedByEpochs(t *testing.T) {
	for _, c := range []struct {
		name   string
		offset int64
		last   int32
		own    EpochEnd
		want   ReadVerdict
	}{
		{"at the end of a known epoch", 50, 3, EpochEnd{3, 100}, ReadRecords},
		{"exactly where the epoch ends", 100, 3, EpochEnd{3, 100}, ReadRecords},
		{"beyond where the epoch ends here", 60, 3, EpochEnd{3, 55}, ReadDiverging},
		{"with an epoch the leader does not have", 60, 4, EpochEnd{3, 80}, ReadDiverging},
		{"with an epoch the leader cannot place", 60, 4, EpochEnd{-1, -1}, ReadOutOfRange},
		{"below the log start", 5, 3, EpochEnd{3, 100}, ReadOutOfRange},
		{"beyond the end without an epoch", 101, -1, EpochEnd{-1, -1}, ReadOutOfRange},
		{"at the end without an epoch", 100, -1, EpochEnd{-1, -1}, ReadRecords},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, JudgeFetch(c.offset, c.last, c.own, 10, 100))
		})
	}
}

func TestTruncationGoesByEpochs(t *testing.T) {
	for _, c := range []struct {
		name        string
		leader, own EpochEnd
		end, want   int64
		done        bool
	}{
		{"same epoch, leader shorter", EpochEnd{3, 50}, EpochEnd{3, 80}, 80, 50, true},
		{"same epoch, leader longer", EpochEnd{3, 90}, EpochEnd{3, 80}, 80, 80, true},
		{"own cache lacks the leader's epoch: ask again from the end of an older one", EpochEnd{3, 90}, EpochEnd{2, 40}, 80, 40, false},
		{"nothing known of own epochs", EpochEnd{3, 30}, EpochEnd{-1, -1}, 80, 30, true},
		{"nothing known of the leader's", EpochEnd{-1, -1}, EpochEnd{3, 40}, 80, 80, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, done := TruncateTo(c.leader, c.own, c.end)
			require.Equal(t, c.want, got)
			require.Equal(t, c.done, done)
		})
	}
}

func TestFollowersHighWatermarkNeverFallsNorPassesItsDisk(t *testing.T) {
	require.EqualValues(t, 20, FollowerHW(10, 30, 20))
	require.EqualValues(t, 10, FollowerHW(10, 5, 20))
}

// TestHighWatermarkIsOnEveryInSyncDisk runs random inputs against followers that are modelled by their durable ends.
func TestHighWatermarkIsOnEveryInSyncDisk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		replicas := []int32{1, 2, 3}
		meta := Meta{Replicas: replicas, ISR: replicas, LeaderEpoch: 1, MinISR: rapid.IntRange(1, 3).Draw(t, "min")}
		l, _ := NewLeader(1, meta, 100, 0, 0, 0, 0)
		disk := map[int32]int64{1: 0, 2: 0, 3: 0}
		var end, now, hw int64
		var out *Proposal
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) { end += rapid.Int64Range(1, 9).Draw(t, "n"); l.Appended(end) },
			"sync": func(t *rapid.T) {
				disk[1] = rapid.Int64Range(disk[1], end).Draw(t, "to")
				l.Durable(disk[1], now)
			},
			"fetch": func(t *rapid.T) {
				id := rapid.SampledFrom(replicas[1:]).Draw(t, "id")
				e := l.Fetched(Fetch{Replica: id, Offset: disk[id], BrokerEpoch: 1, Eligible: true}, now)
				if e.AskISR != nil {
					require.Nil(t, out, "one proposal at a time")
					out = e.AskISR
				}
				disk[id] = rapid.Int64Range(disk[id], end).Draw(t, "written") // what it got, synced before its next fetch
			},
			"tick": func(t *rapid.T) {
				now += rapid.Int64Range(0, 150).Draw(t, "ms")
				if e := l.Tick(now); e.AskISR != nil {
					require.Nil(t, out, "one proposal at a time")
					out = e.AskISR
				}
			},
			"answer": func(t *rapid.T) {
				if out == nil {
					return
				}
				switch rapid.IntRange(0, 2).Draw(t, "how") {
				case 0:
					m := l.Meta()
					m.ISR, m.PartitionEpoch = out.ISR, m.PartitionEpoch+1
					l.Changed(m, now)
					out = nil
				case 1:
					l.ISRAnswered(Refused, now)
					out = nil
				case 2:
					l.ISRAnswered(Unknown, now)
				}
			},
			"": func(t *rapid.T) {
				require.GreaterOrEqual(t, l.HW(), hw, "it never goes down")
				if l.HW() > hw {
					require.GreaterOrEqual(t, len(l.Meta().ISR), l.Meta().MinISR)
					for _, id := range l.Meta().ISR {
						require.LessOrEqual(t, l.HW(), disk[id], "replica %d", id)
					}
				}
				hw = l.HW()
				require.True(t, slices.Contains(l.Meta().ISR, 1), "the leader stays")
			},
		})
	})
}
