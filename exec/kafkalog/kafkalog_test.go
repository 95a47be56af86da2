package kafkalog

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"go.uber.org/goleak"

	"github.com/millracedb/millrace/exec/logtest"
	"github.com/millracedb/millrace/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestConformsOverKafkasProtocol runs the suite against a cluster that finalised KIP-890's transactions.
func TestConformsOverKafkasProtocol(t *testing.T) {
	logtest.Run(t, func(t *testing.T) logtest.Harness { return open(t, 2) })
}

// TestConformsWithOlderTransactions runs it against one that has the transactions of before, as Kafka 3.9.
func TestConformsWithOlderTransactions(t *testing.T) {
	logtest.Run(t, func(t *testing.T) logtest.Harness { return open(t, 0, kfake.MaxVersions(kversion.V3_9_0())) })
}

func open(t *testing.T, txnVersion int16, opts ...kfake.Opt) logtest.Harness {
	t.Helper()
	cluster, err := kfake.NewCluster(append(opts, kfake.NumBrokers(3), kfake.BrokerConfigs(map[string]string{
		"group.initial.rebalance.delay.ms": "0",
	}))...)
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	l, err := Open(t.Context(), Options{Seeds: cluster.ListenAddrs(), Clock: clock.Real})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	require.Equal(t, txnVersion, l.version)
	a := &admin{client: l.client, members: map[string]string{}}
	return logtest.Harness{
		Log: l, Transport: l.Transport(), CreateTopic: a.createTopic, AddPartitions: a.addPartitions, Join: a.join,
	}
}

// admin does what exec.Log has no methods for.
type admin struct {
	client  *kgo.Client
	members map[string]string // of each group, its only member
}

func (a *admin) createTopic(t *testing.T, topic string, partitions int32) {
	req := kmsg.NewPtrCreateTopicsRequest()
	rt := kmsg.NewCreateTopicsRequestTopic()
	rt.Topic, rt.NumPartitions, rt.ReplicationFactor = topic, partitions, 1
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(t.Context(), a.client)
	require.NoError(t, err)
	require.NoError(t, kerr.ErrorForCode(resp.Topics[0].ErrorCode))
}

func (a *admin) addPartitions(t *testing.T, topic string, total int32) {
	req := kmsg.NewPtrCreatePartitionsRequest()
	rt := kmsg.NewCreatePartitionsRequestTopic()
	rt.Topic, rt.Count = topic, total
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(t.Context(), a.client)
	require.NoError(t, err)
	require.NoError(t, kerr.ErrorForCode(resp.Topics[0].ErrorCode))
}

// join goes through the classic protocol by hand: the old member leaves, a new one joins alone.
func (a *admin) join(t *testing.T, group string) (member string, generation int32) {
	ctx := context.WithoutCancel(t.Context())
	if old := a.members[group]; old != "" {
		leave := kmsg.NewPtrLeaveGroupRequest()
		leave.Group, leave.MemberID = group, old
		leave.Members = []kmsg.LeaveGroupRequestMember{{MemberID: old}}
		resp, err := leave.RequestWith(ctx, a.client)
		require.NoError(t, err)
		require.NoError(t, kerr.ErrorForCode(resp.ErrorCode))
	}
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.ProtocolType = group, "consumer"
	req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 30_000, 30_000
	req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
	var resp *kmsg.JoinGroupResponse
	for range 3 { // the first answer may only hand out a member id (KIP-394)
		var err error
		resp, err = req.RequestWith(ctx, a.client)
		require.NoError(t, err)
		if resp.ErrorCode != kerr.MemberIDRequired.Code {
			break
		}
		req.MemberID = resp.MemberID
	}
	require.NoError(t, kerr.ErrorForCode(resp.ErrorCode))
	sync := kmsg.NewPtrSyncGroupRequest()
	sync.Group, sync.MemberID, sync.Generation = group, resp.MemberID, resp.Generation
	sync.ProtocolType, sync.Protocol = kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
	sync.GroupAssignment = []kmsg.SyncGroupRequestGroupAssignment{{MemberID: resp.MemberID}}
	synced, err := sync.RequestWith(ctx, a.client)
	require.NoError(t, err)
	require.NoError(t, kerr.ErrorForCode(synced.ErrorCode))
	a.members[group] = resp.MemberID
	return resp.MemberID, resp.Generation
}
