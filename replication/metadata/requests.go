package metadata

import "slices"

// MaxRequests is how many commands' outcomes are remembered.
const MaxRequests = 10_000

// outcome is what a command was answered. It is the same on every node.
type outcome struct {
	request UUID
	index   uint64
	results []uint64
	err     *Error
}

// requests remembers the outcomes of the last MaxRequests commands, so that a command proposed twice is applied once.
type requests struct {
	byID map[UUID]*outcome
	ring []*outcome // oldest at next, once it is full
	next int
}

func newRequests() *requests { return &requests{byID: make(map[UUID]*outcome)} }

func (q *requests) get(id UUID) (*outcome, bool) {
	o, ok := q.byID[id]
	return o, ok
}

func (q *requests) add(o *outcome) {
	if len(q.ring) < MaxRequests {
		q.ring = append(q.ring, o)
	} else {
		delete(q.byID, q.ring[q.next].request)
		q.ring[q.next] = o
		q.next = (q.next + 1) % MaxRequests
	}
	q.byID[o.request] = o
}

// list returns the outcomes, oldest first, in a slice of its own.
func (q *requests) list() []*outcome { return slices.Concat(q.ring[q.next:], q.ring[:q.next]) }

func (o *outcome) append(b []byte) []byte {
	b = appendUUID(b, 1, o.request)
	b = appendUint(b, 2, o.index)
	for _, v := range o.results {
		b = appendElement(b, 3, appendUint(nil, 1, v))
	}
	if o.err != nil {
		e := appendUint(nil, 1, errCode(o.err.Err))
		e = appendString(e, 2, o.err.What)
		e = appendString(e, 3, o.err.Name)
		b = appendElement(b, 4, appendString(e, 4, o.err.Detail))
	}
	return b
}

func decodeOutcome(b []byte) (*outcome, error) {
	o, r := &outcome{}, read(b)
	for r.next() {
		switch r.num {
		case 1:
			o.request = r.uuid()
		case 2:
			o.index = r.uint()
		case 3:
			o.results = append(o.results, nested(r, decodeEpoch))
		case 4:
			o.err = nested(r, decodeOutcomeError)
		}
	}
	return o, r.done("outcome")
}

func decodeOutcomeError(b []byte) (*Error, error) {
	e, r := &Error{Err: ErrInvalid}, read(b)
	for r.next() {
		switch r.num {
		case 1:
			if code := r.uint(); code > 0 && code < uint64(len(errCodes)) {
				e.Err = errCodes[code]
			}
		case 2:
			e.What = r.string()
		case 3:
			e.Name = r.string()
		case 4:
			e.Detail = r.string()
		}
	}
	return e, r.done("outcome's error")
}
