//go:build scale && linux

package crashtest

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// perSecond is how many records each partition gets in a second, recordBytes how large they are.
	perSecond, recordBytes = 10, 1000
	// quiet is how long nothing more may come for a reader to have read everything.
	quiet = 10 * time.Second
)

// traffic writes numbered records to every partition of a topic, and notes when each was acknowledged.
type traffic struct {
	c      *bigCluster
	begun  time.Time
	cancel context.CancelFunc
	wg     sync.WaitGroup
	cl     *kgo.Client
	mu     struct {
		sync.Mutex
		parts []acknowledged
		count int
	}
}

// acknowledged is what was heard of one partition.
type acknowledged struct {
	at      []time.Time
	offsets map[int64]uint64 // the record's number by its offset
}

func (c *bigCluster) startTraffic(ctx context.Context, partitions int) *traffic {
	tr := &traffic{c: c, begun: time.Now()}
	ctx, tr.cancel = context.WithCancel(ctx)
	tr.mu.parts = make([]acknowledged, partitions)
	for p := range tr.mu.parts {
		tr.mu.parts[p].offsets = map[int64]uint64{}
	}
	tr.cl = c.client(context.WithoutCancel(ctx), kgo.DefaultProduceTopic(busyTopic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMaxAge(250*time.Millisecond),
		kgo.MetadataMinAge(100*time.Millisecond), kgo.ProduceRequestTimeout(time.Second), kgo.RequestTimeoutOverhead(time.Second), kgo.MaxBufferedRecords(1<<20), kgo.MaxBufferedBytes(1<<30))
	tr.wg.Go(func() { tr.run(ctx, partitions) })
	return tr
}

// run sends one record after another, to the partitions in turn, at an even pace.
func (tr *traffic) run(ctx context.Context, partitions int) {
	const tick = 10 * time.Millisecond
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	var sent uint64
	for {
		select {
		case now := <-ticker.C:
			for due := uint64(now.Sub(tr.begun).Seconds() * float64(partitions*perSecond)); sent < due; sent++ {
				value := make([]byte, recordBytes)
				binary.BigEndian.PutUint64(value, sent)
				tr.cl.Produce(context.WithoutCancel(ctx), &kgo.Record{Partition: int32(sent % uint64(partitions)), Value: value}, tr.told)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (tr *traffic) told(r *kgo.Record, err error) {
	if err != nil {
		tr.c.t.Errorf("partition %d: %v", r.Partition, err)
		return
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	p := &tr.mu.parts[r.Partition]
	p.at = append(p.at, time.Now())
	p.offsets[r.Offset] = binary.BigEndian.Uint64(r.Value)
	tr.mu.count++
}

// flows returns when the time given is over and each partition has taken a record that was acknowledged since.
func (tr *traffic) flows(d time.Duration) {
	<-time.After(d)
	since := time.Now()
	tr.await("records to every partition", func(p *acknowledged) bool { return len(p.at) > 0 && p.at[len(p.at)-1].After(since) })
}

// await waits until all partitions are so.
func (tr *traffic) await(what string, so func(*acknowledged) bool) {
	begin := time.Now()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		<-ticker.C
		missing := 0
		tr.mu.Lock()
		for i := range tr.mu.parts {
			if !so(&tr.mu.parts[i]) {
				missing++
			}
		}
		tr.mu.Unlock()
		if missing == 0 {
			return
		}
		require.Less(tr.c.t, time.Since(begin), scaleLimit, "%s: %d partitions are waited for", what, missing)
	}
}

// rate is how many records were acknowledged a second since the beginning.
func (tr *traffic) rate() float64 {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return float64(tr.mu.count) / time.Since(tr.begun).Seconds()
}

// settleFor is how long after a kill a pause may begin that is still its doing: by then all that had been on its way is answered.
const settleFor = 5 * time.Second

// failover waits until every partition takes records again after a kill, and returns the longest pause of each that begins about then: of those that mine says, and of the others.
func (tr *traffic) failover(killed time.Time, mine func(p int) bool) (moved, others []time.Duration) {
	tr.await("records after the kill", func(p *acknowledged) bool { return p.at[len(p.at)-1].After(killed.Add(settleFor)) })
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for i := range tr.mu.parts {
		var longest time.Duration
		at := tr.mu.parts[i].at
		for j := 1; j < len(at); j++ {
			if at[j].After(killed) && at[j-1].Before(killed.Add(settleFor)) {
				longest = max(longest, at[j].Sub(at[j-1]))
			}
		}
		if mine(i) {
			moved = append(moved, longest)
		} else {
			others = append(others, longest)
		}
	}
	return moved, others
}

// stop ends the traffic and returns how many records were acknowledged.
func (tr *traffic) stop() int {
	tr.cancel()
	tr.wg.Wait()
	require.NoError(tr.c.t, tr.cl.Flush(context.Background()))
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.mu.count
}

// lost reads the whole topic and counts the records that are not exactly where they were acknowledged, and those that are there twice.
func (tr *traffic) lost(ctx context.Context) (bad int) {
	cl := tr.c.client(ctx, kgo.ConsumeTopics(busyTopic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	seen := make(map[uint64]bool, tr.mu.count)
	for found := 0; found < tr.mu.count; {
		poll, cancel := context.WithTimeout(ctx, quiet)
		fetches := cl.PollFetches(poll)
		cancel()
		if fetches.NumRecords() == 0 {
			return bad + tr.mu.count - found
		}
		fetches.EachRecord(func(r *kgo.Record) {
			n := binary.BigEndian.Uint64(r.Value)
			if seen[n] {
				bad++
			}
			seen[n] = true
			if was, ok := tr.mu.parts[r.Partition].offsets[r.Offset]; ok && was == n {
				found++
			}
		})
	}
	return bad
}
