package types

import (
	"strconv"
	"strings"
)

// The interval styles sql_standard and postgres_verbose (PostgreSQL docs, 8.5.5).

// IntervalStyles are the styles by the names that the setting IntervalStyle knows.
var IntervalStyles = map[string]IntervalStyle{
	"postgres": IntervalPostgres, "iso_8601": IntervalISO8601, "sql_standard": IntervalSQLStandard, "postgres_verbose": IntervalVerbose,
}

func (iv IntervalValue) appendStyle(dst []byte, style IntervalStyle) []byte {
	switch style {
	case IntervalISO8601:
		return iv.AppendISO8601(dst)
	case IntervalSQLStandard:
		return iv.appendSQLStandard(dst)
	case IntervalVerbose:
		return iv.appendVerbose(dst)
	}
	return iv.appendPostgres(dst)
}

// parseStyledInterval is ParseInterval; in style sql_standard a sign before the first field, if there is no other, is that of all fields.
func parseStyledInterval(s string, style IntervalStyle) (IntervalValue, error) {
	rest, negative := strings.CutPrefix(strings.TrimSpace(s), "-")
	if style != IntervalSQLStandard || !negative || strings.ContainsAny(rest, "+P") || strings.Contains(rest, " -") {
		return ParseInterval(s)
	}
	iv, err := ParseInterval(rest)
	if err != nil {
		return iv, err
	}
	return iv.Neg()
}

// fields are the parts that these styles show, each with its sign.
func (iv IntervalValue) fields() (years, months, days, hours, minutes, micros int64) {
	us := iv.Micros
	return int64(iv.Months / monthsPerYear), int64(iv.Months % monthsPerYear), int64(iv.Days),
		us / MicrosPerHour, us % MicrosPerHour / MicrosPerMinute, us % MicrosPerMinute
}

// appendSQLStandard prints "1-2", "3 4:05:06", or, where that could not be told apart, "+1-2 +3 -4:05:06".
func (iv IntervalValue) appendSQLStandard(dst []byte) []byte {
	if iv == (IntervalValue{}) {
		return append(dst, '0')
	}
	negative := iv.Months < 0 || iv.Days < 0 || iv.Micros < 0
	positive := iv.Months > 0 || iv.Days > 0 || iv.Micros > 0
	years, months, days, hours, minutes, micros := iv.fields()
	clock := func(dst []byte) []byte {
		dst = strconv.AppendInt(dst, absInt(hours), 10)
		dst = append2(append(dst, ':'), absInt(minutes))
		return appendSeconds(append(dst, ':'), absInt(micros))
	}
	yearMonth := func(dst []byte) []byte {
		dst = strconv.AppendInt(dst, absInt(years), 10)
		return strconv.AppendInt(append(dst, '-'), absInt(months), 10)
	}
	if negative && positive || iv.Months != 0 && (iv.Days != 0 || iv.Micros != 0) {
		dst = yearMonth(append(dst, signOf(int64(iv.Months))))
		dst = strconv.AppendInt(append(dst, ' ', signOf(days)), absInt(days), 10)
		return clock(append(dst, ' ', signOf(iv.Micros)))
	}
	if negative {
		dst = append(dst, '-')
	}
	switch {
	case iv.Months != 0:
		return yearMonth(dst)
	case iv.Days != 0:
		return clock(append(strconv.AppendInt(dst, absInt(days), 10), ' '))
	}
	return clock(dst)
}

func absInt(n int64) int64 { return max(n, -n) }

func signOf(n int64) byte {
	if n < 0 {
		return '-'
	}
	return '+'
}

// appendVerbose prints "@ 1 year 2 mons 3 days 4 hours 5 mins 6.7 secs", with "ago" if the first part is negative.
func (iv IntervalValue) appendVerbose(dst []byte) []byte {
	dst = append(dst, '@')
	if iv == (IntervalValue{}) {
		return append(dst, " 0"...)
	}
	years, months, days, hours, minutes, micros := iv.fields()
	some, ago := false, false
	for _, part := range [...]struct {
		n    int64
		unit string
	}{{years, " year"}, {months, " mon"}, {days, " day"}, {hours, " hour"}, {minutes, " min"}} {
		if part.n == 0 {
			continue
		}
		if !some {
			some, ago = true, part.n < 0
		}
		if ago {
			part.n = -part.n
		}
		dst = append(strconv.AppendInt(append(dst, ' '), part.n, 10), part.unit...)
		if part.n != 1 {
			dst = append(dst, 's')
		}
	}
	if micros != 0 {
		if !some {
			ago = micros < 0
		}
		if ago {
			micros = -micros
		}
		if dst = append(dst, ' '); micros < 0 {
			dst = append(dst, '-')
		}
		dst = strconv.AppendInt(dst, absInt(micros)/MicrosPerSecond, 10)
		dst = append(appendFraction(dst, absInt(micros)%MicrosPerSecond), " sec"...)
		if absInt(micros) != MicrosPerSecond {
			dst = append(dst, 's')
		}
	}
	if ago {
		dst = append(dst, " ago"...)
	}
	return dst
}
