package log

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
)

// readFrom returns the bytes that a reader gets who goes on until an error or the end.
func readFrom(l *Log, offset int64) (next int64, err error) {
	for offset < l.LEO() {
		c, err := l.Read(offset, 1<<20, l.LEO())
		if err != nil {
			return offset, err
		}
		data, err := c.AppendTo(nil)
		c.Release()
		if err != nil {
			return offset, err
		}
		for len(data) > 0 {
			h, _, rest, err := record.Next(data)
			if err != nil {
				return offset, err
			}
			offset, data = h.LastOffset()+1, rest
		}
	}
	return offset, nil
}

// batchSize is that of the batches of written100.
func batchSize(t *testing.T) int64 { return int64(len(plain(t, "value-000"))) }

func TestAReaderThatMeetsDamageIsToldSoAndEverythingElseIsRead(t *testing.T) {
	for name, at := range map[string]int64{"records": 70, "checksum": 17, "base offset": 1, "length": 9, "magic": 16} {
		t.Run(name, func(t *testing.T) {
			fs := fsys.NewMem()
			opts := testOptions(t, fs)
			opts.Config.SegmentBytes = 1 << 11
			bases := written100(t, opts)
			told := 0
			opts.Clean, opts.RecoveryPoint, opts.OnDamage = true, 100, func() { told++ }
			l := mustOpen(t, opts)
			path := segmentFile(fs, testDir, bases[1], logSuffix)
			flip(t, fs, path, 5*batchSize(t)+at)
			bad := bases[1] + 5
			for range 2 {
				next, err := readFrom(l, 0)
				require.Equal(t, bad, next)
				require.ErrorIs(t, err, ErrDamaged)
				require.ErrorIs(t, err, kerr.KafkaStorageError)
			}
			require.Equal(t, 1, told)
			require.Equal(t, Damage{File: path, Pos: 5 * batchSize(t), Offset: bad, Cause: l.Damage().Cause, Within: true}, *l.Damage())
			_, err := readFrom(l, bases[2])
			require.NoError(t, err)
			require.NoError(t, l.Failure())
			mustAppend(t, l, plain(t, "more"))
			waitDurable(t, l, 101)
			require.NoError(t, l.RestartAt(0))
			require.Nil(t, l.Damage())
			require.NoError(t, l.Close())
		})
	}
}

func TestCompactionDoesNotMakeDamagedRecordsGoodOnes(t *testing.T) {
	fs := fsys.NewMem()
	opts := testOptions(t, fs)
	opts.Config.SegmentBytes, opts.Config.Compact, opts.Config.DirtyRatioMin = 1<<11, true, 0.01
	bases := written100(t, opts)
	opts.Clean, opts.RecoveryPoint = true, 100
	l := mustOpen(t, opts)
	l.SetHighWatermark(100)
	flip(t, fs, segmentFile(fs, testDir, bases[1], logSuffix), 5*batchSize(t)+70)
	_, err := l.Compact(context.Background())
	require.ErrorIs(t, err, ErrDamaged)
	require.Equal(t, bases[1]+5, l.Damage().Offset)
	require.NoError(t, l.Close())
}

func TestASegmentThatIsMissingAfterAnOrderlyStopIsDamage(t *testing.T) {
	for missing, want := range map[string]struct {
		i      int
		within bool
	}{"first": {0, true}, "middle": {2, false}, "last": {-1, false}} {
		t.Run(missing, func(t *testing.T) {
			fs := fsys.NewMem()
			opts := testOptions(t, fs)
			opts.Config.SegmentBytes = 1 << 11
			bases := written100(t, opts)
			i := (want.i + len(bases)) % len(bases)
			require.NoError(t, fs.Remove(segmentFile(fs, testDir, bases[i], logSuffix)))
			opts.Clean, opts.RecoveryPoint = true, 100
			for range 2 { // a start changes nothing about that
				l := mustOpen(t, opts)
				require.NotNil(t, l.Damage())
				require.Equal(t, bases[i], l.Damage().Offset)
				require.Equal(t, want.within, l.Damage().Within)
				require.Zero(t, l.LogStart())
				next, err := readFrom(l, 0)
				require.Equal(t, bases[i], next)
				if want.within {
					require.ErrorIs(t, err, ErrDamaged)
					_, err = readFrom(l, bases[i+1])
				}
				require.NoError(t, err)
				require.NoError(t, l.Close())
			}
			if want.within { // it can be given up
				l := mustOpen(t, opts)
				l.SetHighWatermark(100)
				start, err := l.DeleteRecordsBefore(bases[i+1])
				require.NoError(t, err)
				require.NoError(t, l.Close())
				opts.LogStart = start
				l = mustOpen(t, opts)
				require.Nil(t, l.Damage())
				require.NoError(t, l.Close())
			}
		})
	}
}

func TestBytesThatCannotBeReadAtAnOrderlyStartAreDamage(t *testing.T) {
	fs := fsys.NewMem()
	opts := testOptions(t, fs)
	opts.Config.SegmentBytes = 1 << 11
	bases := written100(t, opts)
	flip(t, fs, segmentFile(fs, testDir, bases[1], logSuffix), 2*batchSize(t)+9) // the length of a batch
	require.NoError(t, fs.Remove(fs.PathJoin(testDir, fmt.Sprintf("%020d%s", 100, snapshotSuffix))))
	opts.Clean, opts.RecoveryPoint = true, 100
	l := mustOpen(t, opts)
	next, _ := readFrom(l, 0)
	require.Equal(t, bases[1]+2, next)
	require.NoError(t, l.Close())
}
