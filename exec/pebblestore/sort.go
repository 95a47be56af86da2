package pebblestore

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// changeSorter sorts the changes of a batch by their keys, and those of one key as they came. Keys of rows are alike for long stretches: the operator,
// a window's start, the first letters of names. So it looks at eight bytes at a time, behind what all keys in hand begin with, and takes many changes
// byte by byte, without comparing them. That keeps the order in which they came, which is often that of the bytes behind: what is in order already is not
// sorted.
type changeSorter struct {
	repr   []byte
	spare  []change
	counts [headBytes][256]uint32
}

const (
	// fewChanges are compared key by key.
	fewChanges = 12
	// manyChanges are sorted byte by byte.
	manyChanges = 64
	// headBytes is how many bytes of a key are looked at at once.
	headBytes = 8
)

func (s *changeSorter) key(c change) []byte { return s.repr[c.key:c.keyEnd] }

// sort sorts changes whose keys are equal up to depth.
func (s *changeSorter) sort(run []change, depth int) {
	if len(run) < fewChanges {
		slices.SortFunc(run, s.compare)
		return
	}
	shared := s.lookBehind(run, depth)
	for len(run) > 0 {
		n, whole := 1, s.reaches(run[0], shared+headBytes)
		for ; n < len(run) && run[n].head == run[0].head; n++ {
			whole = whole && s.reaches(run[n], shared+headBytes)
		}
		switch {
		case n > 1 && whole:
			s.sort(run[:n], shared+headBytes)
		case n > 1:
			slices.SortFunc(run[:n], s.compare)
		}
		run = run[n:]
	}
}

// lookBehind sorts changes by the bytes that follow what all their keys have in common, and returns where these begin.
func (s *changeSorter) lookBehind(run []change, depth int) (shared int) {
	first := s.key(run[0])
	shared = len(first)
	for _, c := range run[1:] {
		shared = depth + sharedPrefix(first[depth:shared], s.key(c)[depth:])
	}
	ordered := true
	for i := range run {
		run[i].head = headOf(s.key(run[i])[shared:])
		ordered = ordered && (i == 0 || run[i-1].head <= run[i].head)
	}
	switch {
	case ordered:
	case len(run) < manyChanges:
		slices.SortFunc(run, func(x, y change) int { return cmp.Compare(x.head, y.head) })
	default:
		s.sortByHead(run)
	}
	return shared
}

// headOf is the first bytes of key as a number that compares as they do. A key that ends in them has zeros behind: only equal ones need another look.
func headOf(key []byte) uint64 {
	if len(key) >= headBytes {
		return binary.BigEndian.Uint64(key)
	}
	var head [headBytes]byte
	copy(head[:], key)
	return binary.BigEndian.Uint64(head[:])
}

// sortByHead deals the changes by each byte of their heads, the last first. Bytes in which all are alike cost nothing.
func (s *changeSorter) sortByHead(run []change) {
	s.counts = [headBytes][256]uint32{}
	for i := range run {
		for b := range headBytes {
			s.counts[b][byte(run[i].head>>(8*b))]++
		}
	}
	if len(s.spare) < len(run) {
		s.spare = make([]change, len(run))
	}
	from, to := run, s.spare[:len(run)]
	for b := range headBytes {
		places := &s.counts[b]
		if places[byte(from[0].head>>(8*b))] == uint32(len(run)) {
			continue
		}
		next := uint32(0)
		for v, n := range places {
			places[v] = next
			next += n
		}
		for _, c := range from {
			v := byte(c.head >> (8 * b))
			to[places[v]] = c
			places[v]++
		}
		from, to = to, from
	}
	if &from[0] != &run[0] {
		copy(run, from)
	}
}

// reaches reports whether a key has so many bytes.
func (s *changeSorter) reaches(c change, n int) bool { return int(c.keyEnd-c.key) >= n }

// compare compares two changes by their keys and then by when they came.
func (s *changeSorter) compare(x, y change) int {
	return cmp.Or(bytes.Compare(s.key(x), s.key(y)), cmp.Compare(x.at, y.at))
}

// sharedPrefix is how many bytes a and b begin with together.
func sharedPrefix(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
