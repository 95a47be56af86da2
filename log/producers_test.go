package log

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
)

// from is a batch of n records of a producer.
func from(t testing.TB, pid int64, epoch int16, seq int32, n int, txn bool) []byte {
	vs := make([]string, n)
	for i := range vs {
		vs[i] = "v"
	}
	return values(t, record.BatchOptions{Idempotent: true, ProducerID: pid, ProducerEpoch: epoch, BaseSequence: seq, Transactional: txn}, vs...)
}

func marker(t testing.TB, l *Log, m record.Marker) error {
	t.Helper()
	_, err := l.Append(record.AppendControl(nil, m, 0), AppendInfo{Origin: Coordinator})
	return err
}

// TestProducerTable is the table of answers to an idempotent producer. Each case begins with producer 7 at epoch 3, which has
// written seven batches of two records: sequences 0 to 13, at offsets 0 to 13.
func TestProducerTable(t *testing.T) {
	cases := map[string]struct {
		pid   int64
		epoch int16
		seq   int32
		n     int
		txn   bool
		want  error
		dupOf int64 // base offset of the duplicate, -1 if the batch is new
	}{
		"next sequence":                           {7, 3, 14, 2, false, nil, -1},
		"last batch again":                        {7, 3, 12, 2, false, nil, 12},
		"oldest batch that is kept":               {7, 3, 4, 2, false, nil, 4},
		"older than the five kept":                {7, 3, 2, 2, false, kerr.OutOfOrderSequenceNumber, -1},
		"same first sequence, other length":       {7, 3, 12, 1, false, kerr.OutOfOrderSequenceNumber, -1},
		"a gap":                                   {7, 3, 15, 1, false, kerr.OutOfOrderSequenceNumber, -1},
		"higher epoch at sequence 0":              {7, 4, 0, 1, false, nil, -1},
		"higher epoch elsewhere":                  {7, 4, 1, 1, false, kerr.OutOfOrderSequenceNumber, -1},
		"lower epoch":                             {7, 2, 14, 1, false, kerr.InvalidProducerEpoch, -1},
		"unknown producer with any sequence":      {8, 0, 99, 1, false, nil, -1},
		"unknown producer whose sequence wraps":   {8, 0, math.MaxInt32, 2, false, nil, -1},
		"transaction after non-transactional use": {7, 3, 14, 1, true, nil, -1},
	}
	for name, c := range cases {
		for _, reopened := range []bool{false, true} {
			if reopened && c.dupOf == 4 {
				continue // a snapshot has only the last batch
			}
			t.Run(name, func(t *testing.T) {
				opts := testOptions(t, fsys.NewMem())
				l := mustOpen(t, opts)
				for i := range int32(7) {
					mustAppend(t, l, from(t, 7, 3, 2*i, 2, false))
				}
				if reopened {
					require.NoError(t, l.Close())
					opts.Clean = true
					l = mustOpen(t, opts)
				}
				res, err := l.Append(from(t, c.pid, c.epoch, c.seq, c.n, c.txn), AppendInfo{})
				require.ErrorIs(t, err, c.want)
				require.Equal(t, c.dupOf >= 0, res.Duplicate)
				switch {
				case res.Duplicate:
					require.Equal(t, c.dupOf, res.BaseOffset)
					require.Equal(t, int64(14), l.LEO())
				case err == nil:
					require.Equal(t, int64(14), res.BaseOffset)
				default:
					require.Equal(t, int64(14), l.LEO())
				}
				require.NoError(t, l.Close())
			})
		}
	}
}

func TestSequencesWrapAtTheirEnd(t *testing.T) {
	l := mustOpen(t, testOptions(t, fsys.NewMem()))
	mustAppend(t, l, from(t, 1, 0, math.MaxInt32-1, 2, false))
	mustAppend(t, l, from(t, 1, 0, 0, 1, false))
	require.NoError(t, l.Close())
}

func TestReplicasAreNeverRefused(t *testing.T) {
	l := mustOpen(t, testOptions(t, fsys.NewMem()))
	for _, f := range [][]byte{from(t, 1, 5, 0, 1, false), from(t, 1, 5, 77, 1, false), from(t, 1, 4, 0, 1, true)} {
		record.SetBaseOffset(f, l.LEO()+10) // compaction on the leader may leave gaps
		_, err := l.Append(f, AppendInfo{Origin: Replica})
		require.NoError(t, err)
	}
	require.Equal(t, int64(33), l.LEO())
	stale := from(t, 1, 5, 0, 1, false)
	_, err := l.Append(stale, AppendInfo{Origin: Replica})
	require.ErrorIs(t, err, kerr.CorruptMessage, "an offset that is taken")
	require.NoError(t, l.Close())
}

func TestMarkersAreFenced(t *testing.T) {
	l := mustOpen(t, testOptions(t, fsys.NewMem()))
	mustAppend(t, l, from(t, 1, 3, 0, 1, true))
	require.ErrorIs(t, marker(t, l, record.Marker{ProducerID: 1, ProducerEpoch: 2, CoordinatorEpoch: 9}), kerr.InvalidProducerEpoch)
	require.NoError(t, marker(t, l, record.Marker{ProducerID: 1, ProducerEpoch: 3, CoordinatorEpoch: 9}))
	require.ErrorIs(t, marker(t, l, record.Marker{ProducerID: 1, ProducerEpoch: 3, CoordinatorEpoch: 8}), kerr.TransactionCoordinatorFenced)
	require.NoError(t, marker(t, l, record.Marker{ProducerID: 1, ProducerEpoch: 4, CoordinatorEpoch: 9}), "KIP-890: the end of a transaction raises the epoch")
	_, err := l.Append(from(t, 1, 3, 1, 1, true), AppendInfo{})
	require.ErrorIs(t, err, kerr.InvalidProducerEpoch, "a late batch of the old epoch")
	_, err = l.Append(from(t, 1, 4, 1, 1, true), AppendInfo{})
	require.ErrorIs(t, err, kerr.OutOfOrderSequenceNumber, "the new epoch begins at 0")
	mustAppend(t, l, from(t, 1, 4, 0, 1, true))
	_, err = l.Append(from(t, 1, 4, 1, 1, false), AppendInfo{})
	require.ErrorIs(t, err, kerr.InvalidTxnState, "outside its open transaction")
	_, err = l.Append(record.AppendControl(nil, record.Marker{ProducerID: 1, ProducerEpoch: 4}, 0), AppendInfo{})
	require.ErrorIs(t, err, kerr.InvalidRecord, "clients write no markers")
	require.NoError(t, l.Close())
}

func TestFirstBatchOfATransactionMustBeVerified(t *testing.T) {
	l := mustOpen(t, testOptions(t, fsys.NewMem()))
	info := AppendInfo{RequireVerified: true}
	_, err := l.Append(from(t, 1, 0, 0, 1, true), info)
	require.ErrorIs(t, err, kerr.InvalidTxnState)
	info.Guard = l.BeginVerification(1, 0)
	require.NotZero(t, info.Guard)
	require.NoError(t, marker(t, l, record.Marker{ProducerID: 1}))
	_, err = l.Append(from(t, 1, 0, 0, 1, true), info)
	require.ErrorIs(t, err, kerr.InvalidTxnState, "a marker came between")
	info.Guard = l.BeginVerification(1, 0)
	_, err = l.Append(from(t, 1, 0, 0, 1, true), info)
	require.NoError(t, err)
	require.Zero(t, l.BeginVerification(1, 0), "it is open")
	_, err = l.Append(from(t, 1, 0, 1, 1, true), AppendInfo{RequireVerified: true})
	require.NoError(t, err)
	require.NoError(t, l.Close())
}

// TestALostTransactionIsAbortedBeforeTheNext: a transaction that its coordinator has lost is open in the partition when its producer, fenced in the meantime, comes with the next one.
func TestALostTransactionIsAbortedBeforeTheNext(t *testing.T) {
	next := from(t, 1, 5, 0, 1, true)
	cases := map[string]struct {
		frame   []byte
		version int16
		want    []record.AbortedTxn
		err     error
	}{
		"the next one writes":                 {next, 0, []record.AbortedTxn{{ProducerID: 1, FirstOffset: 0}}, nil},
		"a batch outside transactions":        {from(t, 1, 4, 0, 1, false), 0, []record.AbortedTxn{{ProducerID: 1, FirstOffset: 0}}, nil},
		"the next one commits without a word": {commitMarker(5), 2, []record.AbortedTxn{{ProducerID: 1, FirstOffset: 0}}, nil},
		"the same, of an unknown version":     {commitMarker(5), 0, []record.AbortedTxn{{ProducerID: 1, FirstOffset: 0}}, nil},
		"the one before is committed again":   {commitMarker(3), 2, []record.AbortedTxn{{ProducerID: 1, FirstOffset: 0}}, kerr.InvalidProducerEpoch},
		"its own commit":                      {commitMarker(4), 2, nil, nil},
		"its own commit, of an old client":    {commitMarker(3), 0, nil, nil},
		"its own, an older client's":          {commitMarker(4), 0, nil, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			l := mustOpen(t, testOptions(t, fsys.NewMem()))
			mustAppend(t, l, from(t, 1, 3, 0, 1, true))
			_, err := l.Append(c.frame, AppendInfo{Origin: Coordinator, TransactionVersion: c.version})
			require.ErrorIs(t, err, c.err)
			aborted, err := l.AbortedTransactions(0, l.LEO())
			require.NoError(t, err)
			require.Equal(t, c.want, aborted)
			require.NoError(t, l.Close())
		})
	}
	l := mustOpen(t, testOptions(t, fsys.NewMem()))
	mustAppend(t, l, from(t, 1, 3, 0, 1, true))
	mustAppend(t, l, next)
	require.Equal(t, int64(2), l.LastStableOffset(3), "the marker is between the two")
	_, err := l.Append(from(t, 1, 3, 1, 1, true), AppendInfo{})
	require.ErrorIs(t, err, kerr.InvalidProducerEpoch, "its producer is told")
	require.NoError(t, l.Close())
}

// TestAMarkerThatComesTwiceEndsOneTransaction: a coordinator that had no answer has sent it again, and the producer, whose next transaction has the epoch of the marker, was faster than the first.
func TestAMarkerThatComesTwiceEndsOneTransaction(t *testing.T) {
	l := mustOpen(t, testOptions(t, fsys.NewMem()))
	commit := func(coordinatorEpoch int32) error {
		frame := record.AppendControl(nil, record.Marker{ProducerID: 1, ProducerEpoch: 4, CoordinatorEpoch: coordinatorEpoch, Commit: true}, 0)
		_, err := l.Append(frame, AppendInfo{Origin: Coordinator, TransactionVersion: 2})
		return err
	}
	mustAppend(t, l, from(t, 1, 3, 0, 1, true))
	require.NoError(t, commit(9))
	require.NoError(t, commit(9), "the next has not begun")
	mustAppend(t, l, from(t, 1, 4, 0, 1, true))
	require.ErrorIs(t, commit(9), kerr.InvalidProducerEpoch)
	require.Len(t, l.OpenTransactions(), 1)
	require.ErrorIs(t, commit(10), kerr.InvalidProducerEpoch, "a later coordinator ends the first again: it has lost the second")
	require.Empty(t, l.OpenTransactions())
	require.NoError(t, l.Close())
}

func commitMarker(epoch int16) []byte {
	return record.AppendControl(nil, record.Marker{ProducerID: 1, ProducerEpoch: epoch, Commit: true}, 0)
}

func TestStableOffsetWaitsForTheMarkerToBeReplicated(t *testing.T) {
	opts := testOptions(t, fsys.NewMem())
	l := mustOpen(t, opts)
	mustAppend(t, l, plain(t, "x"))             // 0
	mustAppend(t, l, from(t, 1, 0, 0, 1, true)) // 1
	mustAppend(t, l, from(t, 2, 0, 0, 1, true)) // 2
	mustAppend(t, l, plain(t, "y"))             // 3
	require.Equal(t, int64(1), l.LastStableOffset(4))
	require.Equal(t, int64(0), l.LastStableOffset(0))
	require.NoError(t, marker(t, l, record.Marker{ProducerID: 1})) // 4
	require.Equal(t, int64(1), l.LastStableOffset(4), "the marker is above the high watermark")
	require.Equal(t, int64(2), l.LastStableOffset(5))
	l.SetHighWatermark(5)
	require.NoError(t, marker(t, l, record.Marker{ProducerID: 2, Commit: true})) // 5
	require.Equal(t, int64(2), l.LastStableOffset(5))
	require.Equal(t, int64(6), l.LastStableOffset(6))
	check := func() {
		aborted, err := l.AbortedTransactions(0, 6)
		require.NoError(t, err)
		require.Equal(t, []record.AbortedTxn{{ProducerID: 1, FirstOffset: 1}}, aborted)
		aborted, err = l.AbortedTransactions(5, 6)
		require.NoError(t, err)
		require.Empty(t, aborted)
		aborted, err = l.AbortedTransactions(0, 1)
		require.NoError(t, err)
		require.Empty(t, aborted)
	}
	check()
	require.NoError(t, l.Close())
	for _, clean := range []bool{true, false} {
		opts.Clean = clean
		l = mustOpen(t, opts)
		check()
		require.NoError(t, l.Close())
	}
}

func TestOpenTransactionSurvivesARestart(t *testing.T) {
	for _, clean := range []bool{true, false} {
		opts := testOptions(t, fsys.NewMem())
		l := mustOpen(t, opts)
		mustAppend(t, l, from(t, 1, 0, 0, 1, true))
		require.NoError(t, l.Roll())
		mustAppend(t, l, plain(t, "x"))
		require.NoError(t, l.Close())
		opts.Clean = clean
		l = mustOpen(t, opts)
		require.Zero(t, l.LastStableOffset(2))
		require.Equal(t, int64(0), l.Producers()[0].TxnStart)
		require.NoError(t, l.Close())
	}
}

func TestTornSnapshotIsNotUsed(t *testing.T) {
	fs := fsys.NewMem()
	opts := testOptions(t, fs)
	l := mustOpen(t, opts)
	mustAppend(t, l, from(t, 1, 0, 0, 3, false))
	require.NoError(t, l.Close())
	flip(t, fs, segmentFile(fs, testDir, 3, snapshotSuffix), -1)
	opts.Clean = true
	l = mustOpen(t, opts)
	require.Equal(t, int32(2), l.Producers()[0].LastSequence, "the segments tell as well")
	require.NoError(t, l.Close())
}

func FuzzSnapshot(f *testing.F) {
	f.Add(encodeSnapshot([]*producer{{id: 1, txnFirst: -1}, {id: 2, txnFirst: 7, n: 1}}))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if t, err := decodeSnapshot(data); err == nil {
			encodeSnapshot(t.sorted())
		}
	})
}
