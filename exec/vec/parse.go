package vec

import (
	"unsafe"

	"github.com/millracedb/millrace/sql/types"
)

// AppendText appends a value read from its PostgreSQL text form, as types.ParseText reads it, without a copy in between: the way of
// COPY and of text parameters. On an error nothing is appended. src is not kept.
func (v *Vector) AppendText(src []byte, set *types.Settings) error {
	if v.appendPlain(src) {
		return nil
	}
	d, err := types.ParseText(v.Type, view(src), set)
	if err != nil {
		return err
	}
	v.AppendDatum(d)
	return nil
}

// appendPlain appends a value of the types and in the spelling that loads are full of, without a box around it, and reports whether it is one.
func (v *Vector) appendPlain(src []byte) bool {
	if v.Type.Mod >= 0 {
		return false
	}
	switch v.Type.Kind {
	case types.Int2, types.Int4, types.Int8:
		x, ok := types.ParsePlainInt(v.Type.Kind, src)
		if ok {
			v.AppendInt(x)
		}
		return ok
	case types.Timestamp:
		us, ok := types.ParsePlainTimestamp(src)
		if ok {
			v.AppendInt(us)
		}
		return ok
	case types.Text, types.Varchar:
		if !types.IsPlainText(src) {
			return false
		}
		v.AppendBytes(src)
		return true
	}
	return false
}

// AppendBinary appends a value read from its PostgreSQL binary form, as types.ParseBinary reads it. On an error nothing is
// appended. src is not kept.
func (v *Vector) AppendBinary(src []byte) error {
	switch v.Type.Kind {
	case types.Text, types.Varchar, types.Name, types.JSON: // their binary form is the text
		return v.AppendText(src, nil)
	case types.Bytea:
		v.AppendBytes(src)
		return nil
	}
	d, err := types.ParseBinary(v.Type, src)
	if err != nil {
		return err
	}
	v.AppendDatum(d)
	return nil
}

// view is b as a string that aliases it, for functions that do not keep their argument.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
