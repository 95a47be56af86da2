package replication

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/clock"
)

// TestWhatWasUnderWayAtAHandOverIsConfirmedByTheNextLeader: one follower has the record when the leadership goes there.
func TestWhatWasUnderWayAtAHandOverIsConfirmedByTheNextLeader(t *testing.T) {
	c := newTrio(t)
	old := c.replica(1)
	c.append(1, "a")
	c.fetch(2)
	epoch, end := old.LeaderEpoch(), old.LogEnd()
	c.lead(2)
	c.tell(1, 2, 3)
	outlived := make(chan bool, 1)
	go func() { outlived <- old.Outlived(t.Context(), end, epoch) }()
	for _, follower := range []int32{1, 3, 1, 3, 1} { // the last one brings the high watermark that the others have made
		c.fetch(follower)
	}
	require.True(t, <-outlived)
	require.False(t, old.Outlived(t.Context(), end, epoch+1), "that epoch has written nothing there")
}

// TestWhatTheNextLeaderDoesNotHaveIsNotConfirmed: it was the old leader's alone, and is cut off.
func TestWhatTheNextLeaderDoesNotHaveIsNotConfirmed(t *testing.T) {
	c := newTrio(t)
	old := c.replica(1)
	c.append(1, "a")
	epoch, end := old.LeaderEpoch(), old.LogEnd()
	c.lead(2)
	c.tell(1, 2, 3)
	c.append(2, "b")
	outlived := make(chan bool, 1)
	go func() { outlived <- old.Outlived(t.Context(), end, epoch) }()
	c.catchUp(1)
	c.catchUp(3)
	c.catchUp(1)
	require.False(t, <-outlived)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.False(t, c.replica(3).Outlived(ended, old.LogEnd()+1, old.LeaderEpoch()), "what is not there yet may still come")
}

// TestWhoWaitsForWhatIsCutOffHearsOfTheCut: with nothing new in the next leader's log nothing else may come for long.
func TestWhoWaitsForWhatIsCutOffHearsOfTheCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTrio(t)
		old := c.replica(1)
		c.append(1, "a")
		epoch, end := old.LeaderEpoch(), old.LogEnd()
		c.lead(2)
		c.tell(1, 2, 3)
		outlived := make(chan bool, 1)
		go func() { outlived <- old.Outlived(t.Context(), end, epoch) }()
		synctest.Wait() // it waits
		c.fetch(1)
		require.Zero(t, old.LogEnd(), "the first answer cuts the log")
		require.False(t, <-outlived)
	})
}

// TestALeaderIsKnownToServeWhenItHasAnsweredInItsEpoch: an answer that says that it does not lead, or none, tells nothing.
func TestALeaderIsKnownToServeWhenItHasAnsweredInItsEpoch(t *testing.T) {
	c := newTrio(t)
	p := c.replica(3)
	f := &fetcher{fresh: map[partKey]*position{}}
	ask := func(code int16) {
		f.fresh[partKey{p.topicID, p.id}] = &position{p: p, epoch: p.mu.followEpoch}
		resp := kmsg.NewPtrFetchResponse()
		if code != 0 {
			topic := kmsg.NewFetchResponseTopic()
			part := kmsg.NewFetchResponseTopicPartition()
			part.Partition, part.ErrorCode = p.id, code
			topic.TopicID, topic.Partitions = p.topicID, append(topic.Partitions, part)
			resp.Topics = append(resp.Topics, topic)
		}
		f.heard(resp)
	}
	require.True(t, p.awaitsLeader())
	ask(kerr.NotLeaderForPartition.Code)
	require.True(t, p.awaitsLeader())
	ask(0)
	require.False(t, p.awaitsLeader())
	p.AwaitLeader(t.Context())
	c.lead(2)
	c.tell(3)
	require.True(t, p.awaitsLeader(), "there is another")
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.AwaitLeader(t.Context())
	}()
	ask(0)
	<-done
	require.False(t, c.replica(1).awaitsLeader(), "it believes that it leads itself")
}

// TestAFollowerIsSentBackSoonByANodeThatHasJustComeToLead: it may wait there for the records of partitions that it has followed before, and the new one is not among them.
func TestAFollowerIsSentBackSoonByANodeThatHasJustComeToLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTrio(t)
		waits := func() time.Duration {
			req := kmsg.NewPtrFetchRequest()
			req.Version, req.MaxWaitMillis, req.SessionEpoch = fetchVersion, int32(fetchWait.Milliseconds()), 0
			req.ReplicaState.ID = 3
			begun := time.Now()
			require.Zero(t, c.boxes[2].ServeFetch(t.Context(), 3, req).ErrorCode)
			return time.Since(begun)
		}
		require.Equal(t, fetchWait, waits())
		c.lead(2)
		waiting := make(chan time.Duration)
		go func() { waiting <- waits() }()
		synctest.Wait() // it waits
		c.tell(2)
		require.Equal(t, freshWait, <-waiting)
		require.Equal(t, freshWait, waits())
		clock.Wait(t.Context(), clock.Real, freshTime)
		require.Equal(t, fetchWait, waits())
	})
}
