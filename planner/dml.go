package planner

import "github.com/millracedb/millrace/sql/types"

// DMLKind tells INSERT, UPDATE and DELETE apart.
type DMLKind uint8

// The kinds of data change.
const (
	DMLInsert DMLKind = iota
	DMLUpdate
	DMLDelete
)

// DML is a planned INSERT, UPDATE or DELETE. Let n be len(Rel.Columns), hidden columns included.
//
// INSERT: Source yields full rows: its first n columns are Rel.Columns in order, coerced, with defaults filled in. Columns of a hidden key
// arrive as NULL and get their value from whoever appends, who also checks NOT NULL.
//
// UPDATE and DELETE: Source yields the rows that matched: its first n columns are the row as it was read, the rest (Extra of them) come from FROM
// or USING, or are subqueries of SET computed once. Whoever runs the change locks the row's key and compares the row with its current version. If
// they differ, the current version replaces the first n columns and Where decides again, as READ COMMITTED asks for (PostgreSQL
// docs, 13.2.1). Then New gives the new row.
type DML struct {
	Kind DMLKind
	Rel  *Relation
	// Source yields the rows, see above. It shares the statement's parameters.
	Source *Query
	// Extra is the number of Source columns that follow Rel's.
	Extra int
	// Rowtime is the ordinal in Source of a column that the user gave as rowtime (INSERT INTO s (rowtime, ...)), -1 for none.
	Rowtime int
	// Targets are the ordinals of the columns the user named, in that order; for INSERT without a column list all visible ones.
	Targets []int
	// Where is what of the condition can be decided again over a Source row; nil for none. UPDATE and DELETE only.
	Where Expr
	// New has one expression per column of Rel, over a Source row. UPDATE only.
	New []Expr
	// OnConflict is set for INSERT ... ON CONFLICT.
	OnConflict *OnConflict
	// Returning are expressions over n columns of Rel (the new row; for DELETE the old one) followed by the Extra columns.
	// ReturningCols describe them; both empty without RETURNING.
	Returning     []Expr
	ReturningCols []Col
	// Subqueries: there are subqueries in Returning or OnConflict.
	Subqueries bool
	// Params are the types of $1..$n.
	Params []types.Type
}

// OnConflict says what to do with a row whose key exists.
type OnConflict struct {
	// Target are the ordinals of the key columns, or those of Index, a unique index, if it is not nil.
	Target []int
	Index  *Index
	// Any: no target was named, so every constraint counts.
	Any       bool
	DoNothing bool
	// Set has one expression per column of Rel over the existing row's n columns followed by the excluded (proposed) row's n columns.
	Set []Expr
	// Where is over the same columns; rows for which it is not true stay as they are. Nil for none.
	Where Expr
}
