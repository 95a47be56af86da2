//go:build faults && linux

package crashtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// foreign is an idempotent producer of another library, with its defaults, in a process of its own: testdata/producer.py or testdata/Producer.java. It reads a record a line, key and value
// with a space between, and says "ok KEY" or "error KEY WHY" once it knows what became of it.
type foreign struct {
	meter   *meter
	in      io.WriteCloser
	answers chan string
}

// foreignClients are those that can be asked for, and what makes their processes of the topic and the addresses of the nodes.
var foreignClients = map[string]func(t *testing.T, brokers, topic string) *exec.Cmd{
	"librdkafka": func(t *testing.T, brokers, topic string) *exec.Cmd {
		return exec.Command(installedClient(t, "kafka-clients", "venv/bin/python"), "testdata/producer.py", brokers, topic)
	},
	"java": func(t *testing.T, brokers, topic string) *exec.Cmd {
		return exec.Command("java", "-Xmx128m", "-XX:+UseSerialGC", "-cp", installedClient(t, "kafka-java", "lib")+"/*", "testdata/Producer.java", brokers, topic)
	},
}

// installedClient is where the script .ci/SCRIPT has put something.
func installedClient(t *testing.T, script, name string) string {
	path, err := filepath.Abs(filepath.Join("../..", "bin", script, name))
	require.NoError(t, err)
	_, err = os.Stat(path)
	require.NoError(t, err, "run .ci/%s first", script)
	return path
}

// addForeign starts a client of each name that list has, and ends it with the test.
func (l *load) addForeign(t *testing.T, list, logs string) {
	for _, name := range strings.Fields(list) {
		command, ok := foreignClients[name]
		require.True(t, ok, "MILLRACE_FAULT_CLIENTS: no client %q; there are librdkafka and java", name)
		f := &foreign{meter: &meter{name: name, producer: true}, answers: make(chan string)}
		cmd := command(t, strings.Join(l.kafka, ","), l.clicks.name)
		said, err := os.Create(filepath.Join(logs, name+".log"))
		require.NoError(t, err)
		cmd.Stderr = said
		f.in, err = cmd.StdinPipe()
		require.NoError(t, err)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		read := make(chan struct{})
		go func() {
			defer close(read)
			defer close(f.answers)
			for lines := bufio.NewScanner(out); lines.Scan(); {
				select {
				case f.answers <- lines.Text():
				case <-t.Context().Done():
				}
			}
		}()
		t.Cleanup(func() {
			_ = f.in.Close()
			_ = cmd.Process.Kill()
			<-read
			_ = cmd.Wait() // it was killed
			_ = said.Close()
		})
		l.foreign, l.meters = append(l.foreign, f), append(l.meters, f.meter)
	}
}

// produceForeign has the process write record by record until ctx ends.
func (l *load) produceForeign(ctx context.Context, f *foreign) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for ctx.Err() == nil {
		id := l.take(1)
		_, err := fmt.Fprintf(f.in, "%d %s\n", id[0], fact(id[0]).Value)
		if err == nil {
			err = f.outcome(ctx, fmt.Sprint(id[0]))
		}
		l.clicks.told(err, id)
		f.meter.note(err)
		<-tick.C
	}
}

// outcome waits for what the process says of a record. What it says of others comes too late: nobody waits for it any more.
func (f *foreign) outcome(ctx context.Context, key string) error {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishLimit)
	defer cancel()
	for {
		select {
		case answer, ok := <-f.answers:
			if !ok {
				return errors.New("the client has ended")
			}
			what, rest, _ := strings.Cut(answer, " ")
			its, why, _ := strings.Cut(rest, " ")
			switch {
			case its != key:
			case what == "ok":
				return nil
			default:
				return errors.New(why)
			}
		case <-limited.Done():
			return limited.Err()
		}
	}
}
