package exec

import "bytes"

// skipList keeps distinct byte keys in order and numbers them 0, 1, 2... as they come. It is laid out in three slices, so that the
// collector sees no pointer for a key. Heights come from the keys' hashes.
type skipList struct {
	nodes []skipNode
	links []int32 // of each node, one a level from the lowest; -1 at the end
	heads [skipHeight]int32
	arena []byte
	path  [skipHeight]int32 // the last node before a key, by level; -1 for the head
}

type skipNode struct {
	off, len uint32
	links    uint32
	height   uint32
}

const skipHeight = 12

// descend finds the last node before key on each level and returns the one after it on the lowest, -1 for none.
func (s *skipList) descend(key []byte) int32 {
	if len(s.nodes) == 0 {
		for i := range s.path {
			s.path[i], s.heads[i] = -1, -1
		}
		return -1
	}
	at := int32(-1)
	next := int32(-1)
	for level := skipHeight - 1; level >= 0; level-- {
		for next = s.after(at, level); next >= 0 && bytes.Compare(s.key(next), key) < 0; next = s.after(at, level) {
			at = next
		}
		s.path[level] = at
	}
	return next
}

func (s *skipList) after(n int32, level int) int32 {
	if n < 0 {
		return s.heads[level]
	}
	return s.links[s.nodes[n].links+uint32(level)]
}

// seek returns the first key at or after key, -1 for none.
func (s *skipList) seek(key []byte) int32 { return s.descend(key) }

// next returns the key after n, -1 for none.
func (s *skipList) next(n int32) int32 { return s.after(n, 0) }

// find returns the number of key, or -1.
func (s *skipList) find(key []byte) int32 {
	if n := s.descend(key); n >= 0 && bytes.Equal(s.key(n), key) {
		return n
	}
	return -1
}

// add returns the number of key, and whether it is new.
func (s *skipList) add(key []byte) (n int32, fresh bool) {
	if n := s.descend(key); n >= 0 && bytes.Equal(s.key(n), key) {
		return n, false
	}
	height := uint32(1)
	for h := hashBytes(key); h&3 == 0 && height < skipHeight; h >>= 2 {
		height++
	}
	n = int32(len(s.nodes))
	s.nodes = append(s.nodes, skipNode{off: uint32(len(s.arena)), len: uint32(len(key)), links: uint32(len(s.links)), height: height})
	s.arena = append(doubled(s.arena), key...)
	for level := range int(height) {
		s.links = append(s.links, s.after(s.path[level], level))
		if p := s.path[level]; p < 0 {
			s.heads[level] = n
		} else {
			s.links[s.nodes[p].links+uint32(level)] = n
		}
	}
	return n, true
}

// key returns key number n. It is valid until reset.
func (s *skipList) key(n int32) []byte {
	x := &s.nodes[n]
	return s.arena[x.off : x.off+x.len : x.off+x.len]
}

// memSize returns the bytes held.
func (s *skipList) memSize() int64 {
	return int64(16*cap(s.nodes) + 4*cap(s.links) + cap(s.arena))
}

// empty forgets all keys; memory beyond maxKeptArena goes.
func (s *skipList) empty() {
	if s.memSize() > maxKeptArena {
		*s = skipList{}
		return
	}
	s.nodes, s.links, s.arena = s.nodes[:0], s.links[:0], s.arena[:0]
}
