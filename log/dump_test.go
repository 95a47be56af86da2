package log

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
)

func dump(t *testing.T, fs fsys.FS, path string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := DumpFile(&out, fs, path, DumpOptions{Records: true})
	return out.String(), err
}

func TestEveryFileCanBeDumped(t *testing.T) {
	fs := fsys.NewMem()
	m := openManager(t, fs)
	l := openLog(t, m, TopicPartition{"t", 0}, Config{SegmentBytes: 1 << 10, IndexIntervalBytes: 100})
	for _, v := range []string{"one", "two", "\xff"} {
		mustAppend(t, l, plain(t, v))
	}
	mustAppend(t, l, values(t, record.BatchOptions{Idempotent: true, Transactional: true, ProducerID: 5}, "aborted"))
	_, err := l.Append(record.AppendControl(nil, record.Marker{ProducerID: 5, CoordinatorEpoch: 3}, 0), AppendInfo{Origin: Coordinator})
	require.NoError(t, err)
	require.NoError(t, m.Close())
	for path, want := range map[string]string{
		"/data/t-0/00000000000000000000.log":       `key: "o" payload: "one"`,
		"/data/t-0/00000000000000000000.index":     "offset: 1 position: ",
		"/data/t-0/00000000000000000000.timeindex": "timestamp: 1000 offset: 0",
		"/data/t-0/00000000000000000000.txnindex":  "producerId: 5 firstOffset: 3 lastOffset: 4 lastStableOffset: 5",
		"/data/t-0/00000000000000000005.snapshot":  "producerId: 5 producerEpoch: 0 lastSequence: 0 lastOffset: 3 coordinatorEpoch: 3",
		"/data/t-0/leader-epoch-checkpoint":        "0\n1\n0 0\n",
		"/data/recovery-point-offset-checkpoint":   "t 0 5",
	} {
		got, err := dump(t, fs, path)
		require.NoError(t, err)
		require.Contains(t, got, want)
	}
	got, err := dump(t, fs, "/data/t-0/00000000000000000000.log")
	require.NoError(t, err)
	require.Contains(t, got, "payload: 0xff")
	require.Contains(t, got, "endTxnMarker: ABORT coordinatorEpoch: 3")
	flip(t, fs, "/data/t-0/00000000000000000000.log", -1)
	got, err = dump(t, fs, "/data/t-0/00000000000000000000.log")
	require.ErrorIs(t, err, kerr.CorruptMessage)
	require.Equal(t, 5, strings.Count(got, "baseOffset"), "up to the bad batch")
	_, err = dump(t, fs, "/data/nothing.log")
	require.True(t, fsys.IsNotExist(err))
}

func TestRepairGivesUpWhatFollowsTheDamage(t *testing.T) {
	fs := fsys.NewMem()
	tp := TopicPartition{"t", 0}
	m := openManager(t, fs)
	l := openLog(t, m, tp, Config{SegmentBytes: 1 << 10})
	for range 100 {
		mustAppend(t, l, plain(t, "some value"))
	}
	waitDurable(t, l, 100)
	second := l.mu.segments[1]
	damaged := second.next - 1
	require.ErrorContains(t, RepairPartition(&bytes.Buffer{}, fs, "/data", tp), "in use")
	require.NoError(t, m.Close())
	require.NoError(t, fs.Remove("/data/"+cleanStopFile))
	flip(t, fs, second.path, -1)
	require.NoError(t, fs.Remove(second.offset.path))

	m = openManager(t, fs)
	l = openLog(t, m, tp, Config{})
	require.NotNil(t, l.Damage())
	require.NoError(t, m.Close())
	_, err := fs.Stat("/data/" + cleanStopFile)
	require.True(t, fsys.IsNotExist(err), "the next start must look again")
	var out bytes.Buffer
	require.NoError(t, RepairPartition(&out, fs, "/data", tp))
	require.Contains(t, out.String(), "cut at byte")
	m = openManager(t, fs)
	l = openLog(t, m, tp, Config{})
	require.Nil(t, l.Damage())
	require.Equal(t, damaged, l.LEO())
	mustAppend(t, l, plain(t, "more"))
	require.NoError(t, m.Close())
}
