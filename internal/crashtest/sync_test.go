package crashtest

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
)

// syncClass is one reason to sync.
type syncClass struct {
	name string
	op   fsys.Op
	path string // a regular expression
	// spare says why nothing is lost without these syncs; empty where something must be.
	spare string
}

var syncClasses = []syncClass{
	{"segments", fsys.OpSync, `^/data/[^/]+-\d+/\d+\.log$`, ""},
	{"names of segments", fsys.OpSyncDir, `^/data/[^/]+-\d+$`, ""},
	{"names of partitions", fsys.OpSyncDir, `^/data$`, ""},
	{"name of the data directory", fsys.OpSyncDir, `^/$`, ""},
	{"identity", fsys.OpSync, `^/data/meta\.properties`, ""},
	{"metadata log", fsys.OpSync, `^/data/meta/\d+\.log$`, ""},
	{"metadata tables", fsys.OpSync, `^/data/meta/\d+\.sst$`, ""},
	{"metadata manifest", fsys.OpSync, `^/data/meta/(MANIFEST|temporary)`, ""},
	{"names of the metadata store", fsys.OpSyncDir, `^/data/meta$`, ""},
	{"topic ids", fsys.OpSync, `partition\.metadata`, "x"},
	{"leader epochs", fsys.OpSync, `leader-epoch-checkpoint`, "x"},
	{"recovery points", fsys.OpSync, `recovery-point-offset-checkpoint`, "x"},
	{"high watermarks", fsys.OpSync, `replication-offset-checkpoint`, "x"},
	{"mark of an orderly stop", fsys.OpSync, `kafka_cleanshutdown`, "x"},
	{"indexes", fsys.OpSync, `\.(index|timeindex|txnindex)$`, "x"},
	{"local state", fsys.OpSync, `^/data/state/`, "x"},
	{"names of local state", fsys.OpSyncDir, `^/data/state$`, "x"},
}

// recorder is a test that may fail without the test failing.
type recorder struct {
	mu struct {
		sync.Mutex
		errors []string
	}
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.errors = append(r.mu.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) FailNow() { runtime.Goexit() }

// without runs a seed in which the class's syncs do nothing. It returns what went wrong, and how many syncs there were.
func (c syncClass) without(seed int64) (wrong string, skipped int64) {
	pattern := regexp.MustCompile(c.path)
	var n atomic.Int64
	r := &recorder{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		crashes(r, seed, []int{0}, func(op fsys.Op, path string) bool {
			match := op == c.op && pattern.MatchString(path)
			if match {
				n.Add(1)
			}
			return match
		})
	}()
	<-done
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.mu.errors, "\n"), n.Load()
}

// syncSeeds is how many seeds may pass before a class counts as one that nothing depends on.
const syncSeeds = 10

func TestEverySyncMatters(t *testing.T) {
	for _, c := range syncClasses {
		t.Run(c.name, func(t *testing.T) {
			for seed := range int64(syncSeeds) {
				wrong, skipped := c.without(seed)
				require.Positive(t, skipped, "there is no such sync")
				if wrong != "" {
					t.Logf("seed %d: %s", seed, wrong)
					return
				}
			}
			t.Logf("all pass")
		})
	}
}
