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
	{"topic ids", fsys.OpSync, `partition\.metadata`, ""},
	{"leader epochs", fsys.OpSync, `leader-epoch-checkpoint`, "epochs are in the batches, and are read from them where the checkpoint is short"},
	{"recovery points", fsys.OpSync, `recovery-point-offset-checkpoint`, "without them more of the log is checked than need be"},
	{"high watermarks", fsys.OpSync, `replication-offset-checkpoint`, "with one replica the high watermark is the durable end"},
	{"mark of an orderly stop", fsys.OpSync, `kafka_cleanshutdown`, "without it the log is checked"},
	{"indexes", fsys.OpSync, `\.(index|timeindex|txnindex)$`, "they are built again from the segments"},
	{"local state", fsys.OpSync, `^/data/state/`, "it is computed again from changelogs and topics"},
	{"names of local state", fsys.OpSyncDir, `^/data/state$`, "it is computed again from changelogs and topics"},
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

// Seeds that are tried for a class that must fail, and that must pass for one that can be spared.
const (
	seedsToFail = 20
	seedsToPass = 3
)

func TestEverySyncMattersOrIsSpareForAReason(t *testing.T) {
	for _, c := range syncClasses {
		t.Run(c.name, func(t *testing.T) {
			seeds := int64(seedsToFail)
			if c.spare != "" {
				seeds = seedsToPass
			}
			for seed := range seeds {
				wrong, skipped := c.without(seed)
				require.Positive(t, skipped, "there is no such sync")
				if c.spare != "" {
					require.Empty(t, wrong, "seed %d without syncs that can be spared, for %s", seed, c.spare)
				} else if wrong != "" {
					return
				}
			}
			require.NotEmpty(t, c.spare, "nothing is lost without these syncs in %d seeds", seeds)
		})
	}
}

// TestEverySyncHasAClass holds the list to what a node does.
func TestEverySyncHasAClass(t *testing.T) {
	patterns := make([]*regexp.Regexp, len(syncClasses))
	for i, c := range syncClasses {
		patterns[i] = regexp.MustCompile(c.path)
	}
	var mu sync.Mutex
	strange := map[string]bool{}
	crashes(t, 0, []int{0}, func(op fsys.Op, path string) bool {
		for i, c := range syncClasses {
			if c.op == op && patterns[i].MatchString(path) {
				return false
			}
		}
		mu.Lock()
		defer mu.Unlock()
		strange[string(op)+" "+path] = true
		return false
	})
	require.Empty(t, strange)
}
