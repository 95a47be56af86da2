package replication

import (
	"context"
	"path"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/replication/core"
	"github.com/millracedb/millrace/replication/metadata"
)

// The mistakes that others have made with this protocol, each played with real logs. Package traps holds of each test that it fails without the rule that it is about.

// KIP-101, first case: the high watermark of a follower lags a round trip, so what a follower has above it may be committed.
func TestAFollowerThatRestartsKeepsWhatLiesAboveItsHighWatermark(t *testing.T) {
	c := newTrio(t)
	c.append(1, "a", "b")
	c.fetch(2)
	c.fetch(3)
	for _, id := range []int32{2, 3} {
		c.ask(id, 1, nil) // it has acknowledged, and the answer with the high watermark is lost
	}
	require.EqualValues(t, 2, c.replica(1).HighWatermark(), "both records are committed")
	require.EqualValues(t, 0, c.replica(2).HighWatermark())
	c.crash(2)
	c.lead(2)
	c.tell(2)
	require.Equal(t, []string{"a", "b"}, c.values(2))
}

// KIP-101, second case: logs of the same length that differ.
func TestADeposedLeaderGivesUpWhatTheNextOneDoesNotHave(t *testing.T) {
	c := newTrio(t)
	c.append(1, "a")
	c.fetch(2)
	c.append(1, "mine") // no follower has it
	c.lead(2)
	c.tell(2)
	c.append(2, "theirs")
	c.tell(1, 3)
	c.catchUp(1)
	c.catchUp(3)
	require.Equal(t, []string{"a", "theirs"}, c.values(1))
	require.Equal(t, []string{"a", "theirs"}, c.values(3))
}

// KIP-279: a follower knows epochs that its leader does not, and the leader one that the follower does not. The leader answers with the largest epoch of its own below the one asked for; what the follower has
// of epochs between is none of the leader's.
func TestAFollowerOfManyShortLeadershipsFindsWhereItsLogParts(t *testing.T) {
	c := newTrio(t)
	first := c.replica(1).LeaderEpoch()
	c.append(1, "a")
	c.fetch(2)
	c.append(1, "b") // only node 1 has it, of the first epoch
	c.lead(2)
	c.tell(2)
	c.append(2, "x1", "x2") // alone
	c.lead(3)
	c.tell(2, 3) // the third node leads without a record
	c.lead(2)
	c.tell(2)
	c.append(2, "y1", "y2")
	c.lead(1)
	c.tell(1)
	c.append(1, "c", "d", "e", "f")
	require.Equal(t, []string{"a", "x1", "x2", "y1", "y2"}, c.values(2))
	c.tell(2)
	c.catchUp(2)
	require.Equal(t, []string{"a", "b", "c", "d", "e", "f"}, c.values(2))
	epoch, end := c.replica(2).log.EndOffsetForEpoch(first)
	require.Equal(t, []int64{int64(first), 2}, []int64{int64(epoch), end}, "the epochs are the leader's too")
}

// A leader that has not heard that it was deposed commits nothing: those who know better do not count for it.
func TestALeaderThatWasDeposedCommitsNothing(t *testing.T) {
	c := newTrio(t)
	c.lead(2)
	c.tell(2, 3)
	c.append(1, "a")
	c.append(2, "b")
	for range 2 {
		_, answer := c.ask(3, 1, nil)
		require.ErrorIs(t, errorOf(answer), kerr.UnknownLeaderEpoch)
	}
	c.ask(2, 1, func(r *kmsg.FetchRequest) { // its successor would have to fetch too
		r.Topics[0].Partitions[0].CurrentLeaderEpoch = c.replica(2).LeaderEpoch()
		r.Topics[0].Partitions[0].FetchOffset = 1
	})
	require.EqualValues(t, 0, c.replica(1).HighWatermark())
	c.tell(1)
	c.catchUp(1)
	require.Equal(t, []string{"b"}, c.values(1))
}

// The other way round: what an old follower says to a new leader.
func TestALeaderHearsNoFollowerOfAnEarlierEpoch(t *testing.T) {
	c := newTrio(t)
	c.append(1, "a")
	c.fetch(2)
	c.lead(2)
	c.tell(2) // the third follows node 1 still
	_, answer := c.ask(3, 2, nil)
	require.ErrorIs(t, errorOf(answer), kerr.FencedLeaderEpoch)
}

// KIP-903: a follower is asked into the in-sync set for what it had; when the change is made it has come back without it.
func TestAFollowerThatHasRestartedIsNotInSyncForWhatItHadBefore(t *testing.T) {
	c := newTrio(t)
	c.change(false, func(p *metadata.Partition) { p.ISR = []int32{1, 3} })
	c.tell(1, 2, 3)
	c.append(1, "a")
	c.fetch(2)
	c.ask(2, 1, nil) // it has everything
	require.Len(t, c.boxes[1].asks, 1, "the leader asks for it")
	a := <-c.boxes[1].asks
	require.Equal(t, []int32{1, 3, 2}, a.proposal.ISR)
	was, _ := c.meta.Image().Broker(2)
	c.apply(func(b *metadata.Batch) {
		b.RegisterBroker(metadata.Broker{ID: 2, Directory: metadata.UUID{2}}, was.Epoch)
	})
	b := c.meta.NewBatch()
	topic, _ := c.meta.Image().Topic("t")
	require.True(t, ChangeISR(b, topic.ID, 0, 1, &a.proposal))
	_, err := c.meta.Apply(t.Context(), b)
	require.ErrorIs(t, err, metadata.ErrIneligible)
}

// A proposal whose outcome nobody has heard may have been taken: until it is known the high watermark waits for everyone whom either in-sync set names.
func TestAProposalOfUnknownOutcomeStaysInForce(t *testing.T) {
	c := newTrio(t)
	c.change(false, func(p *metadata.Partition) { p.ISR = []int32{1, 3} })
	c.tell(1, 2, 3)
	c.fetch(2)
	a := <-c.boxes[1].asks
	require.Equal(t, []int32{1, 3, 2}, a.proposal.ISR)
	p := c.replica(1)
	p.mu.Lock()
	p.raisedLocked(p.mu.leader.ISRAnswered(core.Unknown, p.nowMs()))
	p.raisedLocked(p.mu.leader.BrokersChanged(func(id int32, _ uint64) bool { return id != 2 }, p.nowMs())) // it is fenced meanwhile
	p.mu.Unlock()
	c.append(1, "a")
	c.fetch(3)
	c.ask(3, 1, nil)
	require.EqualValues(t, 0, p.HighWatermark(), "node 2 may be in sync, and lead next")
	c.fetch(2)
	c.ask(2, 1, nil)
	require.EqualValues(t, 1, p.HighWatermark())
}

// The strict rule of Kafka 4.0: with fewer in sync than are asked for nothing is committed, so that those who left last have all there is (KIP-966).
func TestNothingIsCommittedBelowTheLeastInSync(t *testing.T) {
	c := newTrio(t)
	c.change(false, func(p *metadata.Partition) { p.ISR = []int32{1} })
	c.tell(1, 2, 3)
	c.append(1, "a")
	require.EqualValues(t, 0, c.replica(1).HighWatermark())
}

// KIP-207: the high watermark of a new leader may lie below what a consumer has seen.
func TestANewLeaderTellsNoEndBeforeItKnowsWhatWasCommitted(t *testing.T) {
	c := newTrio(t)
	c.append(1, "a", "b")
	c.fetch(2)
	c.fetch(3)
	for _, id := range []int32{2, 3} {
		c.ask(id, 1, nil)
	}
	require.EqualValues(t, 2, c.replica(1).HighWatermark(), "a consumer may have read both")
	c.lead(2)
	c.tell(2, 3)
	_, _, err := c.replica(2).ListOffsets(LatestOffset, ReadCommitted, -1)
	require.ErrorIs(t, err, kerr.OffsetNotAvailable)
	c.fetch(3)
	require.EqualValues(t, 0, c.replica(2).HighWatermark(), "node 1 has not said anything")
	c.tell(1)
	c.fetch(1)
	end, _, err := c.replica(2).ListOffsets(LatestOffset, ReadCommitted, -1)
	require.NoError(t, err)
	require.EqualValues(t, 2, end.Offset)
}

// A follower syncs what it was sent before it fetches again, for its fetch says that it has it.
func TestAFollowerAcknowledgesOnlyWhatItsDiskHas(t *testing.T) {
	c := newTrio(t)
	c.append(1, "a")
	pos, answer := c.ask(2, 1, nil)
	gate := make(chan struct{})
	c.boxes[2].fs.Inject(func(op fsys.Op, p string) error {
		if op == fsys.OpSync && path.Ext(p) == ".log" {
			<-gate
		}
		return nil
	})
	require.NoError(t, pos.take(&answer))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := pos.finish(ctx, &answer)
	c.boxes[2].fs.Inject(nil)
	close(gate) // the nodes could not close
	require.ErrorIs(t, err, context.Canceled, "it would go on to its next fetch")
	require.NoError(t, pos.finish(t.Context(), &answer))
	c.crash(2)
	require.Equal(t, []string{"a"}, c.values(2), "its next fetch says so")
}

// The leadership moves while an answer is on its way.
func TestAnAnswerThatComesLateChangesNothing(t *testing.T) {
	c := newTrio(t)
	c.append(1, "a")
	c.fetch(2)
	c.append(1, "mine")
	late, answer := c.ask(2, 1, nil)
	c.lead(2)
	c.tell(2)
	c.append(2, "theirs")
	require.NoError(t, late.take(&answer))
	require.NoError(t, late.finish(t.Context(), &answer))
	require.Equal(t, []string{"a", "theirs"}, c.values(2), "it leads")

	c.tell(3)
	c.fetch(3)
	late, answer = c.ask(3, 2, nil)
	c.append(2, "more")
	twice, second := c.ask(3, 2, nil)
	require.NoError(t, twice.take(&second))
	require.NoError(t, late.take(&answer), "what it had asked for before")
	require.Equal(t, []string{"a", "theirs", "more"}, c.values(3))
}

// A topic deleted and made again under its name, while a node was down that had a replica of the old one.
func TestAReplicaOfATopicMadeAgainBeginsEmpty(t *testing.T) {
	c := newTrio(t)
	c.append(1, "a")
	c.fetch(2)
	c.apply(func(b *metadata.Batch) {
		topic, _ := b.Image().Topic("t")
		b.DeleteTopic(topic.ID)
	})
	c.makeTopic()
	c.crash(2) // it comes back with the old one on its disk
	require.Empty(t, c.values(2))
	old, _ := c.boxes[1].heard.img.Topic("t")
	_, answer := c.ask(2, 1, nil) // the leader has not heard of the new one
	require.ErrorIs(t, errorOf(answer), kerr.UnknownTopicID)
	c.tell(1)
	c.ask(2, 1, nil)
	require.Empty(t, c.values(1))
	now, _ := c.meta.Image().Topic("t")
	require.NotEqual(t, old.ID, now.ID)
}

// The leader's log start moves by retention and DeleteRecords; what is gone there comes back on no follower that leads later.
func TestAFollowerForgetsWhatItsLeaderHasDeleted(t *testing.T) {
	c := newTrio(t)
	c.append(1, "a", "b", "c")
	c.fetch(2)
	c.fetch(3)
	for range 2 {
		c.fetch(2)
		c.fetch(3)
	}
	_, err := c.replica(1).DeleteRecords(2)
	require.NoError(t, err)
	c.append(1, "d")
	c.fetch(2)
	require.EqualValues(t, 2, c.replica(2).LogStart())
	c.lead(2)
	c.tell(2)
	require.Equal(t, []string{"c", "d"}, c.values(2))
}

// A follower that was away while its leader deleted all that it has left begins anew at the leader's start.
func TestAFollowerBehindItsLeadersStartBeginsAnew(t *testing.T) {
	c := newTrio(t)
	c.append(1, "a")
	c.fetch(2)
	c.append(1, "b", "c")
	c.fetch(3)
	c.change(false, func(p *metadata.Partition) { p.ISR = []int32{1, 3} })
	fenced := func(is bool) {
		k, _ := c.meta.Image().Broker(2)
		c.apply(func(b *metadata.Batch) { b.SetBrokerState(2, k.Epoch, is, false) })
		c.tell(1, 2, 3)
	}
	fenced(true)
	for range 2 {
		c.fetch(3)
	}
	fenced(false)
	_, err := c.replica(1).DeleteRecords(3)
	require.NoError(t, err)
	c.append(1, "d")
	c.catchUp(2)
	require.Equal(t, []string{"d"}, c.values(2))
	require.EqualValues(t, 3, c.replica(2).LogStart())
}

// What a node has written down of its high watermark is older than its log, or newer.
func TestAHighWatermarkThatWasWrittenDownIsOnlyAHint(t *testing.T) {
	c := newTrio(t)
	c.append(1, "a", "b")
	c.fetch(2)
	b := c.boxes[2]
	c.close(b)
	w, err := b.fs.Create("data/replication-offset-checkpoint", "")
	require.NoError(t, err)
	_, err = w.Write([]byte("0\n1\nt 0 100\n"))
	require.NoError(t, err)
	require.NoError(t, w.Sync())
	require.NoError(t, w.Close())
	c.open(b)
	require.Equal(t, []string{"a", "b"}, c.values(2))
	c.lead(2)
	c.tell(2)
	require.LessOrEqual(t, c.replica(2).HighWatermark(), int64(2), "never above the log's end")
	_, err = c.replica(2).Append(t.Context(), batch(t, record.BatchOptions{}, "c"), AppendOptions{Acks: AcksLeader})
	require.NoError(t, err)
	require.LessOrEqual(t, c.replica(2).HighWatermark(), int64(2), "nobody has the third")
}

// setClock is a wall clock that somebody sets, on a machine whose time goes on.
type setClock struct {
	clock.Clock
	by *time.Duration
}

func (c setClock) Now() time.Time { return c.Clock.Now().Add(*c.by) }

// A clock that is set, by NTP or by hand, says nothing of how long a follower has been behind.
func TestAClockThatIsSetTakesNobodyOutOfSync(t *testing.T) {
	c := newTrio(t)
	p := c.replica(1)
	var by time.Duration
	p.clk = setClock{p.clk, &by}
	c.append(1, "a")
	for _, by = range []time.Duration{time.Hour, -time.Hour} {
		p.mu.Lock()
		e := p.mu.leader.Tick(p.nowMs())
		p.mu.Unlock()
		require.Nil(t, e.AskISR, "set by %v", by)
	}
}
