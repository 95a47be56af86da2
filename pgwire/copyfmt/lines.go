package copyfmt

import "bytes"

// lineEnd is how the lines of an input end; the first line decides.
type lineEnd uint8

const (
	endUnknown lineEnd = iota
	endLF
	endCRLF
	endCR
)

// lineScanner finds the ends of lines. It keeps its state over calls on a line that is not all there yet, so that a long
// field that comes in small pieces is looked at once.
type lineScanner struct {
	csv           bool
	quote, escape byte

	end     lineEnd
	at      int  // everything of the line before at was looked at
	inQuote bool // at is inside a CSV quote
	escaped bool // the byte before at was an escape, where escape and quote differ
	inner   int  // line breaks inside of the line
}

// reset begins a new line at position at.
func (s *lineScanner) reset(at int) {
	s.at, s.inQuote, s.escaped, s.inner = at, false, false, 0
}

// find returns where the line that begins at start ends, and where the next begins; end is -1 if buf does not have all of
// it. final says that no more input will come.
func (s *lineScanner) find(buf []byte, start int, final bool) (end, next int, err error) {
	s.at = max(s.at, start)
	for {
		i := s.nextBreak(buf)
		if i < 0 {
			s.quotes(buf[s.at:])
			s.at = len(buf)
			return -1, 0, nil
		}
		s.quotes(buf[s.at:i])
		s.at = i
		if s.isData(buf, start, i) {
			s.at++
			s.escaped = false
			if buf[i] == '\n' || s.end == endCR {
				s.inner++
			}
			continue
		}
		if s.end == endUnknown && buf[i] == '\r' && i+1 == len(buf) && !final {
			return -1, 0, nil // the next byte decides
		}
		return s.finish(buf, start, i)
	}
}

// nextBreak returns the position of the next byte that may end the line, -1 without one.
func (s *lineScanner) nextBreak(buf []byte) int {
	var n int
	switch s.end {
	case endUnknown:
		n = bytes.IndexAny(buf[s.at:], "\r\n")
	case endCR:
		n = bytes.IndexByte(buf[s.at:], '\r')
	default:
		n = bytes.IndexByte(buf[s.at:], '\n')
	}
	if n < 0 {
		return -1
	}
	return s.at + n
}

// quotes follows the CSV quotes over a piece of the line. Doubled quotes cancel each other out.
func (s *lineScanner) quotes(piece []byte) {
	switch {
	case !s.csv:
	case s.quote == s.escape:
		if bytes.Count(piece, []byte{s.quote})%2 == 1 {
			s.inQuote = !s.inQuote
		}
	default:
		for _, c := range piece {
			switch {
			case s.inQuote && c == s.escape:
				s.escaped = !s.escaped
				continue
			case c == s.quote && !s.escaped:
				s.inQuote = !s.inQuote
			}
			s.escaped = false
		}
	}
}

// isData tells whether the line break at i is part of a value: inside of quotes in CSV, behind a backslash in text.
func (s *lineScanner) isData(buf []byte, start, i int) bool {
	if s.csv {
		return s.inQuote
	}
	return oddBackslashes(buf[start:i])
}

// oddBackslashes tells whether what follows p is escaped.
func oddBackslashes(p []byte) bool {
	n := 0
	for n < len(p) && p[len(p)-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// finish ends the line at the break at i, after a look for breaks of another kind.
func (s *lineScanner) finish(buf []byte, start, i int) (end, next int, err error) {
	next = i + 1
	if s.end == endUnknown {
		switch {
		case buf[i] == '\n':
			s.end = endLF
		case next < len(buf) && buf[next] == '\n':
			s.end = endCRLF
			return i, next + 1, nil
		default:
			s.end = endCR
		}
	}
	end = i
	if s.end == endCRLF {
		end--
		if end < start || buf[end] != '\r' || s.isData(buf, start, end) {
			return 0, 0, s.stray("newline", `\n`)
		}
	}
	line := buf[start:end]
	if s.end == endCR {
		if s.hasStray(line, '\n') {
			return 0, 0, s.stray("newline", `\n`)
		}
	} else if s.hasStray(line, '\r') {
		return 0, 0, s.stray("carriage return", `\r`)
	}
	return end, next, nil
}

// hasStray looks for a line break c in the line that is not part of a value.
func (s *lineScanner) hasStray(line []byte, c byte) bool {
	if bytes.IndexByte(line, c) < 0 {
		return false
	}
	again := lineScanner{csv: s.csv, quote: s.quote, escape: s.escape}
	for {
		n := bytes.IndexByte(line[again.at:], c)
		if n < 0 {
			return false
		}
		i := again.at + n
		again.quotes(line[again.at:i])
		if !again.isData(line, 0, i) {
			return true
		}
		again.at = i + 1
		again.escaped = false
	}
}

func (s *lineScanner) stray(name, spelling string) error {
	if s.csv {
		return malformed("unquoted %s found in data", name).WithHint("Use quoted CSV field to represent %s.", name)
	}
	return malformed("literal %s found in data", name).WithHint("Use %q to represent %s.", spelling, name)
}
