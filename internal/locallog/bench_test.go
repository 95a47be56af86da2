package locallog

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/replication/metadata"
)

func benchBatch(b *testing.B, tp exec.TopicPartition) exec.PartitionBatch {
	var build record.Builder
	build.Reset(record.BatchOptions{})
	require.NoError(b, build.Append(1000, []byte("key"), make([]byte, 100)))
	frame, err := build.Finish(nil)
	require.NoError(b, err)
	return exec.PartitionBatch{TopicPartition: tp, Batch: frame}
}

// BenchmarkRound is one round of a lane: an output and a changelog batch for each partition, and the offsets of one group.
func BenchmarkRound(b *testing.B) {
	for _, disk := range []string{"mem", "os"} {
		for _, partitions := range []int32{1, 4} {
			b.Run(fmt.Sprintf("disk=%s/partitions=%d", disk, partitions), func(b *testing.B) {
				n := benchNode(b, disk, partitions)
				l, err := n.log.OpenLane(b.Context(), "lane")
				require.NoError(b, err)
				b.ReportAllocs()
				for i := range b.N {
					task := exec.TaskCommit{Group: "g"}
					for p := range partitions {
						tp := exec.TopicPartition{Topic: "out", Partition: p}
						task.Batches = append(task.Batches, benchBatch(b, tp))
						task.Offsets = append(task.Offsets, exec.PartitionOffset{TopicPartition: tp, Offset: int64(i)})
					}
					_, err := l.Commit(b.Context(), []exec.TaskCommit{task})
					require.NoError(b, err)
				}
			})
		}
	}
}

// BenchmarkAppend is a plain append to one partition: one sync.
func BenchmarkAppend(b *testing.B) {
	for _, disk := range []string{"mem", "os"} {
		b.Run("disk="+disk, func(b *testing.B) {
			n := benchNode(b, disk, 1)
			b.ReportAllocs()
			for b.Loop() {
				_, err := n.log.Append(b.Context(), []exec.PartitionBatch{benchBatch(b, exec.TopicPartition{Topic: "out"})})
				require.NoError(b, err)
			}
		})
	}
}

func benchNode(b *testing.B, disk string, partitions int32) *node {
	var fs fsys.FS = fsys.NewMem()
	dir := "data"
	if disk == "os" {
		fs, dir = fsys.OS, b.TempDir()
	}
	n := startNode(b, fs, dir)
	b.Cleanup(func() { n.stop(b) })
	n.apply(b, func(batch *metadata.Batch) {
		batch.CreateTopic(metadata.TopicSpec{Name: "out", Partitions: partitions})
	})
	return n
}
