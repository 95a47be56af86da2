package lifeline

import "time"

const (
	// Refusals is how often in a row a node port must have refused a connection, and RefusedFor how much time must lie between the first and the last of them, until the process counts as dead.
	Refusals   = 3
	RefusedFor = 300 * time.Millisecond
)

// End is how a connection ended.
type End int

// The ends.
const (
	// Unknown is an end by an error of this side, such as a time that was exceeded.
	Unknown End = iota
	// InOrder: the other side has said farewell.
	InOrder
	// Stream is an end of the stream without a farewell: FIN.
	Stream
	// Reset is what its name says: RST.
	Reset
)

// witness is what one node has seen of the processes of others. The zero value has seen nothing.
type witness struct {
	seen map[int32]*sighting
	line uint64 // the last number that was given to a life line
}

// sighting is what was seen of one node.
type sighting struct {
	epoch   uint64 // of the registration whose life line came last
	line    uint64 // the number of that
	gone    bool   // it has ended as with its process
	refused int    // how often in a row connections were refused since the last sign of life
	first   time.Time
	last    time.Time // of these
}

// opened notes a new life line and returns its number.
func (w *witness) opened(node int32, epoch uint64) uint64 {
	if w.seen == nil {
		w.seen = map[int32]*sighting{}
	}
	w.line++
	w.seen[node] = &sighting{epoch: epoch, line: w.line}
	return w.line
}

// ended notes the end of a life line, and reports whether it is worth to ask the node port: whether the process may have died.
func (w *witness) ended(node int32, line uint64, how End) bool {
	s := w.newest(node, line)
	if s == nil {
		return false
	}
	s.gone = how == Stream
	return s.gone
}

// newest is what was seen of a node if line is its newest life line, else nil.
func (w *witness) newest(node int32, line uint64) *sighting {
	if s := w.seen[node]; s != nil && s.line == line {
		return s
	}
	return nil
}

// alive notes a sign of life.
func (w *witness) alive(node int32) {
	if s := w.seen[node]; s != nil {
		s.refused = 0
	}
}

// dialled notes whether the node port has refused a connection.
func (w *witness) dialled(node int32, line uint64, refused bool, now time.Time) {
	s := w.newest(node, line)
	if s == nil {
		return
	}
	if !refused {
		s.refused = 0
		return
	}
	if s.refused == 0 {
		s.first = now
	}
	s.refused++
	s.last = now
}

// dead reports whether the process that registered with an epoch has been seen to die, and since when that is certain.
func (w *witness) dead(node int32, epoch uint64) (since time.Time, ok bool) {
	s := w.seen[node]
	if s == nil || s.epoch != epoch || !s.gone || s.refused < Refusals || s.last.Sub(s.first) < RefusedFor {
		return time.Time{}, false
	}
	return s.first.Add(RefusedFor), true
}
