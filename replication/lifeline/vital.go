package lifeline

// vital is what a node knows of its life lines to the voters, by their ids. The zero value knows of none.
type vital struct {
	lines map[string]*state
}

// state is one life line.
type state struct {
	there   bool // it counts, and has not ended
	broken  bool // it was there, and was ended not in order
	refused bool // the last attempt to have another was refused
}

// line is the state of the life line to a voter, of which nothing may be known yet.
func (v *vital) line(voter string) *state {
	if v.lines == nil {
		v.lines = map[string]*state{}
	}
	s := v.lines[voter]
	if s == nil {
		s = &state{}
		v.lines[voter] = s
	}
	return s
}

// opened notes that there is a life line to a voter.
func (v *vital) opened(voter string) { *v.line(voter) = state{there: true} }

// ended notes its end.
func (v *vital) ended(voter string, how End) {
	s := v.line(voter)
	s.there, s.broken = false, how == Stream || how == Reset
}

// dialled notes whether the voter has refused another one.
func (v *vital) dialled(voter string, refused bool) { v.line(voter).refused = refused }

// answered notes that the voter has been heard, and reports whether there is no life line to it: it has been down, and takes one now.
func (v *vital) answered(voter string) bool {
	s := v.line(voter)
	s.refused = false
	return !s.there
}

// forget forgets one that votes no more.
func (v *vital) forget(voter string) { delete(v.lines, voter) }

// broken reports whether some life line is.
func (v *vital) broken() bool {
	for _, s := range v.lines {
		if s.broken {
			return true
		}
	}
	return false
}

// lost reports whether a majority of so many voters refuse this node: whether they may have seen its process die.
func (v *vital) lost(voters int) bool {
	n := 0
	for _, s := range v.lines {
		if s.broken && s.refused {
			n++
		}
	}
	return n > 0 && n >= Majority(voters)
}

// Majority is how many of so many voters are more than half.
func Majority(voters int) int { return voters/2 + 1 }
