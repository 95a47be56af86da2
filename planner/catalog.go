package planner

import (
	"context"
	"slices"
	"time"

	"github.com/millracedb/millrace/sql/types"
)

// Catalog is what the planner needs to know of the world. The engine implements it over one immutable metadata image.
type Catalog interface {
	// Relation finds a relation by the name a user wrote; an empty schema means the search path. It returns an sqlerr 42P01 if there is none.
	Relation(ctx context.Context, schema, name string) (*Relation, error)
	// Type finds a type that a user created; ok is false if there is none.
	Type(ctx context.Context, schema, name string) (t types.Type, ok bool)
	// Inside returns the catalog in which the names in a view's text are looked up: they mean what they meant when the view was made, whatever
	// was renamed or added since.
	Inside(view *Relation) Catalog
}

// RelationKind tells what a name stands for.
type RelationKind uint8

// The kinds of relation.
const (
	Stream   RelationKind = iota // append-only facts
	Table                        // latest row per key: ordinary table, table over a topic, or a persistent query's result
	View                         // a name for text
	Virtual                      // rows made by the engine: pg_catalog, information_schema, millrace
	Sequence                     // one row made by the engine: where a sequence stands
)

// Relation describes a stream, table, view or virtual table.
type Relation struct {
	OID    uint32
	Schema string
	Name   string
	Kind   RelationKind
	// Columns in the order in which they came to be; an ordinal never changes, and rows in state are stored by it. Hidden columns (a hidden
	// key, columns that were dropped) are not part of *.
	Columns []Column
	// Checks are the CHECK constraints. They hold for what SQL writes.
	Checks []Check
	// Key lists the ordinals of the key columns in key order. Empty for a stream without key and for the one row of a table without key.
	Key []int
	// Topic, Partitions and the formats say where and how the rows are.
	Topic       string
	Partitions  int32
	KeyFormat   string // "kafka", "json", "delimited", "none"
	ValueFormat string
	// KeyDelimiter and ValueDelimiter stand between the fields of the format delimited; 0 is a comma.
	KeyDelimiter, ValueDelimiter byte
	// WrapSingleValue: a lone value column is written inside an object (the default).
	WrapSingleValue bool
	// Placement says whether rows are known to be dealt by murmur2 over the key bytes: true where Millrace alone writes the topic, or the
	// source declares partitioner = 'murmur2'.
	Placement bool
	// TimestampColumn is the ordinal of the column that gives rowtime, -1 for the record's timestamp.
	TimestampColumn int
	TimestampFormat string
	// Watermark is the bound expression over Columns that a row proves as stream time; nil: rowtime itself.
	Watermark Expr
	// Window is set when the rows are results of a windowed aggregate: the key columns end with windowstart, and with sessions windowend
	// (hidden unless selected).
	Window *WindowSpec
	// Ordinary: a table of this database without WITH topic, changed by INSERT, UPDATE and DELETE through its owner tasks.
	Ordinary bool
	// Temporary: an ordinary table of one session, which keeps its rows itself; there is no topic.
	Temporary bool
	// Query is the OID of the persistent query that writes the relation, 0 for none. Such a relation refuses DML.
	Query uint32
	// ViewText and ViewColumns define a View.
	ViewText    string
	ViewColumns []string
	// KSQL: the statement that made the relation is in the dialect ksql.
	KSQL bool
	// Definition is the statement that made the relation, for SHOW CREATE.
	Definition string
	Owner      string
	Comment    string
	// TTLMs is after how long, in ms from its rowtime, a row of the table is deleted; 0: never.
	TTLMs int64
	// HistoryMs is how far back, in ms, the earlier versions of the table's rows are kept for streams that join it as of their rows' times; 0: joins see
	// the rows of now.
	HistoryMs int64
	// IdleTimeout is fixed at CREATE.
	IdleTimeout time.Duration
	// MaxFuture is how far ahead of the clock a row's time may be, fixed at CREATE; 0 is DefaultMaxFuture.
	MaxFuture time.Duration
	// Indexes are those beside the primary key. Whoever binds the relation fills them in.
	Indexes []Index
	// Uniques are the UNIQUE constraints of its CREATE.
	Uniques []Unique
	// Generation numbers the shapes of the rows that nodes keep of a table: rows kept under an earlier number are not read, but made anew from
	// the topic.
	Generation uint32
	// Rules numbers the changes of what a write must look after (NOT NULL, CHECK, columns dropped). A transaction that wrote under
	// an earlier number does not commit.
	Rules uint32
}

// Index is an index of a table beside its key.
type Index struct {
	OID  uint32
	Name string
	Cols []int // ordinals
	// Unique: no two rows have the same values, NULL apart. Constraint: a UNIQUE constraint made it. Primary: it is that of a PRIMARY KEY which came after
	// the rows, whose places stay those of the hidden key.
	Unique, Constraint, Primary bool
}

// primaryKey are the columns of the key that the user gave the table, with the table or later; those of the key by which rows lie if there is none.
func (r *Relation) primaryKey() []int {
	if i := slices.IndexFunc(r.Indexes, func(ix Index) bool { return ix.Primary }); i >= 0 {
		return r.Indexes[i].Cols
	}
	return r.Key
}

// HasPrimaryKey tells whether the user gave the table a primary key.
func (r *Relation) HasPrimaryKey() bool {
	key := r.primaryKey()
	return len(key) > 0 && !slices.ContainsFunc(key, func(k int) bool { return r.Columns[k].Hidden })
}

// Index returns an index by OID, nil if there is none.
func (r *Relation) Index(oid uint32) *Index {
	for i := range r.Indexes {
		if r.Indexes[i].OID == oid {
			return &r.Indexes[i]
		}
	}
	return nil
}

// Unique is a UNIQUE constraint of a definition. Whoever makes the relation makes an index for it.
type Unique struct {
	Name string // "" if it is to be chosen
	Cols []int
}

// Column is one column of a relation.
type Column struct {
	Name    string
	Type    types.Type
	NotNull bool
	// Default is the bound default, nil for NULL.
	Default     Expr
	DefaultText string
	// Serial: the values come from a sequence of the column's own, which whoever makes the relation sets as Default (NextValue).
	Serial SerialKind
	// Sequence is that sequence's OID.
	Sequence uint32
	Hidden   bool
	// Headers: the column shows the record's headers, all of them as a HeadersType or with a HeaderKey the value of the last one of that key.
	// Nothing writes it.
	Headers   bool
	HeaderKey string
	// Field names the column in the records of the topic, "" for Name: RENAME does not touch what was written.
	Field string
	// Missing is the value of rows that were written before the column was added, nil for NULL.
	Missing *types.Datum
	// Dropped: the column is there for its ordinal only; its name is one that nobody can write, and it is Hidden.
	Dropped bool
	Comment string
}

// FieldName is the column's name in the records of its topic.
func (c *Column) FieldName() string {
	if c.Field != "" {
		return c.Field
	}
	return c.Name
}

// Pseudo columns of a source, as ordinals in Scan.Cols beyond a relation's own columns.
const (
	PseudoRowtime = -1 - iota
	PseudoRowPartition
	PseudoRowOffset
	PseudoHeaders
	PseudoOp
)

// Evaluator folds constants. exec implements it.
type Evaluator interface {
	// Eval evaluates an expression without columns, parameters or subqueries.
	Eval(e Expr) (types.Datum, error)
}
