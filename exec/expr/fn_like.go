package expr

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

// LIKE and ILIKE (PostgreSQL docs, 9.7.1), over vectors. A pattern is compiled when it differs from the row before, so a constant one is compiled once.

func init() {
	for _, k := range []string{"text", "bytea"} {
		factory("~~("+k+","+k+")", func() vecFunc { return likeFunc(k == "text", false, false) })
		factory("!~~("+k+","+k+")", func() vecFunc { return likeFunc(k == "text", false, true) })
	}
	factory("~~*(text,text)", func() vecFunc { return likeFunc(true, true, false) })
	factory("!~~*(text,text)", func() vecFunc { return likeFunc(true, true, true) })
	row("like_escape(text,text)", func(_ *Call, a []types.Datum) (types.Datum, error) {
		s, err := likeEscape(a[0].S, a[1].S)
		return types.BytesDatum(s), err
	})
}

// likePattern is a pattern split at its %: literal runs and single-character wildcards in between.
type likePattern struct {
	// parts are matched one after the other; between two of them any text may lie. The first is anchored at the start, the last at the end.
	parts []likePart
	// dangling: the pattern ended with the escape character, which is an error for texts that reach it.
	dangling bool
	text     bool // characters are UTF-8 sequences rather than bytes
}

// likePart is a run without %. Where any[i] is set, lit[i] is not compared and stands for one character.
type likePart struct {
	lit  []byte
	any  []bool
	wild bool // any has a true
}

var errDanglingEscape = sqlerr.New(sqlerr.InvalidEscapeSequence, "LIKE pattern must not end with escape character")

func compileLike(pattern []byte, text bool) *likePattern {
	p := &likePattern{text: text, parts: make([]likePart, 1)}
	for i := 0; i < len(pattern); i++ {
		last := &p.parts[len(p.parts)-1]
		c := pattern[i]
		switch c {
		case '%':
			p.parts = append(p.parts, likePart{})
			continue
		case '_':
			last.wild = true
		case '\\':
			if i++; i == len(pattern) {
				p.dangling = true
				last.lit, last.any, last.wild = append(last.lit, '_'), append(last.any, true), true
				p.parts = append(p.parts, likePart{})
				return p
			}
			last.lit, last.any = append(last.lit, pattern[i]), append(last.any, false)
			continue
		}
		last.lit, last.any = append(last.lit, c), append(last.any, c == '_')
	}
	return p
}

// matchAt matches the part at the start of s and returns how many bytes it took.
func (p *likePattern) matchAt(part *likePart, s []byte) (int, bool) {
	if !part.wild {
		return len(part.lit), bytes.HasPrefix(s, part.lit)
	}
	n := 0
	for i, c := range part.lit {
		if n == len(s) {
			return 0, false
		}
		switch {
		case !part.any[i]:
			if s[n] != c {
				return 0, false
			}
			n++
		case p.text:
			_, size := utf8.DecodeRune(s[n:])
			n += size
		default:
			n++
		}
	}
	return n, true
}

// find returns the end of the first match of the part in s.
func (p *likePattern) find(part *likePart, s []byte) int {
	if !part.wild {
		at := bytes.Index(s, part.lit)
		if at < 0 {
			return -1
		}
		return at + len(part.lit)
	}
	for i := 0; i <= len(s); i++ {
		if p.text && i < len(s) && !utf8.RuneStart(s[i]) {
			continue
		}
		if n, ok := p.matchAt(part, s[i:]); ok {
			return i + n
		}
	}
	return -1
}

// matchEnd reports whether the part matches a suffix of s.
func (p *likePattern) matchEnd(part *likePart, s []byte) bool {
	if !part.wild {
		return bytes.HasSuffix(s, part.lit)
	}
	for i := 0; i <= len(s); i++ {
		if p.text && i < len(s) && !utf8.RuneStart(s[i]) {
			continue
		}
		if n, ok := p.matchAt(part, s[i:]); ok && i+n == len(s) {
			return true
		}
	}
	return false
}

func (p *likePattern) match(s []byte) bool {
	n, ok := p.matchAt(&p.parts[0], s)
	if !ok {
		return false
	}
	s = s[n:]
	last := len(p.parts) - 1
	if last == 0 {
		return len(s) == 0
	}
	for i := 1; i < last; i++ {
		end := p.find(&p.parts[i], s)
		if end < 0 {
			return false
		}
		s = s[end:]
	}
	return p.matchEnd(&p.parts[last], s)
}

func likeFunc(text, fold, negated bool) vecFunc {
	var p *likePattern
	var of []byte
	var lower []byte
	return func(args []*vec.Vector, sel []int32, out *vec.Vector, errs *Errors) {
		for _, i := range sel {
			pattern := args[1].Bytes(int(i))
			if p == nil || !bytes.Equal(pattern, of) {
				of = append(of[:0], pattern...)
				if fold {
					pattern = appendLower(nil, pattern)
				}
				p = compileLike(bytes.Clone(pattern), text)
			}
			s := args[0].Bytes(int(i))
			if fold {
				lower = appendLower(lower[:0], s)
				s = lower
			}
			hit := p.match(s)
			if hit && p.dangling {
				errs.Add(i, errDanglingEscape)
				continue
			}
			out.I64[i] = b2i(hit != negated)
		}
	}
}

// likeEscape rewrites a pattern with another escape character to one with the backslash.
func likeEscape(pattern, escape string) (string, error) {
	if utf8.RuneCountInString(escape) > 1 {
		return "", sqlerr.New(sqlerr.InvalidEscapeSequence, "invalid escape string").WithHint("Escape string must be empty or one character.")
	}
	if escape == `\` {
		return pattern, nil
	}
	var b strings.Builder
	for len(pattern) > 0 {
		_, n := utf8.DecodeRuneInString(pattern)
		c := pattern[:n]
		pattern = pattern[n:]
		switch {
		case c == escape:
			b.WriteByte('\\')
			if pattern != "" {
				_, n = utf8.DecodeRuneInString(pattern)
				b.WriteString(pattern[:n])
				pattern = pattern[n:]
			}
		case c == `\`:
			b.WriteString(`\\`)
		default:
			b.WriteString(c)
		}
	}
	return b.String(), nil
}
