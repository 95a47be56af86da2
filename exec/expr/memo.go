package expr

import "strings"

// maxMemo bounds the compiled patterns that one call keeps. A query uses few; a column of patterns starts afresh when it is full.
const maxMemo = 64

// memo keeps what a function made of its constant-like arguments (a compiled pattern), by up to two texts.
type memo struct {
	m       map[[2]string]any
	lastKey [2]string
	last    any
}

// remember returns what build made for the texts a and b, building it the first time. Errors are remembered as well.
func remember[T any](c *Call, a, b string, build func(a, b string) (T, error)) (T, error) {
	type entry struct {
		v   T
		err error
	}
	key := [2]string{a, b}
	m := c.memo
	if e, ok := m.last.(entry); ok && m.lastKey == key {
		return e.v, e.err
	}
	e, ok := m.m[key].(entry)
	if !ok {
		key = [2]string{strings.Clone(a), strings.Clone(b)}
		e.v, e.err = build(key[0], key[1])
		if m.m == nil || len(m.m) >= maxMemo {
			m.m = map[[2]string]any{}
		}
		m.m[key] = e
		m.lastKey, m.last = key, e
	}
	return e.v, e.err
}
