package vec

import "math/bits"

// Bitmap is one bit per row, row 0 in the lowest bit of word 0. Bits at and above the length of what it describes are
// unspecified.
type Bitmap []uint64

// Words returns how many words hold n bits.
func Words(n int) int { return (n + 63) >> 6 }

// Get returns bit i.
func (b Bitmap) Get(i int) bool { return b[i>>6]&(1<<(uint(i)&63)) != 0 }

// Set sets bit i.
func (b Bitmap) Set(i int) { b[i>>6] |= 1 << (uint(i) & 63) }

// Clear clears bit i.
func (b Bitmap) Clear(i int) { b[i>>6] &^= 1 << (uint(i) & 63) }

// Put sets bit i to on.
func (b Bitmap) Put(i int, on bool) {
	if on {
		b.Set(i)
	} else {
		b.Clear(i)
	}
}

// Fill sets every word to all ones or all zeros.
func (b Bitmap) Fill(on bool) {
	var w uint64
	if on {
		w = ^uint64(0)
	}
	for i := range b {
		b[i] = w
	}
}

// Count returns how many of the first n bits are set.
func (b Bitmap) Count(n int) int {
	count := 0
	for i := range n >> 6 {
		count += bits.OnesCount64(b[i])
	}
	if rest := uint(n) & 63; rest != 0 {
		count += bits.OnesCount64(b[n>>6] & (1<<rest - 1))
	}
	return count
}

// Any reports whether any of the first n bits is set.
func (b Bitmap) Any(n int) bool {
	for i := range n >> 6 {
		if b[i] != 0 {
			return true
		}
	}
	rest := uint(n) & 63
	return rest != 0 && b[n>>6]&(1<<rest-1) != 0
}

// resized returns b with room for n bits, its old words kept and new ones unspecified.
func (b Bitmap) resized(n int) Bitmap {
	w := Words(n)
	if w <= cap(b) {
		return b[:w]
	}
	grown := make(Bitmap, w, max(w, 2*cap(b)))
	copy(grown, b)
	return grown
}
