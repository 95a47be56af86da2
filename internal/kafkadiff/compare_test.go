package kafkadiff

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
)

var rewrite = flag.Bool("rewrite", false, "write down what the broker at MILLRACE_KAFKA_ORACLE answers")

// recording is what Apache Kafka answered.
const recording = "testdata/apache-kafka-4.1.0.txt"

// program runs everything against one broker, in the versions given.
func program(t testing.TB, addr string, versions map[int16][2]int16) []step {
	s := newSession(t, addr)
	s.versions = versions
	s.steps = append(s.steps, versionStep(versions))
	s.warm()
	for _, section := range []func(){s.garbage, s.topics, s.produces, s.reads, s.groups, s.transactions, s.configs, s.quotas, s.passwords, s.rest} {
		section()
	}
	return s.steps
}

// versionStep is which keys and versions there are.
func versionStep(versions map[int16][2]int16) step {
	fields := map[string]string{}
	for key, r := range versions {
		fields[kmsg.NameForKey(key)] = fmt.Sprintf("%d-%d", r[0], r[1])
	}
	return step{"versions", fields}
}

// inBoth are the keys and versions that a broker serves of which the other's answers are known.
func inBoth(ours map[int16][2]int16, theirs map[string]string) map[int16][2]int16 {
	out := map[int16][2]int16{}
	for key, r := range ours {
		var q [2]int16
		if _, err := fmt.Sscanf(theirs[kmsg.NameForKey(key)], "%d-%d", &q[0], &q[1]); err == nil && max(r[0], q[0]) <= min(r[1], q[1]) {
			out[key] = [2]int16{max(r[0], q[0]), min(r[1], q[1])}
		}
	}
	return out
}

// TestAnswersAreThoseOfApacheKafka compares with what Apache Kafka answers: with the recording, or with the broker at MILLRACE_KAFKA_ORACLE, which must be fresh.
func TestAnswersAreThoseOfApacheKafka(t *testing.T) {
	var theirs []step
	if addr := os.Getenv("MILLRACE_KAFKA_ORACLE"); addr != "" {
		theirs = program(t, addr, newSession(t, addr).apiVersions())
		if *rewrite {
			require.NoError(t, os.WriteFile(recording, encode(theirs), 0o600))
		}
	} else {
		b, err := os.ReadFile(recording)
		require.NoError(t, err)
		theirs = decode(string(b))
	}
	answers := byName(theirs)

	n := nodetest.Start(t, node.Config{Kafka: "127.0.0.1:0", NoAutoTopics: true, Partitions: 1})
	addr := n.KafkaAddr().String()
	versions := newSession(t, addr).apiVersions()
	steps := program(t, addr, inBoth(versions, answers["versions"]))
	steps[0] = versionStep(versions)
	e := explainer{used: map[int]bool{}}
	for _, step := range steps {
		known, ok := answers[step.name]
		if !ok { // the program goes on by what it is answered
			known = map[string]string{"step": "not taken"}
		}
		e.compare(step.name, step.fields, known)
	}
	for _, line := range e.unexplained {
		t.Error(line)
	}
	for _, line := range e.unused() {
		t.Errorf("explained, but there is no such difference: %s", line)
	}
	t.Logf("%d answers, %d fields that differ and are explained", len(steps), e.explained)
}

func byName(steps []step) map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, s := range steps {
		all[s.name] = s.fields
	}
	return all
}

// explainer looks differences up in the table.
type explainer struct {
	used        map[int]bool
	explained   int
	unexplained []string
}

// compare compares the fields of one answer. A list that is there or not is one difference, whatever is in it.
func (e *explainer) compare(name string, ours, theirs map[string]string) {
	all := maps.Clone(theirs)
	maps.Copy(all, ours)
	absent := ""
	for _, field := range slices.Sorted(maps.Keys(all)) {
		a, inOurs := ours[field]
		b, inTheirs := theirs[field]
		if a == b && inOurs == inTheirs || absent != "" && strings.HasPrefix(field, absent) {
			continue
		}
		if inOurs != inTheirs && strings.HasSuffix(field, "#") {
			absent = strings.TrimSuffix(field, "#")
		}
		if !inOurs {
			a = "absent"
		}
		if !inTheirs {
			b = "absent"
		}
		e.look(name, field, a, b)
	}
}

func (e *explainer) look(name, field, ours, theirs string) {
	for i, x := range explained {
		if matches(x.step, name) && matches(x.field, field) && matches(x.ours, ours) && matches(x.theirs, theirs) {
			e.used[i] = true
			e.explained++
			return
		}
	}
	e.unexplained = append(e.unexplained, fmt.Sprintf("%s | %s | ours %s | theirs %s", name, field, ours, theirs))
}

// matches compares with a pattern of package path, in which * also matches nothing and an empty pattern everything.
func matches(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	escape := strings.NewReplacer("[", "(", "]", ")", "/", "!")
	ok, err := path.Match(escape.Replace(pattern), escape.Replace(text))
	return ok && err == nil
}

func (e *explainer) unused() (lines []string) {
	for i, x := range explained {
		if !e.used[i] {
			lines = append(lines, fmt.Sprintf("%s | %s | %s | %s", x.step, x.field, x.ours, x.theirs))
		}
	}
	return lines
}
