package engine

import (
	"fmt"
	"runtime/debug"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/vec"
)

// copyBatches is how many batches a COPY uses: one is filled from the input, one is inserted, one waits between them.
const copyBatches = 3

// copyInserter inserts the batches of a COPY in their order, on a goroutine of its own, while the next one is parsed. The session's goroutine owns it:
// insert, then finish, which waits for the goroutine. Between the two nobody else may use the transaction.
type copyInserter struct {
	c    *change
	work chan *vec.Batch
	free chan *vec.Batch
	done chan struct{}
	// Of the goroutine until done is closed.
	err      error
	panicked string
}

func startCopyInserter(c *change) *copyInserter {
	w := &copyInserter{c: c, work: make(chan *vec.Batch, 1), free: make(chan *vec.Batch, copyBatches), done: make(chan struct{})}
	for range copyBatches - 1 {
		w.free <- exec.NewRowBatch(c.dml.Rel, copyRows)
	}
	go w.run()
	return w
}

// run inserts until the work ends or a batch fails.
func (w *copyInserter) run() {
	defer close(w.done)
	defer func() {
		if p := recover(); p != nil {
			w.panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
		}
	}()
	for b := range w.work {
		if w.err = w.c.insert(b); w.err != nil {
			return
		}
		b.Reset()
		w.free <- b
	}
}

// insert hands b over and returns an empty batch to fill next. An error may be that of an earlier batch.
func (w *copyInserter) insert(b *vec.Batch) (*vec.Batch, error) {
	select {
	case w.work <- b:
	case <-w.done:
		return nil, w.finish()
	}
	select {
	case next := <-w.free:
		return next, nil
	case <-w.done:
		return nil, w.finish()
	}
}

// settle waits until all batches so far are inserted; more may follow.
func (w *copyInserter) settle() error {
	var idle [copyBatches - 1]*vec.Batch // with the session's batch these are all
	for i := range idle {
		select {
		case idle[i] = <-w.free:
		case <-w.done:
			return w.finish()
		}
	}
	for _, b := range idle {
		w.free <- b
	}
	return nil
}

// finish waits until all batches are inserted, or one has failed. A panic under an insert goes on here, where the connection expects it.
func (w *copyInserter) finish() error {
	if w.work != nil {
		close(w.work)
		w.work = nil
	}
	<-w.done
	if p := w.panicked; p != "" {
		w.panicked = ""
		panic(p)
	}
	return w.err
}
