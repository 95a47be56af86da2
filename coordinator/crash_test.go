package coordinator

import (
	"context"
	"fmt"
	"math/rand"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// crashRun drives producers of one process against a coordinator whose node dies at random steps, and remembers what was promised.
type crashRun struct {
	rng *rand.Rand
	ids *ids
	m   *memLog
	b   *Broker

	acked  map[string][]TopicPartition // transactions that were answered as committed
	begun  map[string][]TopicPartition // all transactions, with the partitions they meant to write
	last   map[string]int64            // by transactional id: offset of its last transaction that was answered
	number int64
}

var crashProducers = []string{"lane-0", "lane-1", "lane-2"}

// life runs transactions until the node is dead, then crashes and restarts it.
func (r *crashRun) life(t *testing.T) {
	r.m.steps = &atomic.Int64{}
	r.m.steps.Store(int64(10 + r.rng.Intn(150)))
	producers := map[string]*testProducer{}
	for r.m.steps.Load() > 0 {
		id := crashProducers[r.rng.Intn(len(crashProducers))]
		p := producers[id]
		if p == nil || r.rng.Intn(10) == 0 {
			p = &testProducer{b: r.b, txID: id, local: true}
			if p.init(testCtx) != nil {
				continue
			}
			producers[id] = p
		}
		r.transaction(p)
	}
	require.NoError(t, r.b.Close())
	skip, takesAlong := r.m.skipSync, r.m.takesAlong
	r.m = r.m.crash(r.rng)
	r.m.takesAlong = takesAlong
	elected := r.electLater()
	r.b = startBroker(t, r.m, r.ids)
	if r.rng.Intn(2) == 0 {
		<-elected
	}
	r.settle(t)
	<-elected
	<-time.After(2 * expireInterval) // what has come with those partitions is swept up
	synctest.Wait()
	r.m.skipSync = skip
}

// electLater lets other nodes lead some partitions that are written to for a while after the restart.
func (r *crashRun) electLater() (elected <-chan struct{}) {
	var away []TopicPartition
	for i := range int32(3) {
		if r.rng.Intn(2) == 0 {
			away = append(away, TopicPartition{"out", i})
		}
	}
	r.m.setAway(away...)
	done := make(chan struct{})
	time.AfterFunc(time.Duration(r.rng.Intn(3000))*time.Millisecond, func() {
		r.m.setAway()
		close(done)
	})
	return done
}

// transaction writes its number to some partitions, and as the offset of its producer's group.
func (r *crashRun) transaction(p *testProducer) {
	r.number++
	name := fmt.Sprint(p.txID, "/", r.number)
	parts := []TopicPartition{{"out", 0}, {"out", 1}, {"out", 2}}
	r.rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	parts = parts[:1+r.rng.Intn(len(parts))]
	r.begun[name] = parts
	err := p.commitOffset(testCtx, claim{group: p.txID, generation: -1}, in0, r.number)
	for _, tp := range parts {
		if err == nil {
			err = p.produce(testCtx, tp, name)
		}
	}
	// In a context of its own: the answer of a node that dies meanwhile never comes.
	ctx, cancel := context.WithTimeout(testCtx, retryPause)
	defer cancel()
	commit := err == nil && r.rng.Intn(5) > 0
	err = p.end(ctx, commit)
	if err == nil && commit {
		r.acked[name] = parts
		r.last[p.txID] = r.number
	}
}

// settle opens all producers, so that nothing is left open, and lets some of them go on at once.
func (r *crashRun) settle(t *testing.T) {
	for _, id := range crashProducers {
		p := &testProducer{b: r.b, txID: id, local: true}
		require.NoError(t, p.init(testCtx))
		if r.rng.Intn(2) == 0 {
			r.transaction(p)
			require.NoError(t, p.init(testCtx))
		}
	}
}

// broken says which promise does not hold, or nothing.
func (r *crashRun) broken() string {
	if open := r.m.OpenTransactions(); len(open) > 0 {
		return fmt.Sprintf("transactions are open for ever: %v", open)
	}
	seen := map[string][]TopicPartition{}
	for i := range int32(3) {
		tp := TopicPartition{"out", i}
		for _, name := range r.m.get("out", i).committedValues() {
			if slices.Contains(seen[name], tp) {
				return fmt.Sprintf("%s is in %v twice", name, tp)
			}
			seen[name] = append(seen[name], tp)
		}
	}
	newest := map[string]int64{}
	for name, parts := range r.begun {
		got := seen[name]
		switch {
		case len(got) == 0 && r.acked[name] != nil:
			return fmt.Sprintf("%s was answered and is lost", name)
		case len(got) != 0 && len(got) != len(parts):
			return fmt.Sprintf("%s is torn: it is in %v of %v", name, got, parts)
		case len(got) != 0:
			var n int64
			id := name[:len("lane-0")]
			if _, err := fmt.Sscanf(name[len(id)+1:], "%d", &n); err != nil {
				return err.Error()
			}
			newest[id] = max(newest[id], n)
		}
	}
	for _, id := range crashProducers {
		offset, err := fetchOffset(r.b, id, in0, true)
		if err != nil {
			return err.Error()
		}
		if max(offset, 0) != newest[id] {
			return fmt.Sprintf("the offset of %s is %d, its newest committed data %d", id, offset, newest[id])
		}
	}
	return ""
}

// run goes through some crashes and returns the first broken promise.
func runCrashes(t *testing.T, seed int64, defect func(*memLog)) (broken string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &crashRun{
			rng: rand.New(rand.NewSource(seed)), ids: &ids{next: 1}, m: newMemLog(testTopics()),
			acked: map[string][]TopicPartition{}, begun: map[string][]TopicPartition{}, last: map[string]int64{},
		}
		defect(r.m)
		r.b = startBroker(t, r.m, r.ids)
		for range 4 {
			r.life(t)
			if broken = r.broken(); broken != "" {
				break
			}
		}
		require.NoError(t, r.b.Close())
	})
	return broken
}

func TestTransactionsSurviveCrashesWhole(t *testing.T) {
	for seed := range int64(100) {
		require.Empty(t, runCrashes(t, seed, func(*memLog) {}), "seed %d", seed)
	}
}

// TestEverySyncOfATransactionMatters takes out the syncs of one topic at a time: the same checks must find that out.
func TestEverySyncOfATransactionMatters(t *testing.T) {
	for _, topic := range []string{"out", OffsetsTopic, TransactionTopic} {
		t.Run(topic, func(t *testing.T) {
			findsDefect(t, func(m *memLog) { m.skipSync = func(tp TopicPartition) bool { return tp.Topic == topic } })
		})
	}
}

// TestATransactionTheCoordinatorLostIsNotTakenAlongByTheNext leaves out the log's rule about those: the same checks must find that out.
func TestATransactionTheCoordinatorLostIsNotTakenAlongByTheNext(t *testing.T) {
	findsDefect(t, func(m *memLog) { m.takesAlong = true })
}

func findsDefect(t *testing.T, defect func(*memLog)) {
	t.Helper()
	for seed := range int64(200) {
		if runCrashes(t, seed, defect) != "" {
			return
		}
	}
	t.Fatal("nothing was found missing")
}

// TestRemoteProducerCommitsAllOrNothingAcrossACrash lets the node crash between two answered requests of a transaction whose producer is
// elsewhere and goes on afterwards: it must not commit what is left of its transaction.
func TestRemoteProducerCommitsAllOrNothingAcrossACrash(t *testing.T) {
	for seed := range int64(300) {
		synctest.Test(t, func(t *testing.T) {
			r := &crashRun{rng: rand.New(rand.NewSource(seed)), ids: &ids{next: 1}, m: newMemLog(testTopics())}
			r.b = startBroker(t, r.m, r.ids)
			p := &testProducer{b: r.b, txID: "remote"}
			require.NoError(t, p.init(testCtx))
			if r.rng.Intn(2) == 0 {
				require.NoError(t, p.produce(testCtx, TopicPartition{"out", 2}, "before"))
				require.NoError(t, p.end(testCtx, true))
			}
			steps := []func() error{
				func() error { return p.commitOffset(testCtx, claim{group: "g", generation: -1}, in0, 7) },
				func() error { return p.produce(testCtx, out0, "value") },
				func() error { return p.produce(testCtx, out1, "value") },
			}
			r.rng.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
			crashAt := r.rng.Intn(len(steps) + 1)
			var err error
			for i := 0; i <= len(steps) && err == nil; i++ {
				if i == crashAt {
					require.NoError(t, r.b.Close())
					r.m = r.m.crash(r.rng)
					r.b = startBroker(t, r.m, r.ids)
					p.b = r.b
				}
				if i < len(steps) {
					err = steps[i]()
				}
			}
			committed := err == nil && p.end(testCtx, true) == nil
			require.True(t, committed, "seed %d: everything answered was durable, so the transaction goes on", seed)
			offset, err := fetchOffset(r.b, "g", in0, true)
			require.NoError(t, err)
			require.EqualValues(t, 7, offset, "seed %d", seed)
			for _, tp := range []TopicPartition{out0, out1} {
				require.Equal(t, []string{"value"}, r.m.get(tp.Topic, tp.Partition).committedValues(), "seed %d: %v", seed, tp)
			}
			require.Empty(t, r.m.OpenTransactions())
			require.NoError(t, r.b.Close())
		})
	}
}
