package engine

import (
	"context"
	"slices"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/replication/metadata"
)

// stagedDDL is the catalog changes of a block, or of several statements of one Query: one batch that is applied at COMMIT, before the rows, and what is to be done around that.
type stagedDDL struct {
	batch   *metadata.Batch
	drops   []*metadata.Object
	after   []func(context.Context) error
	img     *metadata.Image // the newest image with the changes; nil after the next change
	created map[metadata.OID]bool
	// blocks are values of sequences that the block has made.
	blocks map[metadata.OID]*sequenceBlock
}

// ddl is one statement's catalog changes being made.
type ddl struct {
	s     *session
	batch *metadata.Batch
	img   *metadata.Image // what the statement sees
	start int             // changes in the batch before it
	drops []*metadata.Object
	made  []metadata.OID
	names map[string]bool // that the statement has given to what goes with its object
	after func(context.Context) error
}

// beginDDL starts the catalog changes of a statement: in a block they join those before it, else they are a batch of their own.
func (s *session) beginDDL() *ddl {
	d := &ddl{s: s, img: s.image()}
	if !s.tx.stages() {
		d.batch = s.e.meta.NewBatch()
		return d
	}
	if s.tx.ddl == nil {
		s.tx.ddl = &stagedDDL{batch: s.e.meta.NewBatch(), created: map[metadata.OID]bool{}}
	}
	d.batch, d.start = s.tx.ddl.batch, s.tx.ddl.batch.Len()
	return d
}

// cancel takes back what a statement that failed has put into the block's batch.
func (d *ddl) cancel() { d.batch.Truncate(d.start) }

// end applies the changes, or stages them for COMMIT.
func (d *ddl) end(ctx context.Context) error {
	if err := d.s.stageTemp(d); err != nil {
		return err
	}
	d.drops = slices.DeleteFunc(d.drops, func(o *metadata.Object) bool { return isTemp(o.OID) })
	if d.batch.Len() == d.start {
		return nil
	}
	if !d.s.tx.stages() {
		return d.s.e.commitDDL(ctx, d.batch, d.drops, d.after)
	}
	img, err := d.s.e.meta.Preview(d.batch)
	if err != nil {
		d.cancel()
		return ddlError(err)
	}
	t := d.s.tx.ddl
	t.img, t.drops = img, append(t.drops, d.drops...)
	for _, oid := range d.made {
		t.created[oid] = true
	}
	if d.after != nil {
		t.after = append(t.after, d.after)
	}
	return nil
}

// commitDDL makes catalog changes durable, and this node act on them.
func (e *Engine) commitDDL(ctx context.Context, b *metadata.Batch, drops []*metadata.Object, after ...func(context.Context) error) error {
	// Tasks stop first: they must not find their topics gone.
	e.super.stopBeforeDrop(drops)
	r, err := e.meta.Apply(ctx, b)
	if err != nil {
		e.super.again(drops)
		return ddlError(err)
	}
	e.super.afterDrop(drops)
	if err := e.super.waitActed(ctx, r.Index); err != nil {
		return afterChange(err)
	}
	e.awaitKnown(ctx, r.Index)
	for _, f := range after {
		if f == nil {
			continue
		}
		if err := f(ctx); err != nil {
			return afterChange(err)
		}
	}
	return nil
}

// afterChange is an error of what follows a change of the catalog that was made. It must not say that nothing was, as that of an engine which ends: the client would send the statement again.
func afterChange(err error) error {
	if sqlerr.CodeOf(err) != sqlerr.CannotConnectNow {
		return err
	}
	return sqlerr.New(sqlerr.StatementCompletionUnknown, "the change was made, but what follows from it cannot be waited for: %w", err).WithHint("Look whether it is there before you send it again.")
}

// commitStaged applies the catalog changes of a block. What waits for new queries comes after the block's rows.
func (s *session) commitStaged(ctx context.Context, t *stagedDDL) error {
	return s.e.commitDDL(ctx, t.batch, t.drops)
}

// image is the newest image as the session sees it: with the catalog changes of its block and its temporary objects.
func (s *session) image() *metadata.Image { return s.temp.image(s.stagedImage()) }

func (s *session) stagedImage() *metadata.Image {
	if s.tx == nil || s.tx.ddl == nil || s.tx.ddl.batch.Len() == 0 {
		return s.e.meta.Image()
	}
	t := s.tx.ddl
	if newest := s.e.meta.Image(); t.img == nil || t.img.Index() != newest.Index() {
		img, err := s.e.meta.Preview(t.batch)
		if err != nil {
			// Another session has changed what this one builds on; COMMIT will say so.
			return newest
		}
		t.img = img
	}
	return t.img
}

// staged is the index of an image that only this session sees. No plan over it is used again.
const staged = 0

// imageIndex identifies the image that a statement is analysed with.
func (s *session) imageIndex() uint64 {
	if s.tx != nil && s.tx.ddl.len() > 0 {
		return staged
	}
	return s.e.meta.Image().Index()
}

// created tells whether a relation was made by this transaction, so that nobody keeps its rows yet.
func (s *session) created(oid uint32) bool {
	return s.tx != nil && s.tx.ddl != nil && !isTemp(oid) && s.tx.ddl.created[metadata.OID(oid)]
}

// checkDDL refuses DDL in a read-only transaction.
func (s *session) checkDDL(what string) error { return s.checkWrite(what) }

// ddlMark is how far a block's catalog changes had come at a savepoint.
type ddlMark struct{ changes, drops, after int }

func (t *stagedDDL) mark() ddlMark {
	if t == nil {
		return ddlMark{}
	}
	return ddlMark{t.batch.Len(), len(t.drops), len(t.after)}
}

// truncate goes back to a savepoint of the block's catalog changes, with what was to be stopped before them and waited for after.
func (t *stagedDDL) truncate(to ddlMark) {
	if t == nil || t.batch.Len() == to.changes {
		return
	}
	t.batch.Truncate(to.changes)
	t.drops, t.after, t.img, t.blocks = t.drops[:to.drops], t.after[:to.after], nil, nil
}

func (t *stagedDDL) len() int {
	if t == nil {
		return 0
	}
	return t.batch.Len()
}
