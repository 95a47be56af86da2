package controller

import "time"

// tenureTime is for how long a node serves after the sending of a heartbeat that was answered. It is shorter than the session after which the controller fences it, by more than two clocks differ of which one goes 2 %
// too fast and one 2 % too slow.
const tenureTime = Session - Session/20

// tenure is for how long a node may serve as leader, by what it was answered to its heartbeats: tenureTime from the sending of the newest that the controller answered as that of an active broker, unless it is given up.
type tenure struct {
	answered time.Time // when that was sent; zero: there is none
	active   bool      // there was one; otherwise the node has only just started
	lost     time.Time // when it was given up: what was sent before does not renew it
	why      string    // it was given up
}

// renew notes the answer to a heartbeat, and reports whether the node may serve for tenureTime since it was sent. A node that is fenced leads nothing, whatever it believes.
func (t *tenure) renew(sent time.Time, fenced bool) bool {
	switch {
	case !sent.After(t.answered) || !sent.After(t.lost):
		return false
	case fenced:
		if t.active {
			t.giveUp(sent, "the controller has fenced this node")
		}
		return false
	}
	t.answered, t.active, t.why = sent, true, ""
	return true
}

// giveUp ends it before its time.
func (t *tenure) giveUp(now time.Time, why string) { *t = tenure{lost: now, why: why} }

// over reports whether it has ended, and why.
func (t *tenure) over(now time.Time) (why string, over bool) {
	switch {
	case t.answered.IsZero():
		return t.why, true
	case now.Sub(t.answered) > tenureTime:
		return "the controller does not answer, or has fenced this node", true
	}
	return "", false
}
