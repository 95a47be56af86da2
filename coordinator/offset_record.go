package coordinator

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/record"
)

// Versions of the records in __consumer_offsets. The version of a key tells its kind: 0 and 1 are offsets, 2 is a group.
const (
	offsetKeyVersion   = 1
	offsetValueVersion = 3
	groupKeyVersion    = 2
	groupValueVersion  = 3

	// Names under which the groups that SetGroup makes appear in Kafka's tools.
	groupProtocolType = "consumer"
	groupProtocol     = "millrace"
)

func encodeOffsetKey(k offsetKey) []byte {
	key := kmsg.OffsetCommitKey{Version: offsetKeyVersion, Group: k.group, Topic: k.Topic, Partition: k.Partition}
	return key.AppendTo(nil)
}

func encodeOffsetValue(c committed) []byte {
	v := kmsg.NewOffsetCommitValue()
	v.Version = offsetValueVersion
	v.Offset, v.LeaderEpoch, v.Metadata, v.CommitTimestamp = c.offset, c.leaderEpoch, c.metadata, c.commitMillis
	return v.AppendTo(nil)
}

func encodeGroupKey(id string) []byte {
	key := kmsg.GroupMetadataKey{Version: groupKeyVersion, Group: id}
	return key.AppendTo(nil)
}

// addGroup appends a generation of a classic group.
func (r *recordSet) addGroup(id string, generation int32, how groupProtocols, members []GroupMember) {
	v := kmsg.NewGroupMetadataValue()
	v.Version = groupValueVersion
	v.ProtocolType = how.protocolType
	v.Generation = generation
	v.CurrentStateTimestamp = r.now
	v.Members = []kmsg.GroupMetadataValueMember{}
	if how.protocol != "" {
		v.Protocol = kmsg.StringPtr(how.protocol)
	}
	if how.leader != "" {
		v.Leader = kmsg.StringPtr(how.leader)
	}
	for _, m := range members {
		vm := kmsg.NewGroupMetadataValueMember()
		vm.MemberID, vm.InstanceID, vm.ClientID, vm.ClientHost = m.ID, m.InstanceID, m.ClientID, m.ClientHost
		vm.Subscription, vm.Assignment = m.Subscription, m.Assignment
		if m.SessionTimeout > 0 {
			vm.SessionTimeoutMillis, vm.RebalanceTimeoutMillis = int32(m.SessionTimeout.Milliseconds()), int32(m.RebalanceTimeout.Milliseconds())
		}
		v.Members = append(v.Members, vm)
	}
	if r.err == nil {
		r.err = r.b.Append(r.now, encodeGroupKey(id), v.AppendTo(nil))
	}
}

// encodeOffsets makes the batch of one commit; opts says whether it is part of a transaction.
func encodeOffsets(opts record.BatchOptions, groupID string, tps []TopicPartition, offsets []committed) ([]byte, error) {
	var b record.Builder
	b.Reset(opts)
	for i, tp := range tps {
		if err := b.Append(offsets[i].commitMillis, encodeOffsetKey(offsetKey{groupID, tp}), encodeOffsetValue(offsets[i])); err != nil {
			return nil, err
		}
	}
	return b.Finish(nil)
}

// encodeTombstones makes a batch that deletes keys.
func encodeTombstones(keys [][]byte, now int64) ([]byte, error) {
	var b record.Builder
	b.Reset(record.BatchOptions{})
	for _, key := range keys {
		if err := b.Append(now, key, nil); err != nil {
			return nil, err
		}
	}
	return b.Finish(nil)
}

// decodeOffsetKey returns ok = false if the key is not an offset's.
func decodeOffsetKey(key []byte) (k offsetKey, ok bool, err error) {
	if len(key) < 2 {
		return k, false, fmt.Errorf("offset log: key of %d bytes", len(key))
	}
	if binary.BigEndian.Uint16(key) > offsetKeyVersion {
		return k, false, nil
	}
	var m kmsg.OffsetCommitKey
	if err := m.ReadFrom(key); err != nil {
		return k, false, fmt.Errorf("offset log: key: %w", err)
	}
	return offsetKey{m.Group, TopicPartition{m.Topic, m.Partition}}, true, nil
}

func decodeOffsetValue(value []byte, position int64) (committed, error) {
	v := kmsg.NewOffsetCommitValue()
	if err := v.ReadFrom(value); err != nil {
		return committed{}, fmt.Errorf("offset log: value: %w", err)
	}
	return committed{
		offset: v.Offset, leaderEpoch: v.LeaderEpoch, metadata: v.Metadata, commitMillis: v.CommitTimestamp, position: position,
	}, nil
}

// decodeGroupKey returns ok = false if the key is not a group's.
func decodeGroupKey(key []byte) (id string, ok bool, err error) {
	if len(key) < 2 || binary.BigEndian.Uint16(key) != groupKeyVersion {
		return "", false, nil
	}
	var m kmsg.GroupMetadataKey
	if err := m.ReadFrom(key); err != nil {
		return "", false, fmt.Errorf("offset log: group key: %w", err)
	}
	return m.Group, true, nil
}

func decodeGroupValue(value []byte) (generation int32, how groupProtocols, members []GroupMember, err error) {
	v := kmsg.NewGroupMetadataValue()
	if err := v.ReadFrom(value); err != nil {
		return 0, how, nil, fmt.Errorf("offset log: group value: %w", err)
	}
	how.protocolType = v.ProtocolType
	if v.Protocol != nil {
		how.protocol = *v.Protocol
	}
	if v.Leader != nil {
		how.leader = *v.Leader
	}
	for _, m := range v.Members {
		members = append(members, GroupMember{
			ID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, ClientHost: m.ClientHost,
			Subscription: append([]byte(nil), m.Subscription...), Assignment: append([]byte(nil), m.Assignment...),
			SessionTimeout:   time.Duration(max(m.SessionTimeoutMillis, 0)) * time.Millisecond,
			RebalanceTimeout: time.Duration(max(m.RebalanceTimeoutMillis, 0)) * time.Millisecond,
		})
	}
	return v.Generation, how, members, nil
}
