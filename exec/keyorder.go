package exec

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// keyed is something that belongs to a key, with the eight bytes of that key behind what all keys at hand begin with.
type keyed struct {
	head uint64
	what int32
}

// order sorts things by their keys, whose numbers numberOf tells; no two have the same. Things in order already, as in most loads, are compared once each.
func (x *keyIndex) order(list []int32, numberOf func(int32) int32) {
	key := func(n int32) []byte { return x.key(numberOf(n)) }
	compare := func(a, b int32) int { return bytes.Compare(key(a), key(b)) }
	if slices.IsSortedFunc(list, compare) {
		return
	}
	first := key(list[0])
	shared := len(first)
	for _, n := range list[1:] {
		shared = sharedPrefix(first[:shared], key(n))
	}
	sorted := make([]keyed, len(list))
	for i, n := range list {
		var head [8]byte
		copy(head[:], key(n)[shared:])
		sorted[i] = keyed{binary.BigEndian.Uint64(head[:]), n}
	}
	slices.SortFunc(sorted, func(a, b keyed) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return compare(a.what, b.what)
	})
	for i := range sorted {
		list[i] = sorted[i].what
	}
}

// sharedPrefix is how many bytes a and b begin with together.
func sharedPrefix(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
