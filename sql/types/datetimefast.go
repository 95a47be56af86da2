package types

import "time"

// The fast path of timestamps: the forms that programs write.

// parseISOTimestamp reads "yyyy-mm-dd hh:mm:ss[.ffffff]" (also with T), with Z, an offset or nothing behind it. It leaves all
// else, also what is wrong, to the general parser.
func parseISOTimestamp(k Kind, s string, set *Settings) (int64, bool) {
	us, rest, ok := parseISOFast(s)
	if !ok {
		return 0, false
	}
	switch {
	case rest == "" && (k == Timestamp || set.zone() == time.UTC):
		return us, true
	case rest == "":
		return LocalToUTC(us, set.zone()), true
	case rest == "Z" || rest == "z":
		return us, true
	}
	off, after, ok := parseOffset(rest)
	if k == Timestamp { // the zone is read and has no meaning
		off = 0
	}
	return us - off*MicrosPerSecond, ok && after == ""
}

// parseISOFast reads the date and the time, and returns what follows them.
func parseISOFast(s string) (us int64, rest string, ok bool) {
	if len(s) < 19 || s[4] != '-' || s[7] != '-' || s[10] != ' ' && s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return 0, "", false
	}
	for _, part := range [...][2]int{{0, 4}, {5, 7}, {8, 10}, {11, 13}, {14, 16}, {17, 19}} {
		if countDigits(s[part[0]:part[1]]) != part[1]-part[0] {
			return 0, "", false
		}
	}
	year, month, day := int(atoi(s[:4])), int(atoi(s[5:7])), int(atoi(s[8:10]))
	hour, minute, sec := atoi(s[11:13]), atoi(s[14:16]), atoi(s[17:19])
	if year == 0 || month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month) || hour > 23 || minute > 59 || sec > 59 {
		return 0, "", false
	}
	us = hour*MicrosPerHour + minute*MicrosPerMinute + sec*MicrosPerSecond
	if rest = s[19:]; rest != "" && rest[0] == '.' {
		n := countDigits(rest[1:])
		if n == 0 || n > 6 {
			return 0, "", false
		}
		us += fractionMicros(rest[1 : 1+n])
		rest = rest[1+n:]
	}
	return DaysOf(year, month, day)*MicrosPerDay + us, rest, true
}

// fractionMicros reads the digits after a decimal point as microseconds, rounded half up at the seventh.
func fractionMicros(digits string) int64 {
	var us int64
	for i := range 6 {
		us *= 10
		if i < len(digits) {
			us += int64(digits[i] - '0')
		}
	}
	if len(digits) > 6 && digits[6] >= '5' {
		us++
	}
	return us
}
