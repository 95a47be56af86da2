package pgwire

const (
	// maxKeptBytes bounds the bodies of the messages that a relay keeps until they are answered.
	maxKeptBytes = 256 << 10
	// maxKept bounds their number. A client with more units of work under way than that is not read from.
	maxKept = 4096
)

// unanswered are the messages that a relay has sent and whose unit of work has not been answered, oldest first.
type unanswered struct {
	list []sentMessages
	// sent and handled count messages since the session came to its server.
	sent, handled uint64
	bytes         []byte // the bodies
}

// sentMessages is a message, or several of which none ends a unit of work and no body is kept; their type is 0 if it differs.
type sentMessages struct {
	Message
	n uint64
}

// endsUnit tells whether the server answers a message with ReadyForQuery.
func endsUnit(typ byte) bool { return typ == 'Q' || typ == 'S' || typ == 'F' }

// full reports whether nothing more may be sent.
func (u *unanswered) full() bool {
	return len(u.list) >= maxKept && endsUnit(u.list[len(u.list)-1].Type)
}

// add notes a message as sent; kept tells whether its body may be.
func (u *unanswered) add(typ byte, body []byte, kept bool) {
	u.sent++
	m := sentMessages{Message: Message{Type: typ}, n: 1}
	if kept && typ != 'd' && len(u.bytes)+len(body) <= maxKeptBytes && len(u.list) < maxKept {
		at := len(u.bytes)
		u.bytes = append(u.bytes, body...)
		m.Body = u.bytes[at:len(u.bytes):len(u.bytes)]
		if m.Body == nil {
			m.Body = []byte{}
		}
	}
	if last := len(u.list) - 1; last >= 0 && m.Body == nil && u.list[last].Body == nil && !endsUnit(typ) && !endsUnit(u.list[last].Type) {
		if u.list[last].Type != typ {
			u.list[last].Type = 0
		}
		u.list[last].n++
		return
	}
	u.list = append(u.list, m)
}

// answered drops what has been handled.
func (u *unanswered) answered(handled uint64) {
	n := handled - u.handled
	u.handled = handled
	i := 0
	for ; i < len(u.list) && u.list[i].n <= n; i++ {
		n -= u.list[i].n
	}
	if i == len(u.list) {
		u.list, u.bytes = u.list[:0], u.bytes[:0]
		return
	}
	u.list[i].n -= n
	u.list = append(u.list[:0], u.list[i:]...)
}

// clear forgets everything: the session comes to another server.
func (u *unanswered) clear() { *u = unanswered{list: u.list[:0], bytes: u.bytes[:0]} }

// messages are those that are kept.
func (u *unanswered) messages() []Message {
	out := make([]Message, len(u.list))
	for i, m := range u.list {
		out[i] = m.Message
	}
	return out
}
