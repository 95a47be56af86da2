package types

import (
	"time"
	_ "time/tzdata" // zone names work on machines without zone data
)

// DateOrder is how a date of three numbers is read: PostgreSQL's DateStyle without its output format, which is ISO.
type DateOrder uint8

// The orders.
const (
	MDY DateOrder = iota
	DMY
	YMD
)

// IntervalStyle is how intervals print.
type IntervalStyle uint8

// The styles.
const (
	IntervalPostgres    IntervalStyle = iota // 1 year 2 mons 3 days 04:05:06
	IntervalISO8601                          // P1Y2M3DT4H5M6S
	IntervalSQLStandard                      // +1-2 +3 +4:05:06
	IntervalVerbose                          // @ 1 year 2 mons 3 days 4 hours 5 mins 6 secs
)

// Settings are the session settings that give text its meaning. A nil *Settings means UTC, MDY, the postgres interval
// style, hex bytea, and refuses what needs the clock or the catalog.
type Settings struct {
	// Zone is TimeZone; nil is UTC.
	Zone *time.Location
	// Now is the transaction's start, for 'now', 'today', 'tomorrow' and 'yesterday'. They are refused when it is zero.
	Now time.Time
	// DateOrder is the field order of DateStyle.
	DateOrder DateOrder
	// IntervalStyle is IntervalStyle.
	IntervalStyle IntervalStyle
	// ByteaEscape is bytea_output = 'escape'.
	ByteaEscape bool
	// RegName returns what a reg* value prints as; nil, or false, prints the number.
	RegName func(k Kind, oid uint32) (string, bool)
	// RegOID resolves the text of a reg* value that is not a number; nil refuses all.
	RegOID func(k Kind, name string) (uint32, error)
}

var defaultSettings = &Settings{}

func (s *Settings) orDefault() *Settings {
	if s == nil {
		return defaultSettings
	}
	return s
}

func (s *Settings) zone() *time.Location {
	if s.Zone == nil {
		return time.UTC
	}
	return s.Zone
}
