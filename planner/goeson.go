package planner

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// GoesOn says what keeps a query from going on with the positions and the state of another: "" if it can. With whole the results must be the same too.
// Otherwise what is computed last, from rows of the same shape, may differ, and of queries without state everything but what they read.
func (p *Persistent) GoesOn(from *Persistent, whole bool) string {
	if !whole && p.stateless() && from.stateless() {
		if a, b := p.sourceTopics(), from.sourceTopics(); !slices.Equal(a, b) {
			return fmt.Sprintf("it reads %s instead of %s", strings.Join(a, ", "), strings.Join(b, ", "))
		}
		return ""
	}
	if len(p.Fragments) != len(from.Fragments) {
		return "its rows are dealt out another number of times"
	}
	for i, f := range p.Fragments {
		a, b := f.Root, from.Fragments[i].Root
		if sink, ok := a.(*Sink); ok && !whole {
			other, _ := b.(*Sink)
			if other == nil {
				return "its rows are dealt out another number of times"
			}
			a, b = computedLast(sink.In), computedLast(other.In)
		}
		if !sameTree(a, b) {
			return "what it keeps would not be the same"
		}
	}
	return ""
}

// stateless reports whether rows leave as they come.
func (p *Persistent) stateless() bool { return len(p.Fragments) == 1 && !p.Fragments[0].Stateful }

func (p *Persistent) sourceTopics() []string {
	var out []string
	for _, f := range p.Fragments {
		for _, s := range f.Sources {
			if scan, ok := s.(*Scan); ok {
				out = append(out, scan.Rel.Topic)
			}
		}
	}
	slices.Sort(out)
	return out
}

// computedLast is what lies below the projections and filters before a sink.
func computedLast(n Node) Node {
	for {
		switch x := n.(type) {
		case *Project:
			n = x.In
		case *Filter:
			n = x.In
		default:
			return n
		}
	}
}

// sameTree reports whether two plans do the same with the same rows. Names count as well, so that it may say no where it need not.
func sameTree(a, b Node) bool {
	x, y := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	if x.Type() != y.Type() {
		return false
	}
	for i := range x.NumField() {
		switch x.Type().Field(i).Type {
		case nodeType:
		case relationType:
			r, o := x.Field(i).Interface().(*Relation), y.Field(i).Interface().(*Relation)
			if r.Topic != o.Topic || r.Kind != o.Kind {
				return false
			}
		default:
			if !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
				return false
			}
		}
	}
	return slices.EqualFunc(a.Inputs(), b.Inputs(), sameTree)
}

var nodeType, relationType = reflect.TypeFor[Node](), reflect.TypeFor[*Relation]()
