package exec

import (
	"math/bits"
	"slices"
	"sort"
)

// sessionOrder keeps the open sessions of each group in the order of time, each group's in a run of one slice, so that the collector sees no
// pointer for a group. A run that is full moves to one of twice the size, and what it leaves is used again.
type sessionOrder struct {
	refs []sessionRef
	free [32]uint32 // runs that nobody has, by the logarithm of their size: one more than where the first begins, and there the next in start
}

// sessionRef is a session in a run.
type sessionRef struct {
	start int64
	slot  int32
}

// sessionRun is where a group's sessions stand.
type sessionRun struct{ off, len, cap uint32 }

// of are the sessions of a run, the earliest first. They may be changed but in their order.
func (s *sessionOrder) of(r sessionRun) []sessionRef { return s.refs[r.off : r.off+r.len] }

// after is the place of the first session that starts after t.
func (s *sessionOrder) after(r sessionRun, t int64) int {
	refs := s.of(r)
	if n := len(refs); n == 0 || refs[n-1].start <= t {
		return n // as nearly all, when rows come about in their order
	}
	return sort.Search(len(refs), func(i int) bool { return refs[i].start > t })
}

// insert puts a session into a run at a place.
func (s *sessionOrder) insert(r *sessionRun, at int, ref sessionRef) {
	if r.len == r.cap {
		s.grow(r)
	}
	r.len++
	refs := s.of(*r)
	copy(refs[at+1:], refs[at:])
	refs[at] = ref
}

// remove takes the sessions from i to before j out of a run.
func (s *sessionOrder) remove(r *sessionRun, i, j int) {
	refs := s.of(*r)
	r.len = uint32(i + copy(refs[i:], refs[j:]))
}

func (s *sessionOrder) grow(r *sessionRun) {
	to := sessionRun{len: r.len, cap: max(1, 2*r.cap)}
	if first := &s.free[bits.Len32(to.cap)-1]; *first != 0 {
		to.off = *first - 1
		*first = uint32(s.refs[to.off].start)
	} else {
		to.off = uint32(len(s.refs))
		s.refs = slices.Grow(s.refs, int(to.cap))[:len(s.refs)+int(to.cap)]
	}
	copy(s.of(to), s.of(*r))
	if r.cap > 0 {
		first := &s.free[bits.Len32(r.cap)-1]
		s.refs[r.off].start = int64(*first)
		*first = r.off + 1
	}
	*r = to
}

func (s *sessionOrder) memSize() int64 { return int64(16 * cap(s.refs)) }
