package kafka_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
)

func TestMembersOfAGroupShareATopic(t *testing.T) {
	for name, balancer := range map[string]kgo.GroupBalancer{
		"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(), "sticky": kgo.StickyBalancer(), "cooperative-sticky": kgo.CooperativeStickyBalancer(),
	} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t)
			cl := client(t, n)
			createTopic(t, cl, "a", 4, nil)
			want := values("v", 400)
			for i, v := range want {
				cl.Produce(t.Context(), &kgo.Record{Topic: "a", Key: fmt.Append(nil, i), Value: []byte(v)}, nil)
			}
			require.NoError(t, cl.Flush(t.Context()))
			drain(t, n, 3, want, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("a"), kgo.Balancers(balancer), kgo.DisableAutoCommit())
		})
	}
}

func TestAGroupGoesOnWhereItCommitted(t *testing.T) {
	fs := fsys.NewMem()
	n, err := nodetest.Open(t.Context(), node.Config{FS: fs, Kafka: "127.0.0.1:0"})
	require.NoError(t, err)
	func() {
		cl, err := kgo.NewClient(kgo.SeedBrokers(n.KafkaAddr().String()), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("a"), kgo.DisableAutoCommit())
		require.NoError(t, err)
		defer cl.Close()
		createTopic(t, cl, "a", 1, nil)
		produce(t, cl, "a", values("v", 10))
		require.Len(t, consume(t.Context(), t, cl, 10), 10)
		require.NoError(t, cl.CommitUncommittedOffsets(t.Context()))
		produce(t, cl, "a", values("w", 3))
	}()
	require.NoError(t, n.Close())
	n = nodetest.Start(t, node.Config{FS: fs, Kafka: "127.0.0.1:0"})
	cl := client(t, n, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("a"))
	require.Equal(t, values("w", 3), consume(t.Context(), t, cl, 3))
}

func TestAStaticMemberThatRestartsKeepsItsPartitionsWithoutARebalance(t *testing.T) {
	n := startNode(t)
	join := func() *kgo.Client {
		cl, err := kgo.NewClient(kgo.SeedBrokers(n.KafkaAddr().String()), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("a"), kgo.InstanceID("one"), kgo.DisableAutoCommit())
		require.NoError(t, err)
		return cl
	}
	createTopic(t, client(t, n), "a", 2, nil)
	produce(t, client(t, n), "a", values("v", 1))
	first := join()
	consume(t.Context(), t, first, 1)
	_, generation := first.GroupMetadata()
	first.Close() // a static member does not leave
	second := join()
	defer second.Close()
	consume(t.Context(), t, second, 1)
	_, again := second.GroupMetadata()
	require.Equal(t, generation, again)
}

func TestAMemberThatFallsSilentIsReplaced(t *testing.T) {
	n := startNode(t)
	createTopic(t, client(t, n), "a", 1, nil)
	produce(t, client(t, n), "a", values("v", 1))
	join := func(extra ...kgo.Opt) *kgo.Client {
		cl, err := kgo.NewClient(append(extra, kgo.SeedBrokers(n.KafkaAddr().String()), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("a"),
			kgo.SessionTimeout(time.Second), kgo.HeartbeatInterval(100*time.Millisecond), kgo.DisableAutoCommit())...)
		require.NoError(t, err)
		return cl
	}
	silent := join(kgo.InstanceID("silent"))
	consume(t.Context(), t, silent, 1)
	silent.Close()
	heir := join()
	defer heir.Close()
	require.Equal(t, values("v", 1), consume(t.Context(), t, heir, 1))
}

func TestGroupsAreListedDescribedAndDeleted(t *testing.T) {
	n := startNode(t)
	cl, err := kgo.NewClient(kgo.SeedBrokers(n.KafkaAddr().String()), kgo.ConsumerGroup("g"), kgo.ConsumeTopics("a"), kgo.ClientID("me"))
	require.NoError(t, err)
	defer cl.Close()
	createTopic(t, cl, "a", 1, nil)
	produce(t, cl, "a", values("v", 1))
	consume(t.Context(), t, cl, 1)
	require.NoError(t, cl.CommitUncommittedOffsets(t.Context()))
	adm := kadm.NewClient(client(t, n))
	groups, err := adm.ListGroups(t.Context())
	require.NoError(t, err)
	require.Contains(t, groups.Groups(), "g")
	d, err := adm.DescribeGroups(t.Context(), "g", "nobody")
	require.NoError(t, err)
	require.Equal(t, "Stable", d["g"].State)
	require.Len(t, d["g"].Members, 1)
	require.Equal(t, "me", d["g"].Members[0].ClientID)
	require.NotEqual(t, "Stable", d["nobody"].State)
	lag, err := adm.Lag(t.Context(), "g")
	require.NoError(t, err)
	require.EqualValues(t, 0, lag["g"].Lag.Total())
	_, err = adm.DeleteGroup(t.Context(), "g")
	require.ErrorIs(t, err, kerr.NonEmptyGroup)
	cl.LeaveGroup()
	_, err = adm.DeleteGroup(t.Context(), "g")
	require.NoError(t, err)
	offsets, err := adm.FetchOffsets(t.Context(), "g")
	require.NoError(t, err)
	require.Empty(t, offsets)
}

func TestGroupsOfPersistentQueriesAreShownAndNotJoined(t *testing.T) {
	n := startNode(t)
	cl := client(t, n)
	createTopic(t, cl, "a", 1, nil)
	db := nodetest.Connect(t, nodetest.ConnString(n))
	_, err := db.Exec(t.Context(), "CREATE STREAM a (x bigint) WITH (topic = 'a', value_format = 'json'); CREATE TABLE counts AS SELECT x, count(*) FROM a GROUP BY x")
	require.NoError(t, err)
	adm := kadm.NewClient(cl)
	groups, err := adm.ListGroups(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, groups.Groups())
	group := groups.Groups()[0]
	require.Contains(t, group, "millrace-query-")
	offsets := kadm.Offsets{}
	offsets.AddOffset("a", 0, 0, -1)
	committed, err := adm.CommitOffsets(t.Context(), group, offsets)
	require.NoError(t, err)
	require.ErrorIs(t, committed.Error(), kerr.GroupAuthorizationFailed)
}

func TestAGroupCanBeDeletedAsSoonAsItsLastMemberHasLeft(t *testing.T) {
	n := startNode(t)
	cl := client(t, n)
	createTopic(t, cl, "a", 1, nil)
	produce(t, cl, "a", values("v", 1))
	for range 5 {
		member := client(t, n, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("a"))
		consume(t.Context(), t, member, 1)
		require.NoError(t, member.LeaveGroupContext(t.Context()))
		deleted, err := kadm.NewClient(cl).DeleteGroups(t.Context(), "g")
		require.NoError(t, err)
		require.NoError(t, deleted.Error())
	}
}
