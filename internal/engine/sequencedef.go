package engine

import (
	"encoding/json"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/replication/metadata"
)

// sequenceDefinition is the payload of a sequence.
type sequenceDefinition struct {
	Type      string `json:"type"` // smallint, integer, bigint
	Start     int64  `json:"start"`
	Increment int64  `json:"increment"`
	Min       int64  `json:"min"`
	Max       int64  `json:"max"`
	Cache     int64  `json:"cache"`
	Cycle     bool   `json:"cycle,omitempty"`
	// Next is the first value that is in nobody's block. Ended: there is none, the sequence ran to its end.
	Next  int64 `json:"next"`
	Ended bool  `json:"ended,omitempty"`
	// Called: a value was given since the sequence was made or set.
	Called bool `json:"called,omitempty"`
	// Table and Column, an ordinal, own the sequence, which goes with them; 0 for none. Internal: it is an identity column's.
	Table    uint32 `json:"table,omitempty"`
	Column   int    `json:"column,omitempty"`
	Internal bool   `json:"internal,omitempty"`
}

func sequenceDef(o *metadata.Object) (sequenceDefinition, error) {
	var d sequenceDefinition
	err := json.Unmarshal(o.Payload, &d)
	return d, err
}

// cut takes a block of at most n values off the sequence.
func (d *sequenceDefinition) cut(n int64) (sequenceBlock, bool) {
	if d.Ended {
		return sequenceBlock{}, false
	}
	b := sequenceBlock{next: d.Next, step: d.Increment, left: 1}
	last := d.Next
	for ; b.left < n; b.left++ {
		next, ok := d.after(last)
		if !ok {
			break
		}
		last = next
	}
	d.Called = true
	if next, ok := d.after(last); ok {
		d.Next = next
	} else if d.Cycle {
		d.Next = d.first()
	} else {
		d.Next, d.Ended = last, true
	}
	return b, true
}

// after returns the value after v, if it is within the bounds.
func (d *sequenceDefinition) after(v int64) (int64, bool) {
	if d.Increment > 0 {
		if v > d.Max-d.Increment || d.Max-d.Increment > d.Max {
			return 0, false
		}
		return v + d.Increment, true
	}
	if v < d.Min-d.Increment || d.Min-d.Increment < d.Min {
		return 0, false
	}
	return v + d.Increment, true
}

// first is where a cycle begins anew.
func (d *sequenceDefinition) first() int64 {
	if d.Increment > 0 {
		return d.Min
	}
	return d.Max
}

func (d *sequenceDefinition) ended(name string) error {
	word, bound := "maximum", d.Max
	if d.Increment < 0 {
		word, bound = "minimum", d.Min
	}
	return sqlerr.New(sqlerr.SequenceGeneratorLimit, "nextval: reached %s value of sequence %q (%d)", word, name, bound)
}

// set makes v the next value, or with called the one after it.
func (d *sequenceDefinition) set(name string, v int64, called bool) error {
	if v < d.Min || v > d.Max {
		return sqlerr.New(sqlerr.NumericValueOutOfRange, "setval: value %d is out of bounds for sequence %q (%d..%d)", v, name, d.Min, d.Max)
	}
	d.Next, d.Ended, d.Called = v, false, called
	if called {
		d.cut(1)
	}
	return nil
}
