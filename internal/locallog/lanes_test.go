package locallog

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/fsys"
)

// TestLanesCommitSideBySide lets lanes write to the same partitions at the same time: each one's rounds are there once and in order.
func TestLanesCommitSideBySide(t *testing.T) {
	const lanes, perLane = 4, 50
	n := startNode(t, fsys.NewMem(), "data")
	defer n.stop(t)
	n.createTopic(t, "in", 1)
	n.createTopic(t, "out", 2)
	var wg sync.WaitGroup
	for lane := range lanes {
		wg.Go(func() {
			l, err := n.log.OpenLane(t.Context(), fmt.Sprint("lane-", lane))
			if !assert.NoError(t, err) {
				return
			}
			defer l.Close()
			for i := range perLane {
				task := exec.TaskCommit{
					Group:   fmt.Sprint("g", lane),
					Offsets: []exec.PartitionOffset{{TopicPartition: input, Offset: int64(i + 1)}},
				}
				for _, tp := range outputs {
					task.Batches = append(task.Batches, valueBatch(t, tp, fmt.Sprint(lane, "/", i)))
				}
				if _, err := l.Commit(t.Context(), []exec.TaskCommit{task}); !assert.NoError(t, err) {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, tp := range outputs {
		next := map[string]int{}
		for _, v := range values(t, n.log, tp) {
			lane, i, _ := strings.Cut(v, "/")
			require.Equal(t, fmt.Sprint(next[lane]), i, "lane %s in %v", lane, tp)
			next[lane]++
		}
		require.Len(t, next, lanes)
		for lane, count := range next {
			require.Equal(t, perLane, count, "lane %s in %v", lane, tp)
		}
	}
	for lane := range lanes {
		got, err := n.log.Committed(t.Context(), fmt.Sprint("g", lane), []exec.TopicPartition{input})
		require.NoError(t, err)
		require.EqualValues(t, perLane, got[0].Offset)
	}
}
