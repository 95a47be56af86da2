package types

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// AppendJSON appends a value of t as Millrace writes it in JSON (docs/formats/json.md): numbers with all their digits,
// NaN and infinities as strings, bytea in base64, dates, times and intervals in ISO 8601 to the microsecond, timestamptz in
// UTC with Z, json and jsonb as they are, NULL as null.
func AppendJSON(dst []byte, t Type, d Datum) []byte {
	if d.Null {
		return append(dst, "null"...)
	}
	switch t.Kind {
	case Bool:
		return strconv.AppendBool(dst, d.I != 0)
	case Int2, Int4, Int8, OID:
		return strconv.AppendInt(dst, d.I, 10)
	case Float4, Float8:
		return appendJSONFloat(dst, t.Kind, d.F)
	case Numeric:
		if d.S == "NaN" || strings.HasSuffix(d.S, "y") { // Infinity, -Infinity
			return AppendJSONString(dst, d.S)
		}
		return append(dst, d.S...)
	case Bytea:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, []byte(d.S))
		return append(dst, '"')
	case Date:
		dst = append(dst, '"')
		if d.I == DateInfinity || d.I == DateNegInfinity {
			return append(appendInfinity(dst, d.I), '"')
		}
		return append(appendISODate(dst, d.I), '"')
	case Time:
		return append(appendTime(append(dst, '"'), d.I), '"')
	case Timestamp:
		return append(appendISOTimestamp(append(dst, '"'), d.I, ""), '"')
	case TimestampTZ:
		return append(appendISOTimestamp(append(dst, '"'), d.I, "Z"), '"')
	case Interval:
		return append(IntervalOf(d).AppendISO8601(append(dst, '"')), '"')
	case UUID:
		return append(appendUUID(append(dst, '"'), d.S), '"')
	case JSON, JSONB, Map:
		return append(dst, d.S...)
	case Array, Int2Vector, OIDVector:
		return appendJSONArray(dst, t.elemType(), d.S)
	case Struct, Record:
		return appendJSONStruct(dst, t.Fields, d.S)
	case EnumKind:
		return AppendJSONString(dst, EnumLabelOf(t, d))
	case Regclass, Regtype, Regproc, Regnamespace, Regrole, Regprocedure, Regoperator:
		return AppendJSONString(dst, FormatText(t, d, nil))
	default:
		return AppendJSONString(dst, d.S)
	}
}

func appendJSONFloat(dst []byte, k Kind, f float64) []byte {
	bits := 64
	if k == Float4 {
		bits = 32
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(appendFloat(append(dst, '"'), f, bits), '"')
	}
	return appendFloat(dst, f, bits)
}

// AppendEpochJSON is AppendJSON with dates as days since 1970, times as milliseconds of the day and timestamps as milliseconds since 1970, as
// ksqlDB writes them; microseconds are a fraction. Infinities, and times inside of maps, are texts.
func AppendEpochJSON(dst []byte, t Type, d Datum) []byte {
	switch {
	case d.Null:
	case t.Kind == Array:
		return appendJSONElements(dst, t.elemType(), d.S, AppendEpochJSON)
	case t.Kind == Struct:
		return appendJSONFields(dst, t.Fields, d.S, AppendEpochJSON)
	case t.Kind == Date && d.I != DateInfinity && d.I != DateNegInfinity:
		return strconv.AppendInt(dst, d.I, 10)
	case t.Kind == Time, (t.Kind == Timestamp || t.Kind == TimestampTZ) && d.I >= minTimestamp && d.I <= maxTimestamp:
		return append(dst, strings.TrimSuffix(strings.TrimRight(decimalOfMicros(d.I), "0"), ".")...)
	}
	return AppendJSON(dst, t, d)
}

// decimalOfMicros are microseconds as milliseconds with three decimals.
func decimalOfMicros(us int64) string {
	sign := ""
	if us < 0 {
		sign, us = "-", -us
	}
	frac := strconv.FormatInt(us%1000, 10)
	return sign + strconv.FormatInt(us/1000, 10) + "." + strings.Repeat("0", 3-len(frac)) + frac
}

// appendJSONValue is AppendJSON or one of its variants.
type appendJSONValue func(dst []byte, t Type, d Datum) []byte

func appendJSONArray(dst []byte, elem Type, s string) []byte {
	return appendJSONElements(dst, elem, s, AppendJSON)
}

func appendJSONElements(dst []byte, elem Type, s string, appendValue appendJSONValue) []byte {
	dst = append(dst, '[')
	it := NewElements(s)
	for first := true; it.Next(elem); first = false {
		if !first {
			dst = append(dst, ',')
		}
		dst = appendValue(dst, elem, it.Value)
	}
	return append(dst, ']')
}

func appendJSONStruct(dst []byte, fields []Field, s string) []byte {
	return appendJSONFields(dst, fields, s, AppendJSON)
}

func appendJSONFields(dst []byte, fields []Field, s string, appendValue appendJSONValue) []byte {
	dst = append(dst, '{')
	it := NewElements(s)
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		d := NullDatum
		if it.Next(f.Type) {
			d = it.Value
		}
		dst = append(AppendJSONString(dst, f.Name), ':')
		dst = appendValue(dst, f.Type, d)
	}
	return append(dst, '}')
}

// DatumFromJSON reads a value of t from the text of one JSON value. Besides what AppendJSON writes it takes numbers in
// strings, epoch milliseconds for timestamps, days since 1970 for dates, milliseconds of the day for times, any value as
// text (an object or array as its JSON), and null as SQL NULL except for jsonb and json. A number that the type
// cannot hold without loss is an error.
func DatumFromJSON(t Type, raw []byte) (Datum, error) {
	j := jsonScanner{s: string(raw)}
	d, err := j.datum(t)
	if err == nil {
		err = j.end()
	}
	return d, err
}

func (j *jsonScanner) datum(t Type) (Datum, error) {
	c := j.peek()
	switch {
	case t.Kind == JSONB:
		text, err := j.value()
		if err != nil {
			return NullDatum, err
		}
		text, err = CanonicalJSON(text)
		return BytesDatum(text), err
	case t.Kind == JSON:
		text, err := j.value()
		return BytesDatum(text), err
	case c == 'n':
		return NullDatum, j.scalar()
	case t.Kind == Array:
		return j.arrayDatum(t)
	case t.Kind == Map:
		return j.mapDatum(t)
	case t.Kind == Struct:
		return j.structDatum(t)
	case c == '"':
		raw, _, err := j.str()
		if err == nil {
			raw, err = unescapeJSON(raw)
		}
		if err != nil {
			return NullDatum, err
		}
		return DatumFromJSONString(t, raw)
	}
	text, err := j.value()
	if err != nil {
		return NullDatum, err
	}
	return DatumFromJSONToken(t, text)
}

// DatumFromJSONString reads a scalar of t from the contents of a JSON string, unescaped.
func DatumFromJSONString(t Type, s string) (Datum, error) {
	switch t.Kind {
	case Text, Unknown:
		return BytesDatum(s), nil
	case Bytea:
		b, err := decodeBase64(s)
		return BytesDatum(b), err
	case Numeric, Int2, Int4, Int8, Float4, Float8:
		return numberFromJSON(t, s)
	case Date, Timestamp, TimestampTZ, Time:
		if n := countDigits(strings.TrimPrefix(s, "-")); n > 0 && n+strings.Count(s, "-") == len(s) && n != 8 && n != 6 {
			return DatumFromJSONToken(t, s)
		}
		return timeFromISO(t, s)
	}
	return ParseText(t, s, nil)
}

// timeFromISO also takes the signed years of ISO 8601's expanded form, which AppendJSON writes outside 0001 to 9999.
func timeFromISO(t Type, s string) (Datum, error) {
	if s == "" || s[0] != '+' && s[0] != '-' && !strings.HasPrefix(s, "0000-") || strings.HasSuffix(s, "infinity") {
		return ParseText(t, s, nil)
	}
	body := strings.TrimLeft(s, "+-")
	n := countDigits(body)
	if n < 4 || n > 7 || len(body) < n+6 {
		return NullDatum, badSyntax(t.Kind, s)
	}
	year := int(atoi(body[:n]))
	if s[0] == '-' {
		year = -year
	}
	if year > 0 {
		return ParseText(t, body, nil)
	}
	bc := strconv.Itoa(1 - year) // year 0 is 1 BC
	return ParseText(t, strings.Repeat("0", max(0, 4-len(bc)))+bc+body[n:]+" BC", nil)
}

func decodeBase64(s string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return "", sqlerr.New(sqlerr.InvalidTextRepresentation, "invalid base64 for type bytea: \"%s\"", clip(s))
	}
	return string(b), nil
}

// DatumFromJSONToken reads a scalar of t from the text of a JSON value that is neither a string nor null.
func DatumFromJSONToken(t Type, token string) (Datum, error) {
	isNumber := token[0] == '-' || token[0] >= '0' && token[0] <= '9'
	switch t.Kind {
	case Text, Unknown:
		return BytesDatum(token), nil
	case Varchar:
		return ApplyMod(t, BytesDatum(token), false)
	case Bool:
		if token == "true" || token == "false" {
			return BoolDatum(token == "true"), nil
		}
	case Int2, Int4, Int8, Float4, Float8, Numeric:
		if isNumber {
			return numberFromJSON(t, token)
		}
	case OID:
		if isNumber {
			return ParseText(t, token, nil)
		}
	case Date, Time, Timestamp, TimestampTZ:
		if isNumber {
			return timeFromNumber(t, token)
		}
	}
	return NullDatum, sqlerr.New(sqlerr.InvalidTextRepresentation, "cannot read JSON %s as %s", clip(token), t)
}

func lossy(t Type, s string) error {
	return sqlerr.New(sqlerr.NumericValueOutOfRange, "number %s does not fit type %s without loss", clip(s), t)
}

// numberFromJSON reads a number, or one of the words for infinities and NaN from a string.
func numberFromJSON(t Type, s string) (Datum, error) {
	switch t.Kind {
	case Float4, Float8:
		f, err := parseFloat(t.Kind, s)
		return FloatDatum(f), err
	case Numeric:
		text, err := ParseNumeric(s)
		if err != nil {
			return NullDatum, err
		}
		d, err := ApplyMod(t, BytesDatum(text), false)
		if err == nil && t.Mod >= 0 && compareNumeric(d.S, text) != 0 {
			return NullDatum, lossy(t, s)
		}
		return d, err
	}
	if i, err := parseInt(t.Kind, s); err == nil {
		return IntDatum(i), nil
	} else if !strings.ContainsAny(s, ".eE") {
		return NullDatum, err
	}
	text, err := ParseNumeric(s) // 1.0 and 1e3 are integers, too
	if err != nil {
		return NullDatum, badSyntax(t.Kind, s)
	}
	whole, frac, _ := strings.Cut(text, ".")
	if strings.Trim(frac, "0") != "" {
		return NullDatum, lossy(t, s)
	}
	i, err := parseInt(t.Kind, whole)
	return IntDatum(i), err
}

// timeFromNumber reads epoch milliseconds, or days for a date. Milliseconds may have a fraction down to microseconds.
func timeFromNumber(t Type, token string) (Datum, error) {
	if t.Kind == Date {
		d, err := numberFromJSON(Of(Int8), token)
		if err == nil && (d.I < minDate || d.I > maxDate) {
			err = sqlerr.New(sqlerr.DatetimeFieldOverflow, "date out of range: \"%s\"", clip(token))
		}
		return d, err
	}
	text, err := ParseNumeric(token)
	if err != nil {
		return NullDatum, err
	}
	var us Decimal
	if err := us.Mul(DecimalOf(text), NewDecimal(1000, 0)); err != nil {
		return NullDatum, err
	}
	i, err := us.Int(Int8)
	if err != nil || us.Cmp(NewDecimal(i, 0)) != 0 {
		return NullDatum, lossy(t, token)
	}
	if t.Kind == Time && (i < 0 || i > MicrosPerDay) || t.Kind != Time && (i < minTimestamp || i > maxTimestamp) {
		return NullDatum, sqlerr.New(sqlerr.DatetimeFieldOverflow, "%s out of range: \"%s\"", t, clip(token))
	}
	return ApplyMod(t, IntDatum(i), false)
}

func (j *jsonScanner) arrayDatum(t Type) (Datum, error) {
	if j.peek() != '[' {
		return NullDatum, j.unexpected("array")
	}
	var elems []Datum
	err := j.array(func(int) error {
		d, err := j.datum(*t.Elem)
		elems = append(elems, d)
		return err
	})
	return ArrayDatum(*t.Elem, elems), err
}

// mapDatum writes the values as their type prints, then the whole in canonical form.
func (j *jsonScanner) mapDatum(t Type) (Datum, error) {
	if j.peek() != '{' {
		return NullDatum, j.unexpected("object")
	}
	out := []byte{'{'}
	err := j.object(func(name string) error {
		d, err := j.datum(*t.Elem)
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = AppendJSON(append(AppendJSONString(out, name), ':'), *t.Elem, d)
		return err
	})
	if err != nil {
		return NullDatum, err
	}
	text, err := CanonicalJSON(string(append(out, '}')))
	return BytesDatum(text), err
}

// MapValue reads one value of a map that holds it as raw JSON.
func MapValue(elem Type, raw string) (Datum, error) { return DatumFromJSON(elem, []byte(raw)) }

// structDatum reads the members it knows, by exact name or else ignoring case, and passes the others.
func (j *jsonScanner) structDatum(t Type) (Datum, error) {
	if j.peek() != '{' {
		return NullDatum, j.unexpected("object")
	}
	values := make([]Datum, len(t.Fields))
	exact := make([]bool, len(t.Fields))
	for i := range values {
		values[i] = NullDatum
	}
	err := j.object(func(name string) error {
		i, isExact := fieldByName(t.Fields, name)
		if i < 0 || exact[i] && !isExact {
			_, err := j.value()
			return err
		}
		d, err := j.datum(t.Fields[i].Type)
		values[i], exact[i] = d, isExact
		return err
	})
	return StructDatum(t.Fields, values), err
}

func fieldByName(fields []Field, name string) (i int, exact bool) {
	if i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name }); i >= 0 {
		return i, true
	}
	return slices.IndexFunc(fields, func(f Field) bool { return strings.EqualFold(f.Name, name) }), false
}
