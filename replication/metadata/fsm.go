package metadata

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/raft"
)

// fsm is the state machine under raft. Raft calls Apply, Snapshot and Restore from one goroutine; readers take the image under the lock.
type fsm struct {
	release string
	level   uint32 // the highest feature level that it knows
	onFatal func(error)

	requests *requests // of raft's goroutine alone

	mu struct {
		sync.Mutex
		image   *Image
		changed chan struct{} // closed and replaced when image is
		stopped error         // once set nothing is applied any more
	}
}

var _ raft.FSM = (*fsm)(nil)

func newFSM(release string, level uint32, onFatal func(error)) *fsm {
	f := &fsm{release: release, level: level, onFatal: onFatal, requests: newRequests()}
	f.mu.image = newImage()
	f.mu.changed = make(chan struct{})
	return f
}

// watch returns the image and a channel that is closed when a newer one is there.
func (f *fsm) watch() (*Image, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.image, f.mu.changed
}

func (f *fsm) publish(img *Image) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.image = img
	close(f.mu.changed)
	f.mu.changed = make(chan struct{})
}

// Apply applies one committed entry and answers with its *outcome, or with an error if the node must stop.
func (f *fsm) Apply(l *raft.Log) any {
	if l.Type != raft.LogCommand {
		return nil
	}
	if err := f.failure(); err != nil {
		return err
	}
	e, err := decodeEntry(l.Data, f.level)
	if err != nil {
		return f.stop(l.Index, err)
	}
	if o, ok := f.requests.get(e.request); ok {
		return o
	}
	img, _ := f.watch()
	if l.Index <= img.index {
		return nil // raft was reopened and plays its log again
	}
	o := &outcome{request: e.request, index: l.Index}
	next, results, err := applyEntry(img, l.Index, e)
	switch {
	case err == nil && next.featureLevel > f.level:
		return f.fail(&UnknownLevelError{next.featureLevel, f.level, e.release})
	case err == nil:
		o.results = results
	case errors.As(err, &o.err):
		// Refused, but the image is now known to be that of this index too.
		same := *img
		same.index = l.Index
		next = &same
	default:
		return f.stop(l.Index, err)
	}
	f.requests.add(o)
	f.publish(next)
	return o
}

// stop makes the state machine refuse everything from here on and tells the node, which must end. Raft has the entry in its log, so a newer
// release finds it there.
func (f *fsm) stop(index uint64, err error) error {
	var unknown *UnknownEntryError
	if errors.As(err, &unknown) {
		unknown.Index = index
	} else {
		err = fmt.Errorf("metadata: entry at index %d: %w", index, err)
	}
	return f.fail(err)
}

func (f *fsm) fail(err error) error {
	f.mu.Lock()
	f.mu.stopped = err
	f.mu.Unlock()
	f.onFatal(err)
	return err
}

// failure is why the state machine has stopped, or nil.
func (f *fsm) failure() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.stopped
}

// Snapshot captures the state by pointer; raft writes it while entries go on being applied.
func (f *fsm) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.failure(); err != nil {
		return nil, err
	}
	img, _ := f.watch()
	return &snapshot{release: f.release, image: img, requests: f.requests.list()}, nil
}

// Restore replaces the state by that of a snapshot.
func (f *fsm) Restore(rc io.ReadCloser) error {
	img, reqs, err := readSnapshot(rc, f.level)
	if err = errors.Join(err, rc.Close()); err != nil {
		return f.fail(err)
	}
	if now, _ := f.watch(); img.index < now.index {
		return nil // older than what was applied
	}
	f.requests = reqs
	f.publish(img)
	return nil
}
