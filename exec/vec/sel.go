package vec

// All appends the selection of rows 0 to n-1 to dst. A selection is row numbers in increasing order, each at most once;
// kernels compute the selected rows alone and leave the others of their output unspecified.
func All(dst []int32, n int) []int32 {
	for i := range n {
		dst = append(dst, int32(i))
	}
	return dst
}

// True appends to dst the rows of sel for which the Bool vector v is true, as WHERE keeps them.
func True(dst []int32, v *Vector, sel []int32) []int32 {
	if v.Valid == nil {
		for _, i := range sel {
			if v.I64[i] != 0 {
				dst = append(dst, i)
			}
		}
		return dst
	}
	for _, i := range sel {
		if v.I64[i] != 0 && v.Valid.Get(int(i)) {
			dst = append(dst, i)
		}
	}
	return dst
}
