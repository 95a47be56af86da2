package metadata

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// Everything stored here is in protobuf's wire format (protobuf.dev, "Encoding"), written by hand: fields in ascending order, zero values left
// out, maps by sorted key, so that equal values have equal bytes. Readers skip fields they do not know; a change that an older release must
// not skip gets a new version of its kind instead.

var errMalformed = errors.New("malformed protobuf")

func appendUint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func appendInt(b []byte, num protowire.Number, v int64) []byte {
	return appendUint(b, num, protowire.EncodeZigZag(v))
}

func appendBool(b []byte, num protowire.Number, v bool) []byte {
	return appendUint(b, num, protowire.EncodeBool(v))
}

func appendString(b []byte, num protowire.Number, v string) []byte {
	if v == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return appendElement(b, num, v)
}

// appendElement writes v also when it is empty, as elements of lists need.
func appendElement(b []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func appendUUID(b []byte, num protowire.Number, u UUID) []byte {
	if u.IsZero() {
		return b
	}
	return appendElement(b, num, u[:])
}

func appendInts[T ~int32](b []byte, num protowire.Number, vs []T) []byte {
	if len(vs) == 0 {
		return b
	}
	var packed []byte
	for _, v := range vs {
		packed = protowire.AppendVarint(packed, protowire.EncodeZigZag(int64(v)))
	}
	return appendElement(b, num, packed)
}

func appendOIDs(b []byte, num protowire.Number, vs []OID) []byte {
	if len(vs) == 0 {
		return b
	}
	var packed []byte
	for _, v := range vs {
		packed = protowire.AppendVarint(packed, uint64(v))
	}
	return appendElement(b, num, packed)
}

func appendMap(b []byte, num protowire.Number, m map[string]string) []byte {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b = appendElement(b, num, appendString(appendString(nil, 1, k), 2, m[k]))
	}
	return b
}

// field is one field of a message. Accessors of the wrong type set reader.err; bytes alias the message.
type field struct {
	num protowire.Number
	typ protowire.Type
	u   uint64
	b   []byte
}

// reader walks the fields of a message: for r.next() { switch r.num {...} }, then r.err.
type reader struct {
	field
	rest []byte
	err  error
}

func read(b []byte) *reader { return &reader{rest: b} }

func (r *reader) next() bool {
	if r.err != nil || len(r.rest) == 0 {
		return false
	}
	num, typ, n := protowire.ConsumeTag(r.rest)
	if n < 0 {
		return r.fail()
	}
	r.rest = r.rest[n:]
	r.field = field{num: num, typ: typ}
	switch typ {
	case protowire.VarintType:
		r.u, n = protowire.ConsumeVarint(r.rest)
	case protowire.BytesType:
		r.b, n = protowire.ConsumeBytes(r.rest)
	default:
		n = protowire.ConsumeFieldValue(num, typ, r.rest)
	}
	if n < 0 {
		return r.fail()
	}
	r.rest = r.rest[n:]
	return true
}

func (r *reader) fail() bool {
	if r.err == nil {
		r.err = errMalformed
	}
	return false
}

func (r *reader) uint() uint64 {
	if r.typ != protowire.VarintType {
		r.fail()
	}
	return r.u
}

func (r *reader) uint32() uint32 {
	v := r.uint()
	if v > 1<<32-1 {
		r.fail()
	}
	return uint32(v)
}

func (r *reader) int() int64 { return protowire.DecodeZigZag(r.uint()) }

func (r *reader) int32() int32 {
	v := r.int()
	if int64(int32(v)) != v {
		r.fail()
	}
	return int32(v)
}

func (r *reader) int8() int8 {
	v := r.int()
	if int64(int8(v)) != v {
		r.fail()
	}
	return int8(v)
}

func (r *reader) bool() bool { return protowire.DecodeBool(r.uint()) }

// message returns the bytes of a nested message; they alias the input.
func (r *reader) message() []byte {
	if r.typ != protowire.BytesType {
		r.fail()
	}
	return r.b
}

func (r *reader) bytes() []byte  { return slices.Clone(r.message()) }
func (r *reader) string() string { return string(r.message()) }

func (r *reader) uuid() UUID {
	b := r.message()
	if len(b) != 16 {
		r.fail()
		return UUID{}
	}
	return UUID(b)
}

func (r *reader) varints(each func(uint64)) {
	b := r.message()
	for len(b) > 0 {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			r.fail()
			return
		}
		each(v)
		b = b[n:]
	}
}

func (r *reader) ints() (vs []int32) {
	r.varints(func(u uint64) {
		v := protowire.DecodeZigZag(u)
		if int64(int32(v)) != v {
			r.fail()
		}
		vs = append(vs, int32(v))
	})
	return vs
}

func (r *reader) oids() (vs []OID) {
	r.varints(func(u uint64) {
		if u > 1<<32-1 {
			r.fail()
		}
		vs = append(vs, OID(u))
	})
	return vs
}

// pair adds one element of a map to m, which it makes if it is nil.
func (r *reader) pair(m map[string]string) map[string]string {
	if m == nil {
		m = map[string]string{}
	}
	var k, v string
	p := read(r.message())
	for p.next() {
		switch p.num {
		case 1:
			k = p.string()
		case 2:
			v = p.string()
		}
	}
	if p.err != nil {
		r.fail()
	}
	m[k] = v
	return m
}

// nested decodes the message of the current field with decode and folds its error into r.
func nested[T any](r *reader, decode func([]byte) (T, error)) T {
	v, err := decode(r.message())
	if err != nil && r.err == nil {
		r.err = err
	}
	return v
}

func (r *reader) done(what string) error {
	if r.err != nil {
		return fmt.Errorf("metadata: decoding %s: %w", what, r.err)
	}
	return nil
}
