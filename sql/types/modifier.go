package types

import (
	"unicode/utf8"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// ApplyMod fits d, a value of t's kind, to t's modifier: rounds numeric(p,s) and fractions of seconds, checks the
// length of varchar(n). An explicit cast cuts a long varchar; an assignment refuses it with 22001 unless what is over are
// blanks.
func ApplyMod(t Type, d Datum, explicit bool) (Datum, error) {
	if d.Null || t.Mod < 0 {
		return d, nil
	}
	switch t.Kind {
	case Varchar:
		return applyVarcharMod(d, int(t.Mod-4), explicit)
	case Numeric:
		return applyNumericMod(t, d)
	case Time, Timestamp, TimestampTZ:
		return IntDatum(roundMicros(d.I, int(t.Mod))), nil
	case Interval:
		iv := IntervalOf(d)
		t.cutInterval(&iv)
		if p := t.Mod & 0xFFFF; p <= 6 {
			iv.Micros = roundMicros(iv.Micros, int(p))
		}
		return iv.Datum(), nil
	case Array:
		return d, nil // the modifier of an array belongs to its elements, which have it in Elem
	default:
		return d, nil
	}
}

func applyVarcharMod(d Datum, n int, explicit bool) (Datum, error) {
	if len(d.S) <= n || utf8.RuneCountInString(d.S) <= n {
		return d, nil
	}
	cut := 0
	for range n {
		_, size := utf8.DecodeRuneInString(d.S[cut:])
		cut += size
	}
	if !explicit {
		for i := cut; i < len(d.S); i++ {
			if d.S[i] != ' ' {
				return NullDatum, sqlerr.New(sqlerr.StringDataRightTruncation,
					"value too long for type character varying(%d)", n)
			}
		}
	}
	return BytesDatum(d.S[:cut]), nil
}

// roundMicros rounds microseconds half away from zero to digits (0 to 6) after the second. Infinities stay.
func roundMicros(us int64, digits int) int64 {
	if digits < 0 || digits >= 6 || IsInfinite(us) {
		return us
	}
	unit := int64(1)
	for range 6 - digits {
		unit *= 10
	}
	half := unit / 2
	rem := us % unit
	us -= rem
	switch {
	case rem >= half:
		return us + unit
	case rem <= -half:
		return us - unit
	}
	return us
}
