package coordinator

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Versions of the records in __transaction_state: key 0; value 1, which has the tagged fields of KIP-890.
const (
	txnKeyVersion   = 0
	txnValueVersion = 1
)

func encodeTxnKey(id string) []byte {
	key := kmsg.TxnMetadataKey{Version: txnKeyVersion, TransactionalID: id}
	return key.AppendTo(nil)
}

func encodeTxnValue(t txn) []byte {
	v := kmsg.NewTxnMetadataValue()
	v.Version = txnValueVersion
	v.ProducerID = t.producerID
	v.ProducerEpoch = t.epoch
	v.TimeoutMillis = t.timeoutMillis
	v.State = t.state
	v.LastUpdateTimestamp = t.updateMillis
	v.StartTimestamp = t.startMillis
	v.PreviousProducerID = t.prevProducerID
	v.NextProducerID = t.nextProducerID
	v.ClientTransactionVersion = t.version
	if t.state != stateEmpty { // EMPTY has null for its partitions, by Kafka's schema
		v.Topics = []kmsg.TxnMetadataValueTopic{}
	}
	for _, tp := range t.parts {
		if n := len(v.Topics); n == 0 || v.Topics[n-1].Topic != tp.Topic {
			topic := kmsg.NewTxnMetadataValueTopic()
			topic.Topic = tp.Topic
			v.Topics = append(v.Topics, topic)
		}
		topic := &v.Topics[len(v.Topics)-1]
		topic.Partitions = append(topic.Partitions, tp.Partition)
	}
	return v.AppendTo(nil)
}

// decodeTxnKey returns ok = false for a key of another kind, which is skipped as Kafka skips it.
func decodeTxnKey(key []byte) (id string, ok bool, err error) {
	if len(key) < 2 {
		return "", false, fmt.Errorf("transaction log: key of %d bytes", len(key))
	}
	if binary.BigEndian.Uint16(key) != txnKeyVersion {
		return "", false, nil
	}
	var k kmsg.TxnMetadataKey
	if err := k.ReadFrom(key); err != nil {
		return "", false, fmt.Errorf("transaction log: key: %w", err)
	}
	return k.TransactionalID, true, nil
}

func decodeTxnValue(id string, value []byte) (txn, error) {
	v := kmsg.NewTxnMetadataValue()
	if err := v.ReadFrom(value); err != nil {
		return txn{}, fmt.Errorf("transaction log: value of %q: %w", id, err)
	}
	t := txn{
		id: id, producerID: v.ProducerID, epoch: v.ProducerEpoch, lastEpoch: noProducerEpoch,
		prevProducerID: v.PreviousProducerID, nextProducerID: v.NextProducerID, timeoutMillis: v.TimeoutMillis,
		state: v.State, version: v.ClientTransactionVersion, startMillis: v.StartTimestamp, updateMillis: v.LastUpdateTimestamp,
	}
	for _, topic := range v.Topics {
		for _, p := range topic.Partitions {
			t.parts = append(t.parts, TopicPartition{topic.Topic, p})
		}
	}
	slices.SortFunc(t.parts, comparePartitions)
	return t, nil
}
