package log

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
)

// batchOf makes a batch of about size bytes in records of 100.
func batchOf(b *testing.B, size int) []byte {
	var build record.Builder
	build.Reset(record.BatchOptions{})
	value := bytes.Repeat([]byte("v"), 90)
	for build.Size() < size {
		require.NoError(b, build.Append(1, nil, value))
	}
	frame, err := build.Finish(nil)
	require.NoError(b, err)
	return frame
}

func benchManager(b *testing.B) *Manager {
	m, err := OpenManager(ManagerOptions{Dir: b.TempDir(), FS: fsys.OS, Logger: quiet, TailCacheBytes: 32 << 20, DiskFreeMin: -1})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, m.Close()) })
	return m
}

// BenchmarkAppend writes into the page cache alone.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{200, 16 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			l := openLog(b, benchManager(b), TopicPartition{"t", 0}, Config{Fsync: FsyncInterval, SegmentBytes: 256 << 20, Delete: true, RetentionBytes: 1})
			frame := batchOf(b, size)
			b.SetBytes(int64(len(frame)))
			b.ReportAllocs()
			written := 0
			for b.Loop() {
				if _, err := l.Append(frame, AppendInfo{}); err != nil {
					b.Fatal(err)
				}
				if written += len(frame); written > 512<<20 { // keep the disk from filling
					written = 0
					b.StopTimer()
					l.SetHighWatermark(l.LEO())
					_, err := l.Retain()
					require.NoError(b, err)
					b.StartTimer()
				}
			}
		})
	}
}

// BenchmarkAppendDurable waits for each append to be on disk, with several writers who share syncs.
func BenchmarkAppendDurable(b *testing.B) {
	for _, writers := range []int{1, 16, 256} {
		for _, partitions := range []int{1, 16} {
			b.Run(fmt.Sprintf("writers=%d/partitions=%d", writers, partitions), func(b *testing.B) {
				m := benchManager(b)
				var logs []*Log
				for i := range partitions {
					logs = append(logs, openLog(b, m, TopicPartition{"t", int32(i)}, Config{}))
				}
				b.SetParallelism(max(1, writers/2)) // times GOMAXPROCS
				var next atomic.Int64
				b.RunParallel(func(pb *testing.PB) {
					l := logs[int(next.Add(1))%len(logs)]
					frame := batchOf(b, 200)
					for pb.Next() {
						res, err := l.Append(frame, AppendInfo{})
						if err == nil {
							err = l.WaitDurable(b.Context(), res.LastOffset+1)
						}
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

func BenchmarkReadTail(b *testing.B) {
	l := openLog(b, benchManager(b), TopicPartition{"t", 0}, Config{})
	frame := batchOf(b, 1<<10)
	for range 1000 {
		_, err := l.Append(frame, AppendInfo{})
		require.NoError(b, err)
	}
	end := l.LEO()
	for _, cached := range []bool{true, false} {
		b.Run(fmt.Sprintf("cached=%t", cached), func(b *testing.B) {
			if !cached {
				l.tail.clear()
			}
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				c, err := l.Read(end-20, 16<<10, end)
				if err != nil || c.Len() == 0 {
					b.Fatal(err, c.Len())
				}
				if c.Data() == nil {
					buf, _ = c.AppendTo(buf[:0])
				}
				c.Release()
			}
		})
	}
}
