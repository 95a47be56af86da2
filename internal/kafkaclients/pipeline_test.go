//go:build kafkajava

package kafkaclients

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// reading is message i: sensors take turns, ten messages a second of event time.
func reading(i int) string {
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(i) * 100 * time.Millisecond)
	return fmt.Sprintf(`{"sensor":%d,"v":%d,"at":%q}`, i%5, i, at.Format(time.RFC3339Nano))
}

// total is what the query keeps for a sensor and a minute.
type total struct{ N, Total int }

// startWriter starts a program that reads lines, and a goroutine that feeds it slowly. The function that is returned waits for its end.
func startWriter(t *testing.T, env []string, lines []string, name string, args ...string) func() error {
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), env...)
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	var feeder sync.WaitGroup
	feeder.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for _, line := range lines {
			if _, err := io.WriteString(in, line+"\n"); err != nil {
				break // the program has ended: its status says why
			}
			<-tick.C
		}
		_ = in.Close()
	})
	return func() error {
		feeder.Wait()
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("%w\n%s", err, out.String())
		}
		return nil
	}
}

func TestMessagesOfKafkajsAndJavaAreWindowedAndReadByConfluentExactlyUnderKill9(t *testing.T) {
	const each = 5000
	bin, dir, addr, pg := nodetest.Build(t), t.TempDir(), nodetest.FreeAddr(t), nodetest.FreeAddr(t)
	args := []string{"--data", dir, "--pg", pg, "--kafka", addr, "--http", "off", "--raft", "off"}
	p := nodetest.StartProcess(t, bin, args...)
	defer func() { p.Kill() }()
	sql := func(statement string) (n int, err error) {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		conn, err := pgx.Connect(ctx, "postgres://millrace@"+pg+"/millrace?sslmode=disable")
		if err != nil {
			return 0, err
		}
		defer func() { _ = conn.Close(ctx) }()
		if !strings.HasPrefix(statement, "SELECT") {
			_, err = conn.Exec(ctx, statement)
			return 0, err
		}
		return n, conn.QueryRow(ctx, statement).Scan(&n)
	}
	java(t, "", tools+"TopicCommand", "--bootstrap-server", addr, "--create", "--topic", "readings", "--partitions", "4")
	for _, statement := range []string{
		"CREATE STREAM readings (sensor INT, v BIGINT, at TIMESTAMPTZ) WITH (topic = 'readings', value_format = 'json', timestamp = 'at')",
		`CREATE TABLE minutes AS SELECT sensor, windowstart AS minute, count(*) AS n, sum(v) AS total FROM readings WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY sensor`,
	} {
		_, err := sql(statement)
		require.NoError(t, err)
	}

	want := map[total]int{}
	sums := map[string]total{}
	var lines [2][]string
	for i := range 2 * each {
		lines[i%2] = append(lines[i%2], reading(i))
		key := fmt.Sprint(i%5, " ", i/600)
		s := sums[key]
		sums[key] = total{s.N + 1, s.Total + i}
	}
	for _, s := range sums {
		want[s]++
	}
	modules := "NODE_PATH=" + filepath.Dir(filepath.Dir(installed(t, "kafka-clients", "node_modules/kafkajs/package.json")))
	js := startWriter(t, []string{modules}, lines[0], "node", "testdata/produce.js", addr, "readings")
	jvm := startWriter(t, nil, lines[1], "java", javaArgs(t, tools+"ConsoleProducer", "--bootstrap-server", addr, "--topic", "readings",
		"--message-send-max-retries", "1000000", "--request-timeout-ms", "10000", "--timeout", "20")...)
	for round := range 4 {
		<-time.After(time.Duration(1500+400*round) * time.Millisecond)
		p.Kill()
		p = nodetest.StartProcess(t, bin, args...)
	}
	require.NoError(t, js())
	require.NoError(t, jvm())

	// Everything that was acknowledged is in the answer.
	var n int
	var err error
	require.Eventually(t, func() bool { n, err = sql("SELECT CAST(sum(n) AS BIGINT) FROM minutes"); return err == nil }, time.Minute, time.Second)
	require.Equal(t, 2*each, n)
	got := map[total]int{}
	for line := range strings.Lines(run(t, nil, "", installed(t, "kafka-clients", "venv/bin/python"), "testdata/read.py", addr, "minutes")) {
		var s total
		require.NoError(t, json.Unmarshal([]byte(line), &s), line)
		got[s]++
	}
	require.Equal(t, want, got)
}
