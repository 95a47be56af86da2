package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millracedb/millrace/exec"
)

// load is a batch of many changes that come in the order of their keys. They are written to a table of their own, which the database takes in as it is: they
// pass neither its write-ahead log nor its memory, and if no older key lies between them they are not compacted either.
//
// The mark is not in that table, for the database would have to put its memory, where the mark before lies, on disk first. It follows in a batch. No
// snapshot is taken between the two; after a crash between them the changes are replayed onto themselves.
type load struct {
	s       *Store
	prefix  []byte
	name    string
	table   *sstable.Writer
	key     []byte
	mark    []byte
	started bool
	closed  bool
	err     error
}

// loadPrefix begins the names of the files of loads, which the database does not know as its own.
const loadPrefix = "load-"

// bottom is the level whose settings the table of a load has: there it mostly comes to lie.
const bottom = 6

// NewLoad starts a load.
func (p *partition) NewLoad() exec.StateLoad {
	return &load{s: p.store, prefix: p.prefix, name: p.store.fs.PathJoin(p.store.dir, fmt.Sprintf("%s%d", loadPrefix, p.store.loads.Add(1)))}
}

func (l *load) start() {
	l.started = true
	f, err := l.s.fs.Create(l.name, vfs.WriteCategoryUnspecified)
	if err != nil {
		l.err = err
		return
	}
	options := l.s.options.MakeWriterOptions(bottom, l.s.db.TableFormat())
	options.WritingToLowestLevel = false // there a delete has nothing below that it could hide, which is not known here
	l.table = sstable.NewWriter(objstorageprovider.NewFileWritable(f), options)
}

// Set sets key in op's space to val.
func (l *load) Set(op uint32, key, val []byte) {
	l.add(op, key, func() error { return l.table.Set(l.key, val) })
}

// Delete removes key from op's space.
func (l *load) Delete(op uint32, key []byte) {
	l.add(op, key, func() error { return l.table.Delete(l.key) })
}

func (l *load) add(op uint32, key []byte, write func() error) {
	if !l.started {
		l.start()
	}
	if l.err != nil {
		return
	}
	l.key = append(appendSpace(l.key[:0], l.prefix, op), key...)
	l.err = write()
}

// SetMark sets the partition's mark.
func (l *load) SetMark(m exec.Mark) { l.mark = appendMark(nil, m) }

// Finish writes the table out and waits until it is on the disk.
func (l *load) Finish() {
	if l.table == nil || l.closed {
		return
	}
	l.closed = true
	if err := l.table.Close(); l.err == nil {
		l.err = err
	}
}

// Commit takes the table in. If that fails the store has failed.
func (l *load) Commit() error {
	l.Finish()
	err := l.err
	if err == nil {
		err = l.takeIn()
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("%w: write a load: %w", errFatal, err)
	l.s.log.fatal(err)
	return errors.Join(err, l.Close())
}

func (l *load) takeIn() error {
	l.s.cut.Lock()
	defer l.s.cut.Unlock()
	if l.table != nil {
		if err := l.s.db.Ingest(context.Background(), []string{l.name}); err != nil {
			return err
		}
		l.table = nil
	}
	return l.s.db.Set(appendSpace(nil, l.prefix, markSpace), l.mark, pebble.NoSync)
}

// Close gives up the changes.
func (l *load) Close() error {
	l.Finish()
	if l.table == nil {
		return nil
	}
	l.table = nil
	return l.s.fs.Remove(l.name)
}

// removeLoads removes what loads have left that did not end.
func (s *Store) removeLoads() error {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, loadPrefix) {
			if err := s.fs.Remove(s.fs.PathJoin(s.dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
