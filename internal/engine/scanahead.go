package engine

import (
	"fmt"
	"runtime/debug"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/vec"
)

const (
	// aheadAfter is how many batches of a table are read before a goroutine reads on: most queries read fewer.
	aheadAfter = 4
	// aheadBatches is how many batches a scan uses then: one is with the operators, one is being read, the others wait.
	aheadBatches = 4
)

// aheadIter is a scan of a whole table that reads the next rows while the operators are busy with those before. Next and Close are of the query's
// goroutine, which owns the reading one: Close waits for it.
type aheadIter struct {
	in    *tableIter
	begun int // batches read so far by the query's goroutine
	read  chan *aheadBatch
	free  chan *aheadBatch
	stop  chan struct{}
	held  *aheadBatch // with the operators
	// Of the reading goroutine until read is closed.
	err      error
	panicked string
}

// aheadBatch is the memory of one batch: all columns of the relation, and those of the scan.
type aheadBatch struct {
	full *vec.Batch
	out  vec.Batch
}

// Next implements bounded.Iter.
func (it *aheadIter) Next() (*vec.Batch, error) {
	if it.begun < aheadAfter {
		it.begun++
		return it.in.Next()
	}
	if it.read == nil {
		it.start()
	}
	if it.held != nil {
		it.free <- it.held
		it.held = nil
	}
	if b, ok := <-it.read; ok {
		it.held = b
		return &b.out, nil
	}
	if it.panicked != "" {
		panic(it.panicked)
	}
	return nil, it.err
}

func (it *aheadIter) start() {
	it.read, it.free, it.stop = make(chan *aheadBatch, aheadBatches), make(chan *aheadBatch, aheadBatches), make(chan struct{})
	for range aheadBatches {
		it.free <- &aheadBatch{full: exec.NewRowBatch(it.in.rel, 0)}
	}
	go it.run()
}

// run reads to the end, or until it is stopped.
func (it *aheadIter) run() {
	defer close(it.read)
	defer func() {
		if p := recover(); p != nil {
			it.panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
		}
	}()
	for {
		var b *aheadBatch
		select {
		case b = <-it.free:
		case <-it.stop:
			return
		}
		it.in.full, it.in.out = b.full, b.out
		more, err := it.in.Next()
		b.full, b.out = it.in.full, it.in.out
		if it.err = err; more == nil || err != nil {
			return
		}
		select {
		case it.read <- b:
		case <-it.stop:
			return
		}
	}
}

// Close implements bounded.Iter.
func (it *aheadIter) Close() {
	if it.read != nil {
		close(it.stop)
		for range it.read { // what was read and nobody wants
		}
	}
	it.in.Close()
}
