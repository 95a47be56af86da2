package coordinator

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/record"
)

// TestRecordsHaveKafkasFormat pins the bytes of every kind of record, which docs/formats/coordinator.md draws.
func TestRecordsHaveKafkasFormat(t *testing.T) {
	ongoing := txn{
		id: "tx", producerID: 7, epoch: 2, lastEpoch: noProducerEpoch, prevProducerID: noProducerID, nextProducerID: noProducerID,
		timeoutMillis: 60_000, state: stateOngoing, version: 2, startMillis: 1000, updateMillis: 2000,
		parts: []TopicPartition{{"in", 0}, {"out", 0}, {"out", 1}},
	}
	set := newRecordSet(1000)
	set.addGroup("g", 3, groupProtocols{groupProtocolType, groupProtocol, "m"}, []GroupMember{{ID: "m"}})
	require.NoError(t, set.err)
	group, err := set.b.Finish(nil)
	require.NoError(t, err)
	var it record.Iterator
	require.NoError(t, it.Reset(group))
	require.True(t, it.Next())
	key := offsetKey{"g", TopicPartition{"out", 1}}
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"transaction key", encodeTxnKey("tx"), "0000" + "00027478"},
		{
			"transaction value", encodeTxnValue(ongoing), "0001" + "0000000000000007" + "0002" + "0000ea60" + "01" +
				"03" + "03696e" + "02" + "00000000" + "00" + "046f7574" + "03" + "00000000" + "00000001" + "00" +
				"00000000000007d0" + "00000000000003e8" + "01" + "0202" + "0002",
		},
		{"offset key", encodeOffsetKey(key), "0001" + "000167" + "00036f7574" + "00000001"},
		{
			"offset value", encodeOffsetValue(committed{offset: 5, leaderEpoch: 4, metadata: "m", commitMillis: 1000}),
			"0003" + "0000000000000005" + "00000004" + "00016d" + "00000000000003e8",
		},
		{"group key", encodeGroupKey("g"), "0002" + "000167"},
		{
			"group value", it.Record.Value, "0003" + "0008636f6e73756d6572" + "00000003" + "00086d696c6c72616365" + "00016d" +
				"00000000000003e8" + "00000001" + "00016d" + "ffff" + "0000" + "0000" + "ffffffff" + "00000000" + "00000000" + "00000000",
		},
	} {
		require.Equal(t, c.want, hex.EncodeToString(c.got), c.name)
	}
}

// FuzzReplay feeds records of any bytes to the loaders: damage is an error, never a panic.
func FuzzReplay(f *testing.F) {
	f.Add(encodeTxnKey("tx"), encodeTxnValue(newTxn("tx", 7, 0)))
	f.Add(encodeOffsetKey(offsetKey{"g", TopicPartition{"out", 1}}), encodeOffsetValue(committed{offset: 5}))
	f.Add(encodeGroupKey("g"), []byte{0, 3, 0, 0})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if id, ok, err := decodeTxnKey(key); err == nil && ok {
			if s, err := decodeTxnValue(id, value); err == nil {
				_, _ = decodeTxnValue(id, encodeTxnValue(s))
			}
		}
		if _, ok, err := decodeOffsetKey(key); err == nil && ok {
			_, _ = decodeOffsetValue(value, 0)
		}
		if _, ok, err := decodeGroupKey(key); err == nil && ok {
			_, _, _, _ = decodeGroupValue(value)
		}
	})
}
