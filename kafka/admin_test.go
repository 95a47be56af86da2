package kafka_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestSettingsOfTopicsAreShownAndChanged(t *testing.T) {
	n := startNode(t)
	cl := client(t, n)
	adm := kadm.NewClient(cl)
	createTopic(t, cl, "a", 1, map[string]*string{"cleanup.policy": kadm.StringPtr("compact")})
	value := func(name string) string {
		all, err := adm.DescribeTopicConfigs(t.Context(), "a")
		require.NoError(t, err)
		for _, c := range all[0].Configs {
			if c.Key == name {
				return *c.Value
			}
		}
		t.Fatalf("no setting %s", name)
		return ""
	}
	require.Equal(t, "compact", value("cleanup.policy"))
	require.Equal(t, "604800000", value("retention.ms"))
	alter := func(op kadm.IncrementalOp, name, to string) error {
		res, err := adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: op, Name: name, Value: &to}}, "a")
		require.NoError(t, err)
		return res[0].Err
	}
	require.NoError(t, alter(kadm.AppendConfig, "cleanup.policy", "delete"))
	require.Equal(t, "compact,delete", value("cleanup.policy"))
	require.NoError(t, alter(kadm.SetConfig, "retention.ms", "1000"))
	require.Equal(t, "1000", value("retention.ms"))
	require.NoError(t, alter(kadm.DeleteConfig, "retention.ms", ""))
	require.Equal(t, "604800000", value("retention.ms"))
	require.ErrorIs(t, alter(kadm.SetConfig, "retention.ms", "soon"), kerr.InvalidConfig)
	require.ErrorIs(t, alter(kadm.SetConfig, "no.such", "1"), kerr.InvalidConfig)
}

func TestThrottlesOfReplicationAreShownAndChanged(t *testing.T) {
	n := startNode(t)
	cl := client(t, n)
	adm := kadm.NewClient(cl)
	createTopic(t, cl, "a", 1, nil)
	const rate = "leader.replication.throttled.rate"
	value := func(brokers ...int32) (string, kmsg.ConfigSource) {
		all, err := adm.DescribeBrokerConfigs(t.Context(), brokers...)
		require.NoError(t, err)
		for _, c := range all[0].Configs {
			if c.Key == rate {
				return *c.Value, c.Source
			}
		}
		t.Fatal("it is not described")
		return "", 0
	}
	alter := func(op kadm.IncrementalOp, name, to string, brokers ...int32) error {
		res, err := adm.AlterBrokerConfigs(t.Context(), []kadm.AlterConfig{{Op: op, Name: name, Value: &to}}, brokers...)
		require.NoError(t, err)
		return res[0].Err
	}
	is := func(want string, source kmsg.ConfigSource, brokers ...int32) {
		t.Helper()
		v, from := value(brokers...)
		require.Equal(t, want, v)
		require.Equal(t, source, from)
	}
	is("9223372036854775807", kmsg.ConfigSourceDefaultConfig, 1)
	require.NoError(t, alter(kadm.SetConfig, rate, "1000000", 1))
	is("1000000", kmsg.ConfigSourceDynamicBrokerConfig, 1)
	require.NoError(t, alter(kadm.SetConfig, rate, "5"))
	is("5", kmsg.ConfigSourceDynamicDefaultBrokerConfig)
	require.NoError(t, alter(kadm.DeleteConfig, rate, "", 1))
	is("9223372036854775807", kmsg.ConfigSourceDefaultConfig, 1)
	require.ErrorIs(t, alter(kadm.SetConfig, rate, "-1", 1), kerr.InvalidConfig)
	require.ErrorIs(t, alter(kadm.SetConfig, "log.dirs", "x", 1), kerr.InvalidConfig)

	throttled := func(list string) error {
		res, err := adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "leader.replication.throttled.replicas", Value: &list}}, "a")
		require.NoError(t, err)
		return res[0].Err
	}
	require.NoError(t, throttled("0:1,1:2"))
	require.ErrorIs(t, throttled("everything"), kerr.InvalidConfig)
}

func TestPartitionsAreAddedAndRecordsDeleted(t *testing.T) {
	n := startNode(t)
	cl := client(t, n)
	adm := kadm.NewClient(cl)
	createTopic(t, cl, "a", 1, nil)
	produce(t, cl, "a", values("v", 10))
	res, err := adm.CreatePartitions(t.Context(), 2, "a")
	require.NoError(t, err)
	require.NoError(t, res.Error())
	topics, err := adm.ListTopics(t.Context(), "a")
	require.NoError(t, err)
	require.Len(t, topics["a"].Partitions, 3)
	offsets := kadm.Offsets{}
	offsets.AddOffset("a", 0, 4, -1)
	deleted, err := adm.DeleteRecords(t.Context(), offsets)
	require.NoError(t, err)
	require.NoError(t, deleted.Error())
	start, err := adm.ListStartOffsets(t.Context(), "a")
	require.NoError(t, err)
	first, ok := start.Lookup("a", 0)
	require.True(t, ok)
	require.EqualValues(t, 4, first.Offset)
}

func TestTheClusterIsDescribed(t *testing.T) {
	n := startNode(t)
	m, err := kadm.NewClient(client(t, n)).BrokerMetadata(t.Context())
	require.NoError(t, err)
	require.Equal(t, n.Identity().ClusterID, m.Cluster)
	require.Len(t, m.Brokers, 1)
	require.Equal(t, n.KafkaAddr().String(), m.Brokers[0].Host+":"+strconv.Itoa(int(m.Brokers[0].Port)))
}
