package bounded

// intIndex numbers integers in the order in which they are first met. It is a hash table with open addressing whose slots are four bytes, beside the
// integers themselves: for a million of them a third of what a map takes.
type intIndex struct {
	slots []int32 // the number plus one, 0 if the slot is free; as many as a power of two
	keys  []int64 // by number
}

const (
	// minIntSlots is the size of a fresh table.
	minIntSlots = 64
	// intEntryBytes is what an integer takes at most, once the table has doubled.
	intEntryBytes = 8 + 2*4*4/3 + 8
)

// hashInt spreads integers over 64 bits (the finalizer of splitmix64 with one multiplication).
func hashInt(key int64) uint64 {
	h := uint64(key)
	h = (h ^ h>>32) * 0xd6e8feb86659fd93
	return h ^ h>>32
}

// find returns the number of key, -1 if it has none.
func (x *intIndex) find(key int64) int32 {
	if len(x.slots) == 0 {
		return -1
	}
	mask := uint64(len(x.slots) - 1)
	for p := hashInt(key) & mask; x.slots[p] != 0; p = (p + 1) & mask {
		if n := x.slots[p] - 1; x.keys[n] == key {
			return n
		}
	}
	return -1
}

// add returns the number of key, and whether it is new.
func (x *intIndex) add(key int64) (n int32, fresh bool) {
	if 4*(len(x.keys)+1) > 3*len(x.slots) {
		x.grow()
	}
	mask := uint64(len(x.slots) - 1)
	p := hashInt(key) & mask
	for ; x.slots[p] != 0; p = (p + 1) & mask {
		if n := x.slots[p] - 1; x.keys[n] == key {
			return n, false
		}
	}
	x.keys = append(x.keys, key)
	x.slots[p] = int32(len(x.keys))
	return int32(len(x.keys) - 1), true
}

func (x *intIndex) grow() {
	x.slots = make([]int32, max(minIntSlots, 2*len(x.slots)))
	mask := uint64(len(x.slots) - 1)
	for n, key := range x.keys {
		p := hashInt(key) & mask
		for x.slots[p] != 0 {
			p = (p + 1) & mask
		}
		x.slots[p] = int32(n + 1)
	}
}
