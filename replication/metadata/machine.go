package metadata

import (
	"io"

	"github.com/hashicorp/raft"
)

// Machine is the state machine without a group: what a batch makes of the metadata, with no disk, no network and no goroutine. Simulations and tests drive it; a seed of rand
// replays exactly. It is not safe for concurrent use.
type Machine struct {
	f     *fsm
	index uint64
	rand  io.Reader
}

// NewMachine returns a machine without any entries. onFatal is told of an entry that cannot be applied.
func NewMachine(rand io.Reader, onFatal func(error)) *Machine {
	return &Machine{f: newFSM("0.1.0", FeatureMax, onFatal), rand: rand}
}

// Image returns the newest image.
func (m *Machine) Image() *Image {
	img, _ := m.f.watch()
	return img
}

// NewBatch begins a batch made from the newest image.
func (m *Machine) NewBatch() *Batch { return newBatch(m.Image(), m.f.release, m.rand) }

// Apply applies a batch as one entry, through its bytes. A refusal is an *Error.
func (m *Machine) Apply(b *Batch) (Result, error) {
	if b.err != nil {
		return Result{}, b.err
	}
	m.index++
	switch o := m.f.Apply(&raft.Log{Index: m.index, Type: raft.LogCommand, Data: b.entry.encode()}).(type) {
	case *outcome:
		if o.err != nil {
			return Result{}, o.err
		}
		return Result{Index: o.index, values: o.results}, nil
	case error:
		return Result{}, o
	}
	return Result{}, ErrClosed
}
