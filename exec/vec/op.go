package vec

// Op says what a row of a batch does to the relation that the batch changes.
type Op uint8

// The operations. An append-only stream carries Insert alone; upsert edges carry Insert, UpdateInsert and Delete,
// without old rows; retract edges pair every UpdateInsert with the UpdateDelete of its old row, just before it.
const (
	Insert       Op = iota // +I
	Delete                 // -D
	UpdateDelete           // -U
	UpdateInsert           // +U
)

// Adds reports whether the row joins the relation (+I, +U), as opposed to leaving it (-D, -U).
func (o Op) Adds() bool { return o == Insert || o == UpdateInsert }

// Sign returns 1 for a row that joins the relation and -1 for one that leaves it.
func (o Op) Sign() int64 {
	if o.Adds() {
		return 1
	}
	return -1
}

// Inverse returns the operation that undoes o: +I and -D, +U and -U.
func (o Op) Inverse() Op {
	switch o {
	case Insert:
		return Delete
	case Delete:
		return Insert
	case UpdateDelete:
		return UpdateInsert
	default:
		return UpdateDelete
	}
}

// String returns the two characters that users see in the op column.
func (o Op) String() string {
	switch o {
	case Insert:
		return "+I"
	case Delete:
		return "-D"
	case UpdateDelete:
		return "-U"
	case UpdateInsert:
		return "+U"
	default:
		return "?"
	}
}
