package types

import (
	"encoding/binary"
	"math"
)

// The spellings that loads are full of, read from bytes without a Datum around the value. Each of these functions leaves all else, also what is
// wrong, to ParseText, with which it agrees on what it takes.

// maxPlainDigits is how many digits fit in an int64 whatever they are.
const maxPlainDigits = 18

// ParsePlainInt reads an integer of an integer kind: digits, with or without a minus sign in front.
func ParsePlainInt(k Kind, s []byte) (int64, bool) {
	negative := len(s) > 0 && s[0] == '-'
	if negative {
		s = s[1:]
	}
	if len(s) == 0 || len(s) > maxPlainDigits {
		return 0, false
	}
	var x int64
	for _, c := range s {
		if c -= '0'; c > 9 {
			return 0, false
		}
		x = 10*x + int64(c)
	}
	if negative {
		x = -x
	}
	switch k {
	case Int2:
		return x, x >= math.MinInt16 && x <= math.MaxInt16
	case Int4:
		return x, x >= math.MinInt32 && x <= math.MaxInt32
	}
	return x, true
}

// Of eight bytes in a word: their lowest and their highest bits.
const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// IsPlainText tells whether s is ASCII without zero bytes.
func IsPlainText(s []byte) bool {
	for ; len(s) >= 8; s = s[8:] {
		// A byte less one has its high bit set if it was 0, or above 128, which the byte's own high bit tells.
		w := binary.LittleEndian.Uint64(s)
		if (w|(w-lowBits))&highBits != 0 {
			return false
		}
	}
	for _, c := range s {
		if c == 0 || c >= 0x80 {
			return false
		}
	}
	return true
}

// plainTimestampLen is the length of yyyy-mm-dd hh:mm:ss.
const plainTimestampLen = 19

// ParsePlainTimestamp reads yyyy-mm-dd hh:mm:ss as microseconds since 1970, in no time zone.
func ParsePlainTimestamp(s []byte) (int64, bool) {
	if len(s) != plainTimestampLen || s[4] != '-' || s[7] != '-' || s[10] != ' ' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	bad := false
	two := func(at int) int {
		a, b := s[at]-'0', s[at+1]-'0'
		bad = bad || a > 9 || b > 9
		return int(a)*10 + int(b)
	}
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, sec := two(11), two(14), two(17)
	if bad || year == 0 || month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month) || hour > 23 || minute > 59 || sec > 59 {
		return 0, false
	}
	return DaysOf(year, month, day)*MicrosPerDay + int64(hour)*MicrosPerHour + int64(minute)*MicrosPerMinute + int64(sec)*MicrosPerSecond, true
}
