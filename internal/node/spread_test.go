package node_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// leaders waits until each of the members leads as many partitions of a topic as is told, and returns the leader of each partition.
func leaders(t *testing.T, admin *kadm.Client, topic string, want map[int32]int) map[int32]int32 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for {
		of, count := map[int32]int32{}, map[int32]int{}
		topics, err := admin.ListTopics(ctx, topic)
		if err == nil {
			for _, p := range topics[topic].Partitions.Sorted() {
				of[p.Partition] = p.Leader
				count[p.Leader]++
			}
		}
		if fmt.Sprint(count) == fmt.Sprint(want) {
			return of
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("leaders of %s are %v, want %v (%v)", topic, count, want, err)
		}
	}
}

func TestLeadersAreSpreadAndQueriesReadThemAll(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	replicated(t, c[0])
	conn := nodetest.Connect(t, nodetest.ConnString(c[1].Node))
	exec(t, conn, "CREATE STREAM s (k INT, v INT) WITH (partitions = 6, value_format = 'json')",
		"CREATE MATERIALIZED VIEW sums AS SELECT k, count(*) AS n, sum(v) AS v FROM s GROUP BY k")
	admin := kadm.NewClient(kafkaClient(t, c))
	even := map[int32]int{1: 2, 2: 2, 3: 2}
	leaders(t, admin, "s", even)

	// Rows of statements, of Kafka clients and of transactions over all three nodes; an aborted one counts nowhere.
	exec(t, conn, "INSERT INTO s SELECT n % 3, n FROM generate_series(1, 60) n")
	producer := kafkaClient(t, c, kgo.DefaultProduceTopic("s"), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID("x"))
	batch := func(end kgo.TransactionEndTry) {
		require.NoError(t, producer.BeginTransaction())
		for p := range int32(6) {
			r := kgo.StringRecord(`{"k":0,"v":1}`)
			r.Partition = p
			producer.Produce(t.Context(), r, func(_ *kgo.Record, err error) { require.NoError(t, err) })
		}
		require.NoError(t, producer.Flush(t.Context()))
		require.NoError(t, producer.EndTransaction(t.Context(), end))
	}
	batch(kgo.TryCommit)
	batch(kgo.TryAbort)
	batch(kgo.TryCommit)
	require.Equal(t, []string{"0 32 642", "1 20 590", "2 20 610"}, texts(t, conn, "SELECT k, n, v FROM sums ORDER BY k"))

	// A push reads on, and look-ups hold what was acknowledged, while a leader dies that does not run the queries.
	c[2].Kill()
	leaders(t, admin, "s", map[int32]int{1: 3, 2: 3})
	exec(t, conn, "INSERT INTO s SELECT n % 3, n FROM generate_series(1, 60) n")
	batch(kgo.TryCommit)
	require.Equal(t, []string{"0 58 1278", "1 40 1180", "2 40 1220"}, texts(t, conn, "SELECT k, n, v FROM sums ORDER BY k"))
	c[2].Start()
	require.NotNil(t, c[2].Node)
	leaders(t, admin, "s", even)
	exec(t, conn, "INSERT INTO s SELECT n % 3, n FROM generate_series(1, 60) n")
	batch(kgo.TryCommit)
	require.Equal(t, []string{"0 84 1914", "1 60 1770", "2 60 1830"}, texts(t, conn, "SELECT k, n, v FROM sums ORDER BY k"))
}

// TestAnEtlInTransactionsCountsEachRecordOnceThroughRestarts reads from one topic and writes to another in transactions, as a group of two members, while each node is stopped or killed.
func TestAnEtlInTransactionsCountsEachRecordOnceThroughRestarts(t *testing.T) {
	t.Parallel() // it waits more than it works
	const records = 600
	c := nodetest.StartCluster(t, 3)
	replicated(t, c[0])
	client := kafkaClient(t, c, kgo.DefaultProduceTopic("in"))
	admin := kadm.NewClient(client)
	_, err := admin.CreateTopics(t.Context(), 6, 3, nil, "in", "out")
	require.NoError(t, err)
	leaders(t, admin, "in", map[int32]int{1: 2, 2: 2, 3: 2})

	ctx, cancel := context.WithCancel(t.Context())
	workers := make(chan error, 2)
	for i := range cap(workers) {
		s, err := kgo.NewGroupTransactSession(append(seeds(c), kgo.TransactionalID(fmt.Sprint("etl", i)), kgo.ConsumerGroup("etl"), kgo.ConsumeTopics("in"),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.TransactionTimeout(10*time.Second))...)
		require.NoError(t, err)
		defer s.Close()
		go func() { workers <- etl(ctx, s) }()
	}
	write := func(from, to int) {
		for n := from; n < to; n++ {
			client.Produce(ctx, kgo.KeyStringRecord(fmt.Sprint(n), fmt.Sprint(n)), func(_ *kgo.Record, err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		require.NoError(t, client.Flush(ctx))
	}
	write(0, records/3)
	c[1].Stop()
	write(records/3, 2*records/3)
	c[1].Start()
	replicated(t, c[0])
	c[2].Kill()
	write(2*records/3, records)

	consumer := kafkaClient(t, c[:2], kgo.ConsumeTopics("out"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	seen := map[string]int{}
	rctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	for len(seen) < records {
		f := consumer.PollFetches(rctx)
		require.NoError(t, rctx.Err(), "read %d of %d", len(seen), records)
		f.EachRecord(func(r *kgo.Record) { seen[string(r.Value)]++ })
	}
	cancel()
	for range cap(workers) {
		require.NoError(t, <-workers)
	}
	for v, n := range seen {
		require.Equal(t, 1, n, "record %s", v)
	}
}

// etl copies records from topic in to topic out until ctx ends.
func etl(ctx context.Context, s *kgo.GroupTransactSession) error {
	for ctx.Err() == nil {
		f := s.PollFetches(ctx)
		if f.NumRecords() == 0 {
			continue
		}
		if err := s.Begin(); err != nil {
			return err
		}
		f.EachRecord(func(r *kgo.Record) {
			s.Produce(ctx, &kgo.Record{Topic: "out", Key: r.Key, Value: r.Value}, nil)
		})
		if _, err := s.End(ctx, kgo.TryCommit); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// seeds are the options of a client that may begin anywhere.
func seeds(c []*nodetest.Member) []kgo.Opt {
	var addrs []string
	for _, m := range c {
		addrs = append(addrs, m.KafkaAddr().String())
	}
	return []kgo.Opt{kgo.SeedBrokers(addrs...), kgo.MetadataMinAge(100 * time.Millisecond), kgo.RetryTimeout(time.Minute)}
}

// TestQueriesAreDealtOutToTheNodes runs queries on all nodes, kills one that does not have the duty and then the one that has, and compares each result with its table.
func TestQueriesAreDealtOutToTheNodes(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	replicated(t, c[0])
	conn := nodetest.Connect(t, nodetest.ConnString(c[1].Node))
	exec(t, conn, "CREATE TABLE t (id INT PRIMARY KEY, v INT)", "CREATE STREAM s (k INT, v INT)")
	const views = 6
	for i := range views {
		exec(t, conn, fmt.Sprintf("CREATE MATERIALIZED VIEW a%d AS SELECT id %% %d AS k, count(*) AS n, sum(v) AS v FROM t GROUP BY id %% %d", i, i+2, i+2),
			fmt.Sprintf("CREATE MATERIALIZED VIEW b%d AS SELECT t.v, count(*) AS n FROM s JOIN t ON s.k = t.id WHERE s.v >= %d GROUP BY t.v", i, i))
	}
	next := 0
	write := func(conn *pgx.Conn) {
		exec(t, conn, fmt.Sprintf("INSERT INTO t SELECT n, n %% 5 FROM generate_series(%d, %d) n", next+1, next+40),
			fmt.Sprintf("INSERT INTO s SELECT n, n %% 10 FROM generate_series(%d, %d) n", next+1, next+40))
		next += 40
	}
	check := func(members []*nodetest.Member) {
		t.Helper()
		for i := range views {
			eventually(t, members, []string{fmt.Sprintf("[%d %d]", next, next/5*10)}, fmt.Sprintf("SELECT sum(n), sum(v) FROM a%d", i))
			eventually(t, members, []string{fmt.Sprintf("[%d]", next/10*(10-i))}, fmt.Sprintf("SELECT sum(n) FROM b%d", i))
		}
	}
	write(conn)
	check(c)
	tasksOn := func(members []*nodetest.Member, want ...string) {
		t.Helper()
		eventually(t, members, []string{fmt.Sprintf("%v", want)}, "SELECT string_agg(DISTINCT node::text, ' ' ORDER BY node::text) FROM millrace.tasks")
	}
	tasksOn(c, "1", "2", "3")
	several := texts(t, conn, "SELECT count(*) FROM millrace.queries WHERE nodes = '1,2,3'")
	require.NotEqual(t, []string{"0"}, several, "the tasks of one query are on all nodes")

	c[2].Kill()
	write(conn)
	check(c[:2])
	c[2].Start()
	require.NotNil(t, c[2].Node)
	tasksOn(c, "1", "2", "3")
	check(c)

	replicated(t, c[1])
	c[0].Kill() // it has the duty
	rest := c[1:]
	eventually(t, rest, []string{fmt.Sprintf("[%d]", next)}, "SELECT count(*) FROM t")
	write(nodetest.Connect(t, nodetest.ConnString(c[1].Node)))
	check(rest)
}
