package vec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/millracedb/millrace/sql/types"
)

// The row format, used for rows in state and in exchange blocks:
//
//	byte     version (1)
//	uvarint  number of columns n
//	bytes    (n+7)/8 bytes of null bits, column 0 in the lowest bit of the first; a set bit is a NULL
//	values   of the columns that are not NULL, in order: integers as zig-zag varints, floats as 8 bytes big endian of
//	         their IEEE 754 bits, bytes as uvarint length and the bytes
//
// Columns are only ever added at the end of a schema: a row that holds fewer than the reader's schema reads as NULL in
// the rest, and one that holds more is read as far as the schema goes.
const rowVersion = 1

// ErrCorruptRow is wrapped by every error of a row that does not decode.
var ErrCorruptRow = errors.New("corrupt row encoding")

// AppendEncodedRow appends row i of cols to dst.
func AppendEncodedRow(dst []byte, cols []*Vector, i int) []byte {
	dst = append(dst, rowVersion)
	dst = binary.AppendUvarint(dst, uint64(len(cols)))
	nulls := len(dst)
	for range (len(cols) + 7) / 8 {
		dst = append(dst, 0)
	}
	for c, col := range cols {
		if col.IsNull(i) {
			dst[nulls+c>>3] |= 1 << (c & 7)
			continue
		}
		switch col.store {
		case types.StoreInt:
			dst = binary.AppendVarint(dst, col.I64[i])
		case types.StoreFloat:
			dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(col.F64[i]))
		case types.StoreBytes:
			b := col.Bytes(i)
			dst = binary.AppendUvarint(dst, uint64(len(b)))
			dst = append(dst, b...)
		}
	}
	return dst
}

// AppendDecodedRow appends the row that src holds to cols. On an error, which wraps ErrCorruptRow, no column has
// grown. src is not kept.
func AppendDecodedRow(cols []*Vector, src []byte) error {
	nulls, body, n, err := rowHeader(src)
	if err != nil {
		return err
	}
	for c, col := range cols {
		if c >= n || nulls[c>>3]&(1<<(c&7)) != 0 {
			col.AppendNull()
			continue
		}
		if body, err = appendDecodedValue(col, body); err != nil {
			for _, done := range cols[:c] {
				done.Truncate(done.n - 1)
			}
			return fmt.Errorf("column %d: %w", c, err)
		}
	}
	return nil
}

// AppendDecodedColumns is AppendDecodedRow for those of cols alone that are wanted, of which there are as many up to the last true; the others do not grow.
func AppendDecodedColumns(cols []*Vector, wanted []bool, src []byte) error {
	nulls, body, n, err := rowHeader(src)
	if err != nil {
		return err
	}
	for c, want := range wanted {
		switch col := cols[c]; {
		case c >= n || nulls[c>>3]&(1<<(c&7)) != 0:
			if want {
				col.AppendNull()
			}
		case want:
			body, err = appendDecodedValue(col, body)
		default:
			body, err = skipValue(col.store, body)
		}
		if err != nil {
			for d, done := range wanted[:c] {
				if done {
					cols[d].Truncate(cols[d].n - 1)
				}
			}
			return fmt.Errorf("column %d: %w", c, err)
		}
	}
	return nil
}

// skipValue returns what follows a value.
func skipValue(store types.Storage, src []byte) (rest []byte, err error) {
	size, length := 0, uint64(0)
	switch store {
	case types.StoreInt:
		for size < len(src) && src[size] >= 0x80 {
			size++
		}
		size++
	case types.StoreFloat:
		size = 8
	default:
		length, size = binary.Uvarint(src)
	}
	if size <= 0 || size > len(src) || length > uint64(len(src)-size) {
		return nil, fmt.Errorf("%w: short value", ErrCorruptRow)
	}
	return src[size+int(length):], nil
}

// EncodedColumns returns how many columns an encoded row has.
func EncodedColumns(src []byte) (int, error) {
	_, _, n, err := rowHeader(src)
	return n, err
}

// rowHeader splits src into null bits and values, and returns how many columns they are.
func rowHeader(src []byte) (nulls, body []byte, n int, err error) {
	if len(src) == 0 || src[0] != rowVersion {
		return nil, nil, 0, fmt.Errorf("%w: unknown version", ErrCorruptRow)
	}
	count, size := binary.Uvarint(src[1:])
	if size <= 0 || count > uint64(len(src))*8 {
		return nil, nil, 0, fmt.Errorf("%w: bad column count", ErrCorruptRow)
	}
	rest := src[1+size:]
	bitmap := int(count+7) / 8
	if bitmap > len(rest) {
		return nil, nil, 0, fmt.Errorf("%w: short null bits", ErrCorruptRow)
	}
	return rest[:bitmap], rest[bitmap:], int(count), nil
}

func appendDecodedValue(col *Vector, src []byte) (rest []byte, err error) {
	switch col.store {
	case types.StoreInt:
		x, size := binary.Varint(src)
		if size <= 0 {
			return nil, fmt.Errorf("%w: bad integer", ErrCorruptRow)
		}
		col.AppendInt(x)
		return src[size:], nil
	case types.StoreFloat:
		if len(src) < 8 {
			return nil, fmt.Errorf("%w: short float", ErrCorruptRow)
		}
		col.AppendFloat(math.Float64frombits(binary.BigEndian.Uint64(src)))
		return src[8:], nil
	default:
		length, size := binary.Uvarint(src)
		if size <= 0 || length > uint64(len(src)-size) {
			return nil, fmt.Errorf("%w: bad length", ErrCorruptRow)
		}
		col.AppendBytes(src[size : size+int(length)])
		return src[size+int(length):], nil
	}
}
