package types

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// IntervalValue is a value of interval: a span of time in PostgreSQL's three parts, which do not convert to each other until they are added to a
// date: months, days and microseconds, each with its own sign.
type IntervalValue struct {
	Micros int64
	Days   int32
	Months int32
}

// IntervalOf unboxes an Interval datum.
func IntervalOf(d Datum) IntervalValue { return IntervalFromBytes([]byte(d.S)) }

// IntervalFromBytes reads the 16 bytes of a vector's row; any other length gives the zero interval.
func IntervalFromBytes(b []byte) IntervalValue {
	if len(b) != 16 {
		return IntervalValue{}
	}
	return IntervalValue{
		Micros: int64(binary.LittleEndian.Uint64(b)),
		Days:   int32(binary.LittleEndian.Uint32(b[8:])),
		Months: int32(binary.LittleEndian.Uint32(b[12:])),
	}
}

// AppendBytes appends the 16 bytes that IntervalFromBytes reads.
func (iv IntervalValue) AppendBytes(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(iv.Micros))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(iv.Days))
	return binary.LittleEndian.AppendUint32(dst, uint32(iv.Months))
}

// Datum boxes the interval.
func (iv IntervalValue) Datum() Datum {
	var buf [16]byte
	return BytesDatum(string(iv.AppendBytes(buf[:0])))
}

func intervalOutOfRange() error {
	return sqlerr.New(sqlerr.DatetimeFieldOverflow, "interval out of range")
}

// Add returns iv + o, part by part; 22008 if a part overflows.
func (iv IntervalValue) Add(o IntervalValue) (IntervalValue, error) {
	months, ok1 := addInt32(iv.Months, o.Months)
	days, ok2 := addInt32(iv.Days, o.Days)
	us, ok3 := addInt64(iv.Micros, o.Micros)
	if !ok1 || !ok2 || !ok3 {
		return IntervalValue{}, intervalOutOfRange()
	}
	return IntervalValue{Micros: us, Days: days, Months: months}, nil
}

// Neg returns -iv.
func (iv IntervalValue) Neg() (IntervalValue, error) {
	if iv.Months == math.MinInt32 || iv.Days == math.MinInt32 || iv.Micros == math.MinInt64 {
		return IntervalValue{}, intervalOutOfRange()
	}
	return IntervalValue{Micros: -iv.Micros, Days: -iv.Days, Months: -iv.Months}, nil
}

// Sub returns iv - o.
func (iv IntervalValue) Sub(o IntervalValue) (IntervalValue, error) {
	n, err := o.Neg()
	if err != nil {
		return IntervalValue{}, err
	}
	return iv.Add(n)
}

// Mul returns iv * f. Fractions of months go over into days of 30 to the month, and of days into time.
func (iv IntervalValue) Mul(f float64) (IntervalValue, error) {
	return iv.scale(func(x float64) float64 { return x * f }, f)
}

// Div returns iv / f; 22012 when f is 0.
func (iv IntervalValue) Div(f float64) (IntervalValue, error) {
	if f == 0 {
		return IntervalValue{}, divisionByZero()
	}
	return iv.scale(func(x float64) float64 { return x / f }, f)
}

func (iv IntervalValue) scale(by func(float64) float64, f float64) (IntervalValue, error) {
	months, days := by(float64(iv.Months)), by(float64(iv.Days))
	if math.IsNaN(f) || math.Abs(months) > math.MaxInt32 || math.Abs(days) > math.MaxInt32 {
		return IntervalValue{}, intervalOutOfRange()
	}
	wholeMonths, wholeDays := math.Trunc(months), math.Trunc(days)
	// What is left of the months, in days, rounded to a microsecond before it is cut.
	monthDays := roundToMicros((months - wholeMonths) * daysPerMonth)
	extra := math.Trunc(monthDays)
	seconds := roundToMicros((days - wholeDays + monthDays - extra) * 86400)
	if math.Abs(seconds) >= 86400 {
		carry := math.Trunc(seconds / 86400)
		extra += carry
		seconds -= carry * 86400
	}
	total := math.RoundToEven(by(float64(iv.Micros)) + seconds*float64(MicrosPerSecond))
	if wholeDays += extra; math.Abs(wholeDays) > math.MaxInt32 || !(math.Abs(total) < math.MaxInt64) {
		return IntervalValue{}, intervalOutOfRange()
	}
	return IntervalValue{Micros: int64(total), Days: int32(wholeDays), Months: int32(wholeMonths)}, nil
}

func roundToMicros(x float64) float64 { return math.RoundToEven(x*1e6) / 1e6 }

// JustifyHours turns whole days of time into days, JustifyDays whole months of 30 days into months; both leave one sign
// where they can.
func (iv IntervalValue) JustifyHours() (IntervalValue, error) {
	carry := iv.Micros / MicrosPerDay
	days, ok := addInt64(int64(iv.Days), carry)
	if !ok || days != int64(int32(days)) {
		return IntervalValue{}, intervalOutOfRange()
	}
	iv.Micros -= carry * MicrosPerDay
	iv.Days = int32(days)
	switch {
	case iv.Days > 0 && iv.Micros < 0:
		iv.Micros += MicrosPerDay
		iv.Days--
	case iv.Days < 0 && iv.Micros > 0:
		iv.Micros -= MicrosPerDay
		iv.Days++
	}
	return iv, nil
}

// JustifyDays turns whole months of 30 days into months.
func (iv IntervalValue) JustifyDays() (IntervalValue, error) {
	months, ok := addInt32(iv.Months, iv.Days/daysPerMonth)
	if !ok {
		return IntervalValue{}, intervalOutOfRange()
	}
	iv.Months, iv.Days = months, iv.Days%daysPerMonth
	switch {
	case iv.Months > 0 && iv.Days < 0:
		iv.Days += daysPerMonth
		iv.Months--
	case iv.Months < 0 && iv.Days > 0:
		iv.Days -= daysPerMonth
		iv.Months++
	}
	return iv, nil
}

// span is the length by which intervals compare, with months of 30 days and days of 24 hours: a signed 128-bit count of
// microseconds, as a signed high and an unsigned low word.
func (iv IntervalValue) span() (hi int64, lo uint64) {
	days := int64(iv.Months)*daysPerMonth + int64(iv.Days)
	hi, lo = mulSigned(days, MicrosPerDay)
	sum, carry := bits.Add64(lo, uint64(iv.Micros), 0)
	return hi + iv.Micros>>63 + int64(carry), sum
}

// mulSigned multiplies a by b, which is positive, into 128 bits.
func mulSigned(a, b int64) (hi int64, lo uint64) {
	h, l := bits.Mul64(uint64(a), uint64(b))
	if a < 0 {
		h -= uint64(b)
	}
	return int64(h), l
}

// Cmp compares as PostgreSQL does: a month is 30 days, a day 24 hours.
func (iv IntervalValue) Cmp(o IntervalValue) int {
	h1, l1 := iv.span()
	h2, l2 := o.span()
	switch {
	case h1 != h2 && h1 < h2, h1 == h2 && l1 < l2:
		return -1
	case h1 == h2 && l1 == l2:
		return 0
	}
	return 1
}

func addInt32(a, b int32) (int32, bool) {
	sum := int64(a) + int64(b)
	return int32(sum), sum == int64(int32(sum))
}

func addInt64(a, b int64) (int64, bool) {
	sum := a + b
	return sum, (sum > a) == (b > 0)
}

// appendPostgres prints in IntervalStyle postgres: "1 year 2 mons -3 days +04:05:06.7".
func (iv IntervalValue) appendPostgres(dst []byte) []byte {
	start := len(dst)
	negative := false // the sign of the part before, which an opposite one must contradict
	for _, part := range [...]struct {
		n    int64
		unit string
	}{{int64(iv.Months / monthsPerYear), "year"}, {int64(iv.Months % monthsPerYear), "mon"}, {int64(iv.Days), "day"}} {
		if part.n == 0 {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ' ')
		}
		if negative && part.n > 0 {
			dst = append(dst, '+')
		}
		dst = strconv.AppendInt(dst, part.n, 10)
		dst = append(append(dst, ' '), part.unit...)
		if part.n != 1 {
			dst = append(dst, 's')
		}
		negative = part.n < 0
	}
	if iv.Micros == 0 && len(dst) > start {
		return dst
	}
	if len(dst) > start {
		dst = append(dst, ' ')
	}
	us := uint64(iv.Micros)
	if iv.Micros < 0 {
		dst = append(dst, '-')
		us = -us
	} else if negative {
		dst = append(dst, '+')
	}
	hours := us / uint64(MicrosPerHour)
	dst = appendPadded(dst, int64(hours), 2)
	rest := int64(us % uint64(MicrosPerHour))
	dst = append2(append(dst, ':'), rest/MicrosPerMinute)
	return appendSeconds(append(dst, ':'), rest%MicrosPerMinute)
}

// AppendISO8601 appends the interval as an ISO 8601 duration with designators: "P1Y2M3DT4H5M6.7S"; zero is "PT0S".
func (iv IntervalValue) AppendISO8601(dst []byte) []byte {
	if iv == (IntervalValue{}) {
		return append(dst, "PT0S"...)
	}
	dst = append(dst, 'P')
	dst = appendDesignated(dst, int64(iv.Months/monthsPerYear), 'Y')
	dst = appendDesignated(dst, int64(iv.Months%monthsPerYear), 'M')
	dst = appendDesignated(dst, int64(iv.Days), 'D')
	if iv.Micros == 0 {
		return dst
	}
	dst = append(dst, 'T')
	dst = appendDesignated(dst, iv.Micros/MicrosPerHour, 'H')
	dst = appendDesignated(dst, iv.Micros/MicrosPerMinute%60, 'M')
	if rest := iv.Micros % MicrosPerMinute; rest != 0 {
		if rest < 0 {
			dst = append(dst, '-')
			rest = -rest
		}
		dst = strconv.AppendInt(dst, rest/MicrosPerSecond, 10)
		dst = append(appendFraction(dst, rest%MicrosPerSecond), 'S')
	}
	return dst
}

func appendDesignated(dst []byte, n int64, unit byte) []byte {
	if n == 0 {
		return dst
	}
	return append(strconv.AppendInt(dst, n, 10), unit)
}

// MakeInterval returns the interval of its parts, as make_interval() does.
func MakeInterval(years, months, weeks, days, hours, minutes int32, seconds float64) (IntervalValue, error) {
	m := int64(years)*monthsPerYear + int64(months)
	d := int64(weeks)*7 + int64(days)
	secs := math.RoundToEven(seconds * 1e6)
	if m != int64(int32(m)) || d != int64(int32(d)) || !(math.Abs(secs) < math.MaxInt64) {
		return IntervalValue{}, intervalOutOfRange()
	}
	us, ok := addInt64(int64(hours)*MicrosPerHour+int64(minutes)*MicrosPerMinute, int64(secs))
	if !ok {
		return IntervalValue{}, intervalOutOfRange()
	}
	return IntervalValue{Micros: us, Days: int32(d), Months: int32(m)}, nil
}

// JustifyInterval is JustifyHours and JustifyDays together, with one sign for all parts where they can have it.
func (iv IntervalValue) JustifyInterval() (IntervalValue, error) {
	iv, err := iv.JustifyHours()
	if err != nil {
		return iv, err
	}
	if iv, err = iv.JustifyDays(); err != nil {
		return iv, err
	}
	switch {
	case iv.Months > 0 && (iv.Days < 0 || iv.Days == 0 && iv.Micros < 0):
		iv.Days += daysPerMonth
		iv.Months--
	case iv.Months < 0 && (iv.Days > 0 || iv.Days == 0 && iv.Micros > 0):
		iv.Days -= daysPerMonth
		iv.Months++
	}
	switch {
	case iv.Days > 0 && iv.Micros < 0:
		iv.Micros += MicrosPerDay
		iv.Days--
	case iv.Days < 0 && iv.Micros > 0:
		iv.Micros -= MicrosPerDay
		iv.Days++
	}
	return iv, nil
}
