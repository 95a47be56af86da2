//go:build kafkaclients

package kafkaclients

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	// messages is how many each client program writes and reads.
	messages = "4000"
	// records is how many franz-go's tests write: each passes them through chains of consumer groups.
	records = "20000"
)

func TestConfluentKafkaPythonProducesInEveryCodecAndSharesATopicInGroups(t *testing.T) {
	require.Equal(t, "ok\n", run(t, nil, "", installed(t, "kafka-clients", "venv/bin/python"), "testdata/confluent.py", startNode(t), "confluent", messages))
}

func TestKafkaPythonProducesAndSharesATopicInAGroup(t *testing.T) {
	require.Equal(t, "ok\n", run(t, nil, "", installed(t, "kafka-clients", "venv/bin/python"), "testdata/kafkapython.py", startNode(t), "kafkapython", messages))
}

func TestKafkajsProducesAndSharesATopicInAGroup(t *testing.T) {
	env := []string{"NODE_PATH=" + filepath.Dir(filepath.Dir(installed(t, "kafka-clients", "node_modules/kafkajs/package.json")))}
	require.Equal(t, "ok\n", run(t, env, "", "node", "testdata/kafkajs.js", startNode(t), "kafkajs", messages))
}

func TestFranzGoPassesItsOwnGroupAndTransactionTests(t *testing.T) {
	kgo := installed(t, "kafka-clients", "kgo.test")
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
