//go:build kafkajava

package kafkaclients

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

const tools = "org.apache.kafka.tools."

// javaArgs are the arguments of a JVM that runs a class of Kafka's, or one of ours.
func javaArgs(t *testing.T, class string, args ...string) []string {
	lib := filepath.Dir(installed(t, "kafka-java", "lib/kafka-clients-4.1.0.jar"))
	classes := filepath.Dir(installed(t, "kafka-java", "classes/WordCount.class"))
	return append([]string{"-Xmx512m", "-cp", lib + "/*:" + classes, class}, args...)
}

// java runs a class with what it reads from stdin and returns what it printed, without the lines of its logger.
func java(t *testing.T, stdin, class string, args ...string) string {
	t.Helper()
	out := run(t, nil, stdin, "java", javaArgs(t, class, args...)...)
	var lines []string
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "SLF4J") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// numbered is n lines "k1:v1", "k2:v2" and so on.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d:v%d\n", i+1, i+1)
	}
	return b.String()
}

func sorted(lines string) []string {
	all := strings.Fields(lines)
	sort.Strings(all)
	return all
}

func TestKafkasToolsAdministerAndUseATopic(t *testing.T) {
	addr := startNode(t)
	tool := func(class string, args ...string) string {
		return java(t, "", class, append([]string{"--bootstrap-server", addr}, args...)...)
	}
	topics, configs := tools+"TopicCommand", "kafka.admin.ConfigCommand"
	groups, txns := tools+"consumer.group.ConsumerGroupCommand", tools+"TransactionsCommand"

	require.Contains(t, tool(topics, "--create", "--topic", "a", "--partitions", "3", "--config", "retention.ms=1000000"), "Created topic a.")
	require.Contains(t, tool(topics, "--describe", "--topic", "a"), "PartitionCount: 3\tReplicationFactor: 1\tConfigs: retention.ms=1000000")
	tool(topics, "--alter", "--topic", "a", "--partitions", "4")
	require.Contains(t, tool(topics, "--list"), "__consumer_offsets\n__transaction_state\n_millrace_errors\n_millrace_notify\n_millrace_query_offsets\n_millrace_query_transactions\na\n")

	tool(configs, "--alter", "--topic", "a", "--add-config", "cleanup.policy=[compact,delete]", "--delete-config", "retention.ms")
	described := tool(configs, "--describe", "--topic", "a")
	require.Contains(t, described, "cleanup.policy=compact,delete")
	require.NotContains(t, described, "retention.ms")
	require.Contains(t, tool(configs, "--describe", "--broker", "1", "--all"), "auto.create.topics.enable=true")

	limited := []string{"--entity-type", "clients", "--entity-name", "app", "--entity-type", "users", "--entity-default"}
	tool(configs, append([]string{"--alter", "--add-config", "producer_byte_rate=1000,request_percentage=50"}, limited...)...)
	require.Regexp(t, `producer_byte_rate=1000(\.0)?`, tool(configs, append([]string{"--describe"}, limited...)...))
	tool(configs, append([]string{"--alter", "--delete-config", "producer_byte_rate,request_percentage"}, limited...)...)
	tool(configs, "--alter", "--add-config", "SCRAM-SHA-256=[iterations=8192,password=secret]", "--entity-type", "users", "--entity-name", "ann")
	require.Contains(t, tool(configs, "--describe", "--entity-type", "users", "--entity-name", "ann"), "SCRAM-SHA-256=iterations=8192")

	keyed := []string{"--topic", "a", "--property", "parse.key=true", "--property", "key.separator=:"}
	java(t, numbered(100), tools+"ConsoleProducer", append([]string{"--bootstrap-server", addr, "--compression-codec", "zstd"}, keyed...)...)
	read := java(t, "", tools+"consumer.ConsoleConsumer", "--bootstrap-server", addr, "--topic", "a", "--from-beginning", "--max-messages", "100", "--group", "g",
		"--isolation-level", "read_committed", "--property", "print.key=true", "--property", "key.separator=:")
	require.Subset(t, sorted(read), sorted(numbered(100)))
	require.Regexp(t, `(?m)^g +a +0 +(\d+) +(\d+) +0 `, tool(groups, "--describe", "--group", "g"))
	require.Contains(t, tool(groups, "--list", "--state"), "Empty")
	require.Regexp(t, `(?m)^g +a +0 +0 *$`, tool(groups, "--group", "g", "--topic", "a", "--reset-offsets", "--to-earliest", "--execute"))
	require.Contains(t, tool(groups, "--delete", "--group", "g"), "successful")
	require.Contains(t, tool(tools+"GetOffsetShell", "--topic", "a"), "a:0:")

	read = java(t, "", tools+"consumer.ConsoleConsumer", "--bootstrap-server", addr, "--topic", "a", "--from-beginning", "--max-messages", "100", "--group", "assigned",
		"--consumer-property", "group.protocol=consumer", "--property", "print.key=true", "--property", "key.separator=:")
	require.Subset(t, sorted(read), sorted(numbered(100)))
	require.Regexp(t, `(?m)^assigned +a +0 +(\d+) +(\d+) +0 `, tool(groups, "--describe", "--group", "assigned"))
	require.Regexp(t, `(?m)^assigned +Consumer +Empty`, tool(groups, "--list", "--state", "--type"))
	require.Regexp(t, `(?m)^assigned +a +0 +0 *$`, tool(groups, "--group", "assigned", "--topic", "a", "--reset-offsets", "--to-earliest", "--execute"))
	require.Contains(t, tool(groups, "--delete", "--group", "assigned"), "successful")

	perf := java(t, "", tools+"ProducerPerformance", "--topic", "p", "--num-records", "2000", "--record-size", "100", "--throughput", "-1",
		"--transactional-id", "tx", "--transaction-duration-ms", "50", "--producer-props", "bootstrap.servers="+addr)
	require.Contains(t, perf, "2000 records sent")
	require.Regexp(t, `tx\s+1\s+\d+\s+CompleteCommit`, tool(txns, "list"))
	require.Contains(t, tool(txns, "describe", "--transactional-id", "tx"), "CompleteCommit")
	require.Regexp(t, `ProducerId\s+ProducerEpoch\s+LatestCoordinatorEpoch`, tool(txns, "describe-producers", "--topic", "p", "--partition", "0"))
	require.Contains(t, tool(txns, "find-hanging", "--broker-id", "1"), "Topic\tPartition\tProducerId")

	require.Contains(t, tool(tools+"FeatureCommand", "describe"), "transaction.version")
	require.Contains(t, tool(tools+"LogDirsCommand", "--describe", "--topic-list", "a"), `"partition":"a-0"`)
	tool(topics, "--delete", "--topic", "a")
	require.NotContains(t, tool(topics, "--list"), "\na\n")
}

// consoleConsumer runs Kafka's console consumer in group "moving" until stop, and returns what it has printed so far.
func consoleConsumer(t *testing.T, addr string, config ...string) (read func() string, stop func()) {
	args := []string{"--bootstrap-server", addr, "--topic", "m", "--from-beginning", "--group", "moving"}
	for _, c := range config {
		args = append(args, "--consumer-property", c)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "java", javaArgs(t, tools+"consumer.ConsoleConsumer", args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it leaves the group
	var mu sync.Mutex
	var out strings.Builder
	cmd.Stdout = writerFunc(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return out.Write(b)
	})
	require.NoError(t, cmd.Start())
	read = func() string {
		mu.Lock()
		defer mu.Unlock()
		return out.String()
	}
	return read, func() {
		cancel()
		_ = cmd.Wait() // 130, for it was interrupted
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

func TestAGroupOfJavaConsumersMovesToTheConsumerProtocolAndBack(t *testing.T) {
	addr := startNode(t)
	tool := func(class string, args ...string) string {
		return java(t, "", class, append([]string{"--bootstrap-server", addr}, args...)...)
	}
	tool(tools+"TopicCommand", "--create", "--topic", "m", "--partitions", "2")
	outputs := []func() string{}
	start := func(config ...string) (stop func()) {
		read, stop := consoleConsumer(t, addr, config...)
		outputs = append(outputs, read)
		t.Cleanup(stop)
		return stop
	}
	wrote := 0
	// flows waits until the group is of a type with so many members that have partitions, and what is written then is read.
	flows := func(kind string, members int) {
		groups := tools + "consumer.group.ConsumerGroupCommand"
		require.Eventually(t, func() bool {
			described := tool(groups, "--describe", "--members", "--group", "moving")
			owns := regexp.MustCompile(fmt.Sprintf(`(?m)^moving .*\s%d\s`, 2/members)).FindAllString(described, -1)
			return len(owns) == members && regexp.MustCompile(`(?m)^moving +`+kind+` +Stable`).MatchString(tool(groups, "--list", "--state", "--type"))
		}, 2*time.Minute, 100*time.Millisecond)
		var lines strings.Builder
		for range 50 {
			fmt.Fprintf(&lines, "v%d\n", wrote)
			wrote++
		}
		run(t, nil, lines.String(), "kcat", "-P", "-b", addr, "-t", "m", "-X", "sticky.partitioning.linger.ms=0")
		require.Eventually(t, func() bool {
			seen := map[string]bool{}
			for _, read := range outputs {
				for line := range strings.Lines(read()) {
					seen[line] = true
				}
			}
			return len(seen) == wrote
		}, 2*time.Minute, 100*time.Millisecond)
	}
	assigned := "group.protocol=consumer"
	first := start()
	flows("Classic", 1)
	second := start(assigned)
	flows("Consumer", 2)
	first()
	flows("Consumer", 1)
	third := start("partition.assignment.strategy=org.apache.kafka.clients.consumer.CooperativeStickyAssignor")
	flows("Consumer", 2)
	second()
	flows("Classic", 1)
	third()
}

func TestKafkaStreamsCountsWordsExactlyOnceUnderKill9(t *testing.T) {
	bin, dir, addr, pg := nodetest.Build(t), t.TempDir(), nodetest.FreeAddr(t), nodetest.FreeAddr(t)
	args := []string{"--data", dir, "--pg", pg, "--kafka", addr, "--http", "off", "--raft", "off"}
	p := nodetest.StartProcess(t, bin, args...)
	defer func() { p.Kill() }()
	for _, topic := range []string{"lines", "counts"} {
		run(t, nil, "", "kcat", "-L", "-b", addr, "-t", topic) // makes it
	}
	ctx, cancel := context.WithCancel(t.Context())
	streams := exec.CommandContext(ctx, "java", javaArgs(t, "WordCount", addr, "lines", "counts", t.TempDir())...)
	require.NoError(t, streams.Start())
	defer func() { cancel(); _ = streams.Wait() }()

	const rounds, perRound = 4, 2000
	var lines strings.Builder
	for i := range perRound {
		fmt.Fprintf(&lines, "k%d:the quick brown fox w%d\n", i, i%7)
	}
	for round := range rounds {
		run(t, nil, lines.String(), "kcat", "-P", "-b", addr, "-t", "lines", "-K:", "-X", "enable.idempotence=true")
		<-time.After(time.Duration(200*(round+1)) * time.Millisecond) // the program is at work
		p.Kill()
		p = nodetest.StartProcess(t, bin, args...)
	}
	want := map[string]string{}
	for _, w := range []string{"the", "quick", "brown", "fox"} {
		want[w] = fmt.Sprint(rounds * perRound)
	}
	for i := range 7 {
		n := perRound / 7
		if i < perRound%7 {
			n++
		}
		want[fmt.Sprintf("w%d", i)] = fmt.Sprint(rounds * n)
	}
	var got map[string]string
	require.Eventually(t, func() bool {
		got = lastByKey(run(t, nil, "", "kcat", "-C", "-q", "-b", addr, "-t", "counts", "-o", "beginning", "-e", "-K:", "-X", "isolation.level=read_committed"))
		return len(got) == len(want) && got["the"] == want["the"]
	}, 2*time.Minute, time.Second)
	require.Equal(t, want, got)
}

// lastByKey keeps the last value of each key of lines "key:value".
func lastByKey(lines string) map[string]string {
	last := map[string]string{}
	for line := range strings.Lines(lines) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			last[k] = v
		}
	}
	return last
}

// writeVariety writes batches of every codec and a transaction into partition 0 of topic d.
func writeVariety(t *testing.T, addr string) {
	for _, codec := range []string{"none", "gzip", "lz4", "zstd", "snappy"} {
		run(t, nil, numbered(100), "kcat", "-P", "-b", addr, "-t", "d", "-p", "0", "-K:", "-z", codec, "-H", "a=b")
	}
	run(t, nil, numbered(100), "kcat", "-P", "-b", addr, "-t", "d", "-p", "0", "-X", "transactional.id=tx")
}

func TestKafkaReadsOurSegments(t *testing.T) {
	dir, addr := t.TempDir(), nodetest.FreeAddr(t)
	p := nodetest.StartProcess(t, nodetest.Build(t), "--data", dir, "--pg", nodetest.FreeAddr(t), "--kafka", addr, "--http", "off", "--raft", "off")
	writeVariety(t, addr)
	require.NoError(t, p.Stop())
	dump := func(glob string, args ...string) string {
		files, err := filepath.Glob(filepath.Join(dir, glob))
		require.NoError(t, err)
		var full []string
		for _, f := range files {
			if st, err := os.Stat(f); err == nil && st.Size() > 0 {
				full = append(full, f)
			}
		}
		require.NotEmpty(t, full, glob)
		return java(t, "", "kafka.tools.DumpLogSegments", append(args, "--files", strings.Join(full, ","))...)
	}
	records := dump("d-0/*.log", "--deep-iteration", "--print-data-log")
	require.Equal(t, 600, strings.Count(records, "payload: "))
	require.Equal(t, 0, strings.Count(records, "isvalid: false"))
	require.Contains(t, records, "endTxnMarker: COMMIT")
	require.NotContains(t, dump("d-0/*index", "--index-sanity-check"), "mismatch")
	require.Contains(t, dump("d-0/*.snapshot"), "lastOffset: 599")
	require.Contains(t, dump("__transaction_state-*/*.log", "--transaction-log-decoder"), `"transactionalId":"tx"`)
}

func TestWeReadKafkasSegments(t *testing.T) {
	dir, addr, controller := t.TempDir(), nodetest.FreeAddr(t), nodetest.FreeAddr(t)
	properties := filepath.Join(dir, "server.properties")
	text := fmt.Sprintf(`process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://%s,CONTROLLER://%s
controller.listener.names=CONTROLLER
controller.quorum.voters=1@%s
log.dirs=%s/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
`, addr, controller, controller, dir)
	require.NoError(t, os.WriteFile(properties, []byte(text), 0o600))
	java(t, "", "kafka.tools.StorageTool", "format", "-t", "LuvHcLJaSDOOd6JFKUQZYA", "-c", properties)
	broker := exec.CommandContext(t.Context(), "java", javaArgs(t, "kafka.Kafka", properties)...)
	require.NoError(t, broker.Start())
	require.Eventually(t, func() bool { return exec.CommandContext(t.Context(), "kcat", "-L", "-b", addr, "-m", "1").Run() == nil }, time.Minute, 500*time.Millisecond)
	writeVariety(t, addr)
	require.NoError(t, broker.Process.Signal(os.Interrupt))
	_ = broker.Wait() // 130, for it was interrupted
	bin := nodetest.Build(t)
	files, err := filepath.Glob(filepath.Join(dir, "data", "d-0", "*"))
	require.NoError(t, err)
	read := 0
	for _, f := range files {
		if st, err := os.Stat(f); err != nil || st.Size() == 0 || filepath.Ext(f) == ".txnindex" {
			continue
		}
		out := run(t, nil, "", bin, "log", "dump", f)
		if filepath.Ext(f) == ".log" {
			require.Contains(t, out, "lastOffset: 600")
			require.Contains(t, out, "endTxnMarker: COMMIT")
			require.NotContains(t, out, "isvalid: false")
		}
		read++
	}
	require.GreaterOrEqual(t, read, 4, "log, two indexes, snapshot")
}
