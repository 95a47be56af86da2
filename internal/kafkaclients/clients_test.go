//go:build kafkaclients

package kafkaclients

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

const (
	// messages is how many each client program writes and reads.
	messages = "4000"
	// records is how many franz-go's tests write: each passes them through chains of consumer groups.
	records = "20000"
	// testLimit bounds one client.
	testLimit = 4 * time.Minute
)

// installed is where .ci/kafka-clients has put the clients.
func installed(t *testing.T, elem ...string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("../..", "bin", "kafka-clients"))
	require.NoError(t, err)
	path := filepath.Join(append([]string{dir}, elem...)...)
	require.FileExists(t, path, "run .ci/kafka-clients first")
	return path
}

// startNode runs a node as a process and returns the address for Kafka clients.
func startNode(t *testing.T) string {
	t.Helper()
	addr := nodetest.FreeAddr(t)
	p := nodetest.StartProcess(t, nodetest.Build(t), "--ephemeral", "--pg", nodetest.FreeAddr(t), "--kafka", addr, "--http", "off", "--raft", "off")
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	return addr
}

// run runs a client program, which must succeed, and returns what it printed.
func run(t *testing.T, env []string, stdin, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env, cmd.Stdin = append(os.Environ(), env...), strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", cmd, out)
	return string(out)
}

func TestConfluentKafkaPythonProducesInEveryCodecAndSharesATopicInGroups(t *testing.T) {
	require.Equal(t, "ok\n", run(t, nil, "", installed(t, "venv/bin/python"), "testdata/confluent.py", startNode(t), "confluent", messages))
}

func TestKafkaPythonProducesAndSharesATopicInAGroup(t *testing.T) {
	require.Equal(t, "ok\n", run(t, nil, "", installed(t, "venv/bin/python"), "testdata/kafkapython.py", startNode(t), "kafkapython", messages))
}

func TestKafkajsProducesAndSharesATopicInAGroup(t *testing.T) {
	env := []string{"NODE_PATH=" + filepath.Dir(filepath.Dir(installed(t, "node_modules/kafkajs/package.json")))}
	require.Equal(t, "ok\n", run(t, env, "", "node", "testdata/kafkajs.js", startNode(t), "kafkajs", messages))
}

func TestFranzGoPassesItsOwnGroupAndTransactionTests(t *testing.T) {
	kgo := installed(t, "kgo.test")
	addr := startNode(t)
	for name, env := range map[string][]string{"quiet": nil, "connections are cut": {"KGO_TEST_CHAOS=1"}} {
		t.Run(name, func(t *testing.T) {
			env = append(env, "KGO_SEEDS="+addr, "KGO_TEST_RF=1", "KGO_TEST_RECORDS="+records, "KGO_LOG_LEVEL=none")
			out := run(t, env, "", kgo, "-test.run", "^(TestGroupETL|TestTxnEtl)$", "-test.timeout", testLimit.String())
			require.Contains(t, out, "PASS")
		})
	}
}

func TestKcatReadsWhatItWroteInEveryCodec(t *testing.T) {
	addr := startNode(t)
	kcat := func(stdin string, args ...string) string {
		return run(t, nil, stdin, "kcat", append([]string{"-b", addr}, args...)...)
	}
	var want strings.Builder
	for i := range 500 {
		fmt.Fprintf(&want, "key-%d:value-%d\n", i, i)
	}
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run(codec, func(t *testing.T) {
			topic := "kcat-" + codec
			out := kcat(want.String(), "-P", "-t", topic, "-p", "0", "-K:", "-z", codec, "-H", "h=x", "-d", "msg", "-X", "topic.message.timeout.ms=30000")
			require.NotContains(t, out, "not compressing")
			require.Equal(t, want.String(), kcat("", "-C", "-q", "-t", topic, "-o", "beginning", "-e", "-K:"))
			require.Equal(t, "0 499 h=x\n", kcat("", "-C", "-q", "-t", topic, "-p", "0", "-o", "-1", "-e", "-f", "%p %o %h\n"))
		})
	}
	require.Contains(t, kcat("", "-Q", "-t", "kcat-lz4:0:-1"), "offset 500")
	grouped := func() string {
		return kcat("", "-G", "g", "-q", "-e", "-K:", "-X", "auto.offset.reset=earliest", "kcat-zstd")
	}
	require.Equal(t, want.String(), grouped())
	require.Empty(t, grouped(), "what the group has read is committed")
	kcat("only:this\n", "-P", "-t", "kcat-txn", "-K:", "-X", "transactional.id=kcat")
	require.Equal(t, "this\n", kcat("", "-C", "-q", "-t", "kcat-txn", "-o", "beginning", "-e", "-X", "isolation.level=read_committed"))
}
