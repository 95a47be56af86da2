package exec

import (
	"hash/maphash"
	"math"
	"slices"
)

// hashSeed is the process's. Nothing that leaves a task depends on the order of hashes.
var hashSeed = maphash.MakeSeed()

func hashBytes(b []byte) uint64 { return maphash.Bytes(hashSeed, b) }

// keyIndex numbers distinct byte keys 0, 1, 2... in the order they came. It holds them in one arena and a table of words
// with linear probing, so that the collector sees three objects however many keys there are.
type keyIndex struct {
	slots []indexSlot
	spans []keySpan
	arena []byte
	loose int // how many keys, the last ones, are not in slots yet
}

// indexSlot is the number of a key plus one in its low half, 0 if the slot is free, and the high half of the key's hash: a look at the slot passes
// over nearly all other keys.
type indexSlot uint64

func slotOf(h uint64, n int) indexSlot { return indexSlot(h&^math.MaxUint32) | indexSlot(n+1) }

// may tells whether the slot's key can be one with hash h.
func (s indexSlot) may(h uint64) bool { return uint64(s)>>32 == h>>32 }

// number returns the number of the slot's key.
func (s indexSlot) number() int32 { return int32(uint32(s) - 1) }

type keySpan struct {
	hash uint64
	off  uint32
	len  uint32
}

// minIndexSlots is the size of a fresh table; it is a power of two, as all sizes are.
const minIndexSlots = 64

// findHash returns the number of the first key with hash h, or -1.
func (x *keyIndex) findHash(h uint64) int32 {
	if x.loose > 0 {
		x.fasten()
	}
	if len(x.slots) == 0 {
		return -1
	}
	mask := uint64(len(x.slots) - 1)
	for p := h & mask; x.slots[p] != 0; p = (p + 1) & mask {
		if n := x.slots[p].number(); x.slots[p].may(h) && x.spans[n].hash == h {
			return n
		}
	}
	return -1
}

// find returns the number of key, or -1.
func (x *keyIndex) find(key []byte) int32 {
	if x.loose > 0 {
		x.fasten()
	}
	if len(x.slots) == 0 {
		return -1
	}
	h := hashBytes(key)
	mask := uint64(len(x.slots) - 1)
	for p := h & mask; x.slots[p] != 0; p = (p + 1) & mask {
		if x.slots[p].may(h) && string(x.key(x.slots[p].number())) == string(key) {
			return x.slots[p].number()
		}
	}
	return -1
}

// add returns the number of key, and whether it is new.
func (x *keyIndex) add(key []byte) (n int32, fresh bool) {
	if x.loose > 0 {
		x.fasten()
	}
	if 4*(len(x.spans)+1) > 3*len(x.slots) {
		x.grow()
	}
	h := hashBytes(key)
	mask := uint64(len(x.slots) - 1)
	p := h & mask
	for ; x.slots[p] != 0; p = (p + 1) & mask {
		if x.slots[p].may(h) && string(x.key(x.slots[p].number())) == string(key) {
			return x.slots[p].number(), false
		}
	}
	x.slots[p] = slotOf(h, len(x.spans))
	x.keep(key, h)
	return int32(len(x.spans) - 1), true
}

func (x *keyIndex) keep(key []byte, h uint64) {
	x.spans = append(roomy(x.spans), keySpan{hash: h, off: uint32(len(x.arena)), len: uint32(len(key))})
	x.arena = append(doubled(x.arena), key...)
}

// push adds a key that is surely new and returns its number. It costs a fraction of add: the key gets its slot when one is next looked for.
func (x *keyIndex) push(key []byte) int32 {
	x.keep(key, hashBytes(key))
	x.loose++
	return int32(len(x.spans) - 1)
}

// fasten gives the keys that were pushed their slots.
func (x *keyIndex) fasten() {
	slots := max(minIndexSlots, len(x.slots))
	for 4*len(x.spans) > 3*slots {
		slots *= 2
	}
	if slots > len(x.slots) {
		x.rebuild(slots)
		return
	}
	x.fill(len(x.spans) - x.loose)
}

// An arena of these sizes doubles when it has less room than arenaRoom, enough for a usual row.
const (
	minDoubled = 64 << 10
	maxDoubled = 64 << 20
	arenaRoom  = 256
)

// doubled makes room in an arena that is nearly full: append alone lets a large one grow by a quarter, and so copies it four times as often. A very
// large one is left to append, which wastes less.
func doubled(arena []byte) []byte {
	if cap(arena)-len(arena) >= arenaRoom || cap(arena) < minDoubled || cap(arena) > maxDoubled {
		return arena
	}
	return append(make([]byte, 0, 2*cap(arena)), arena...)
}

// minRoomy is from how many elements on append alone lets a list grow by less than double.
const minRoomy = 256

// roomy doubles a list that is full and not small, for the reason that doubled has.
func roomy[T any](list []T) []T {
	if len(list) < cap(list) || len(list) < minRoomy {
		return list
	}
	return slices.Grow(list, len(list))
}

func (x *keyIndex) grow() { x.rebuild(max(minIndexSlots, 2*len(x.slots))) }

// rebuild makes the table anew with so many slots.
func (x *keyIndex) rebuild(slots int) {
	x.slots = make([]indexSlot, slots)
	x.fill(0)
}

// fill gives the keys from number n on, all that have none, their slots.
func (x *keyIndex) fill(n int) {
	mask := uint64(len(x.slots) - 1)
	for i, s := range x.spans[n:] {
		p := s.hash & mask
		for x.slots[p] != 0 {
			p = (p + 1) & mask
		}
		x.slots[p] = slotOf(s.hash, n+i)
	}
	x.loose = 0
}

// key returns key number n. It is valid until reset.
func (x *keyIndex) key(n int32) []byte {
	s := x.spans[n]
	return x.arena[s.off : s.off+s.len : s.off+s.len]
}

// hash returns the hash of key number n.
func (x *keyIndex) hash(n int32) uint64 { return x.spans[n].hash }

// truncate forgets the keys from number n on. It takes as long as adding those that stay.
func (x *keyIndex) truncate(n int) {
	if n >= len(x.spans) {
		return
	}
	fast := len(x.spans) - x.loose
	x.arena = x.arena[:x.spans[n].off]
	x.spans = x.spans[:n]
	if x.loose = n - fast; x.loose < 0 {
		x.rebuild(len(x.slots))
	}
}

func (x *keyIndex) len() int { return len(x.spans) }

// memSize returns the bytes held.
func (x *keyIndex) memSize() int64 {
	return int64(8*cap(x.slots) + 16*cap(x.spans) + cap(x.arena))
}

// reset forgets all keys and lets their memory go.
func (x *keyIndex) reset() { *x = keyIndex{} }

// empty forgets all keys and keeps the memory.
func (x *keyIndex) empty() {
	clear(x.slots)
	x.spans, x.arena, x.loose = x.spans[:0], x.arena[:0], 0
}
