package node_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// growTo starts a node that joins the members, and waits until the cluster knows it.
func growTo(t *testing.T, c []*nodetest.Member, id int32) []*nodetest.Member {
	m := nodetest.NewMember(t, id, c[0].Addr)
	m.Start()
	require.NotNil(t, m.Node)
	c = append(c, m)
	eventually(t, c, []string{"[online]"}, fmt.Sprintf("SELECT state FROM millrace.nodes WHERE id = %d", id))
	return c
}

// replicasAre waits until the partitions of a topic are where they are wanted, all in sync, and nothing is being moved.
func replicasAre(t *testing.T, admin *kadm.Client, topic string, want map[int32][]int32) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for {
		got := map[int32][]int32{}
		inSync := true
		topics, err := admin.ListTopics(ctx, topic)
		if err == nil {
			for _, p := range topics[topic].Partitions {
				got[p.Partition] = p.Replicas
				inSync = inSync && len(p.ISR) == len(p.Replicas)
			}
		}
		moving, lerr := admin.ListPartitionReassignments(ctx, allOf(topic, len(got)))
		if err == nil && lerr == nil && inSync && len(moving) == 0 && fmt.Sprint(got) == fmt.Sprint(want) {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("replicas of %s are %v (in sync: %v), want %v; moving %v (%v, %v)", topic, got, inSync, want, moving, err, lerr)
		}
	}
}

// allOf names all partitions of a topic.
func allOf(topic string, partitions int) kadm.TopicsSet {
	s := kadm.TopicsSet{}
	for p := range partitions {
		s.Add(topic, int32(p))
	}
	return s
}

// TestPartitionsAreMovedWhileTheyAreWrittenAndRead moves every partition of a topic off its node by node, with acknowledged writes and a reader that must miss and repeat nothing, and a query.
func TestPartitionsAreMovedWhileTheyAreWrittenAndRead(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := growTo(t, nodetest.StartCluster(t, 3, func(m *nodetest.Member) { m.Rack = fmt.Sprint("r", m.ID) }), 4)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	conn := nodetest.Connect(t, nodetest.ConnString(c[0].Node))
	require.Equal(t, []string{"1 r1", "2 r2", "3 r3", "4 NULL"}, texts(t, conn, "SELECT id, rack FROM millrace.nodes ORDER BY id"))
	exec(t, conn, "CREATE STREAM s (v INT) WITH (partitions = 3, value_format = 'json', replicas = 2)",
		"CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n, count(DISTINCT v) AS d FROM s")
	producer := kafkaClient(t, c, kgo.DefaultProduceTopic("s"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	admin := kadm.NewClient(producer)
	brokers, err := admin.ListBrokers(ctx)
	require.NoError(t, err)
	require.Equal(t, "r2", *brokers[1].Rack)

	stop, done := make(chan struct{}), make(chan int)
	go func() {
		written := 0
		for {
			select {
			case <-stop:
				done <- written
				return
			default:
			}
			if err := producer.ProduceSync(ctx, kgo.StringRecord(fmt.Sprintf(`{"v":%d}`, written))).FirstErr(); err != nil {
				t.Error(err)
				done <- written
				return
			}
			written++
		}
	}()
	move := func(want map[int32][]int32) {
		t.Helper()
		var req kadm.AlterPartitionAssignmentsReq
		for p, replicas := range want {
			req.Assign("s", p, replicas)
		}
		resp, err := admin.AlterPartitionAssignments(ctx, req)
		require.NoError(t, err)
		require.NoError(t, resp.Error())
		replicasAre(t, admin, "s", want)
	}
	move(map[int32][]int32{0: {4, 1}, 1: {4, 2}, 2: {4, 3}})
	move(map[int32][]int32{0: {2, 3}, 1: {3, 1}, 2: {1, 2}})
	move(map[int32][]int32{0: {4, 2, 3}, 1: {1, 2, 3, 4}, 2: {1}})
	move(map[int32][]int32{0: {1, 2, 3}, 1: {2, 3, 4}, 2: {3, 4, 1}})
	close(stop)
	written := <-done
	require.Positive(t, written)

	consumer := kafkaClient(t, c, kgo.ConsumeTopics("s"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	seen := map[string]int{}
	for len(seen) < written {
		f := consumer.PollFetches(ctx)
		require.NoError(t, ctx.Err(), "read %d of %d", len(seen), written)
		f.EachRecord(func(r *kgo.Record) { seen[string(r.Value)]++ })
	}
	for v, times := range seen {
		require.Equal(t, 1, times, "record %s", v)
	}
	eventually(t, c, []string{fmt.Sprintf("[%d %d]", written, written)}, "SELECT n, d FROM n")
}

func TestAMoveThatCannotEndIsTakenBack(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := growTo(t, nodetest.StartCluster(t, 3), 4)
	admin := kadm.NewClient(kafkaClient(t, c[:3]))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	_, err := admin.CreateTopic(ctx, 1, 3, nil, "t")
	require.NoError(t, err)
	var before []int32
	for len(before) == 0 { // who is asked hears of the topic a moment later
		topics, err := admin.ListTopics(ctx, "t")
		require.NoError(t, err)
		before = topics["t"].Partitions[0].Replicas
	}
	absent := int32(1)
	for slices.Contains(before, absent) {
		absent++
	}
	refusals := func(replicas []int32, code error) {
		t.Helper()
		var req kadm.AlterPartitionAssignmentsReq
		if req.Assign("t", 0, replicas); replicas == nil {
			req = nil
			req.CancelAssign("t", 0)
		}
		resp, err := admin.AlterPartitionAssignments(ctx, req)
		for err == nil && errors.Is(resp["t"][0].Err, kerr.UnknownTopicOrPartition) && ctx.Err() == nil {
			resp, err = admin.AlterPartitionAssignments(ctx, req)
		}
		require.NoError(t, err)
		require.ErrorIs(t, resp["t"][0].Err, code)
	}
	refusals(nil, kerr.NoReassignmentInProgress)
	refusals([]int32{1, 9}, kerr.InvalidReplicaAssignment)
	refusals([]int32{1, 1}, kerr.InvalidReplicaAssignment)

	replicated(t, c[0]) // what only the killed one had would have no leader, and rightly so
	c[absent-1].Kill()
	eventually(t, without(c, absent), []string{"[fenced]"}, fmt.Sprintf("SELECT state FROM millrace.nodes WHERE id = %d", absent))
	admin = kadm.NewClient(kafkaClient(t, without(c, absent)))
	var req kadm.AlterPartitionAssignmentsReq
	req.Assign("t", 0, []int32{absent, before[0]})
	resp, err := admin.AlterPartitionAssignments(ctx, req)
	require.NoError(t, err)
	require.NoError(t, resp.Error())
	var moving kadm.ListPartitionReassignmentsResponses
	for len(moving) == 0 { // who is asked hears of it a moment later
		moving, err = admin.ListPartitionReassignments(ctx, allOf("t", 1))
		require.NoError(t, err)
	}
	require.Equal(t, []int32{absent}, moving["t"][0].AddingReplicas)
	require.ElementsMatch(t, before[1:], moving["t"][0].RemovingReplicas)
	var back kadm.AlterPartitionAssignmentsReq
	back.CancelAssign("t", 0)
	resp, err = admin.AlterPartitionAssignments(ctx, back)
	require.NoError(t, err)
	require.NoError(t, resp.Error())
	replicasAre(t, admin, "t", map[int32][]int32{0: before})
}

func without(c []*nodetest.Member, id int32) []*nodetest.Member {
	return slices.DeleteFunc(slices.Clone(c), func(m *nodetest.Member) bool { return m == c[id-1] })
}

func TestANewNodeIsFilledAndWhatMovesIsShown(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	conn := nodetest.Connect(t, nodetest.ConnString(c[1].Node))
	exec(t, conn, "CREATE STREAM s (v INT) WITH (partitions = 8, value_format = 'json')", "INSERT INTO s SELECT n FROM generate_series(1, 100) n")
	replicated(t, c[0])
	c = growTo(t, c, 4)
	client := kafkaClient(t, c[3:])
	admin := kadm.NewClient(client)
	zero := "0"
	rate := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "follower.replication.throttled.rate", Value: &zero}}
	altered, err := admin.AlterBrokerConfigs(t.Context(), rate)
	require.NoError(t, err)
	require.NoError(t, altered[0].Err)
	eventually(t, c, nil, "ALTER NODE 4 FILL")
	eventually(t, c, []string{"[t]"}, "SELECT count(*) > 0 AND bool_and(asked) FROM millrace.moves WHERE topic = 's' AND node = 4 AND change = 'adding'")
	eventually(t, c, []string{"[t]"}, "SELECT bool_and(\"left\" = records) FROM millrace.moves WHERE change = 'adding' AND topic = 's'")
	eventually(t, c, []string{"[t]"}, "SELECT count(*) > 0 FROM millrace.moves WHERE topic = 's' AND node < 4 AND change = 'removing'")
	rate[0].Op = kadm.DeleteConfig
	altered, err = admin.AlterBrokerConfigs(t.Context(), rate)
	require.NoError(t, err)
	require.NoError(t, altered[0].Err)
	eventually(t, c, []string{"[0]"}, "SELECT count(*) FROM millrace.moves")
	eventually(t, c, []string{"[8 8]"}, "SELECT count(*), count(*) FILTER (WHERE length(replicas) = 5) FROM millrace.partitions WHERE topic = 's'")
	eventually(t, c, []string{"[t]"}, "SELECT count(*) > 0 FROM millrace.partitions WHERE topic = 's' AND replicas LIKE '%4%'")
	eventually(t, c, []string{"[100]"}, "SELECT count(*) FROM s")
}
