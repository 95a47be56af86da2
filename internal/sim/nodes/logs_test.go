package nodes

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
)

// What the clients can see of a broken promise is often far from where it was broken. Below all of them are the logs: each node's replica of a partition holds the same, and a transaction has one outcome
// in all partitions.

// maxSegment bounds a segment that is read, in bytes.
const maxSegment = 256 << 20

// batch is what is looked at of a batch in a log.
type batch struct {
	base, last int64
	id         int64 // of the producer
	epoch      int16
	crc        uint32
	data       bool // of a transaction
	control    bool
	commit     bool // of a control batch
}

// logs are the batches of a node's partitions, by directory.
type logs map[string][]batch

var (
	partitionDir = regexp.MustCompile(`^.+-\d+$`)
	// remade are the topics that come and go, so that nodes may hold different ones of the same name for a moment.
	remade = regexp.MustCompile(`^named_\d`)
)

// readLogs reads all that is in the logs of a node.
func readLogs(fs fsys.FS) (logs, error) {
	out := logs{}
	dirs, err := fs.List("/data")
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		if !partitionDir.MatchString(dir) || remade.MatchString(dir) {
			continue
		}
		if out[dir], err = readPartition(fs, fs.PathJoin("/data", dir)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// readPartition reads the segments in a directory; what is being written at this moment is left out.
func readPartition(fs fsys.FS, dir string) (out []batch, err error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(slices.Values(names)) {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		data, err := fsys.ReadFile(fs, fs.PathJoin(dir, name), maxSegment)
		if fsys.IsNotExist(err) {
			continue // retention has taken it
		}
		if err != nil {
			return nil, err
		}
		for len(data) > 0 {
			h, frame, rest, err := record.Next(data)
			if err != nil {
				break
			}
			out, data = append(out, batchOf(h, frame)), rest
		}
	}
	return out, nil
}

func batchOf(h record.Header, frame []byte) batch {
	b := batch{base: h.BaseOffset, last: h.LastOffset(), id: h.ProducerID, epoch: h.ProducerEpoch, crc: h.CRC, data: h.IsTransactional() && !h.IsControl()}
	if h.IsControl() {
		if m, ok, err := record.ParseControl(frame); err == nil && ok {
			b.control, b.commit = true, m.Commit
		}
	}
	return b
}

// txnID is a transaction where every end raises the epoch of its producer, as all clients here have it.
type txnID struct {
	producer int64
	epoch    int16
}

// torn says which transactions are committed in some partitions and aborted in others.
func torn(l logs) (wrong []string) {
	committed, aborted := map[txnID][]string{}, map[txnID][]string{}
	for _, dir := range slices.Sorted(maps.Keys(l)) {
		open := map[int64]batch{}
		for _, b := range l[dir] {
			first, is := open[b.id]
			switch {
			case b.data && !is:
				open[b.id] = b
			case b.control && is:
				delete(open, b.id)
				outcome := aborted
				if b.commit {
					outcome = committed
				}
				t := txnID{b.id, first.epoch}
				outcome[t] = append(outcome[t], fmt.Sprintf("%s from %d to %d", dir, first.base, b.base))
			}
		}
	}
	for t, where := range committed {
		if not := aborted[t]; not != nil {
			wrong = append(wrong, fmt.Sprintf("the transaction of producer %d in epoch %d is committed in %v and aborted in %v", t.producer, t.epoch, where, not))
		}
	}
	slices.Sort(wrong)
	return wrong
}

// apart says which partitions hold different batches at the same offsets on two nodes. Cleaning rewrites batches on each node by itself, and writes them with other checksums: then only the producers are compared.
func apart(a, b logs) (wrong []string) {
	for _, dir := range slices.Sorted(maps.Keys(a)) {
		other := map[int64]batch{}
		for _, x := range b[dir] {
			other[x.base] = x
		}
		for _, x := range a[dir] {
			y, ok := other[x.base]
			if !ok || x == y {
				continue
			}
			if x.last == y.last && cleaned(dir) {
				y.crc = x.crc
			}
			if x != y {
				wrong = append(wrong, fmt.Sprintf("%s at %d: %+v and %+v", dir, x.base, x, y))
				break
			}
		}
	}
	return wrong
}

// cleaned reports whether a partition's topic is compacted.
func cleaned(dir string) bool {
	return strings.HasPrefix(dir, "__") || strings.HasPrefix(dir, "_millrace") || !slices.Contains([]string{"events", "even", "named", "raw", "whole", "pipe-in", "pipe-out"}, topicOf(dir))
}

func topicOf(dir string) string { return dir[:strings.LastIndexByte(dir, '-')] }

// checkLogs looks at the logs of all nodes once nothing is written any more but heartbeats.
func (w *world) checkLogs() error {
	var all []logs
	for _, m := range w.machines() {
		m.mu.Lock()
		fs := m.mu.fs
		m.mu.Unlock()
		l, err := readLogs(fs)
		if err != nil {
			return fmt.Errorf("the logs of %s: %w", m.ip, err)
		}
		w.violateAll("the logs of "+m.ip, torn(l))
		all = append(all, l)
	}
	for i, a := range all {
		for _, b := range all[i+1:] {
			w.violateAll("replicas differ", apart(a, b))
		}
		w.trace.printf("the logs of %s: %s", w.machines()[i].ip, sizes(a))
	}
	return nil
}

// sizes are the ends of all partitions.
func sizes(l logs) string {
	var out []string
	for _, dir := range slices.SortedFunc(maps.Keys(l), func(a, b string) int { return cmp.Compare(a, b) }) {
		if n := len(l[dir]); n > 0 {
			out = append(out, dir+": "+strconv.FormatInt(l[dir][n-1].last+1, 10))
		}
	}
	return strings.Join(out, ", ")
}
