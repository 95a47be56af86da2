package sql

// Pos is the byte offset of a node in the text given to Parse: for an operator, the operator; for everything else its
// first token, as PostgreSQL reports it. Nodes made by hand may leave it 0. Equal ignores it.
type Pos int

// Offset returns p as an int, which is what sqlerr.Error.At takes. Every node has it by embedding Pos.
func (p Pos) Offset() int { return int(p) }

// Node is any part of the tree. Trees are not changed after Parse returns them, so they may be shared.
type Node interface{ Offset() int }

// Statement is one SQL statement: *Query, *Insert, *CreateRelation and so on.
type Statement interface {
	Node
	stmt()
}

// Name is the possibly qualified name of an object: the parts as folded, the object itself last.
type Name struct {
	Pos
	Parts []string // 1 to 3: [[database,] schema,] object
}

// Object returns the last part.
func (n *Name) Object() string { return n.Parts[len(n.Parts)-1] }

// Schema returns the part before the object, or "" when the name is not qualified.
func (n *Name) Schema() string {
	if len(n.Parts) < 2 {
		return ""
	}
	return n.Parts[len(n.Parts)-2]
}

// TypeName is a type as written; the planner resolves it.
type TypeName struct {
	Pos
	// Schema and Name are folded. PostgreSQL's own spellings are brought to its internal names as its grammar does: int,
	// integer and int4 are all int4, double precision is float8, char(n) is bpchar, varchar, timestamptz, timetz,
	// numeric, bool, bit, varbit, interval; array, map and struct for the constructors below.
	Schema, Name string
	// Mods are the numbers in parentheses: varchar(n), numeric(p,s), timestamp(p), interval(p).
	Mods []int
	// ArrayDims counts the [] and ARRAY suffixes: int[][] has 2.
	ArrayDims int
	// Elem is the element of ARRAY<T> and the value of MAP<K,T>; Key the key of MAP.
	Elem, Key *TypeName
	// Fields are the members of STRUCT<..>, ROW(..) and CREATE TYPE .. AS (..).
	Fields []*FieldDef
	// Interval holds the fields that restrict an interval, "day to second", or "".
	Interval string
	// Setof is set by SETOF, PercentType by name%TYPE.
	Setof, PercentType bool
}

// FieldDef is one member of a STRUCT type.
type FieldDef struct {
	Pos
	Name string
	Type *TypeName
}

// Query is a SELECT, VALUES or set operation with what may stand around it. It is also a statement.
type Query struct {
	Pos
	With     *With
	Body     QueryBody
	OrderBy  []*OrderItem
	Limit    Expr // nil when absent; LIMIT ALL and LIMIT NULL are absent
	Skip     Expr // OFFSET; nil when absent
	WithTies bool // FETCH FIRST n ROWS WITH TIES
	Emit     *Emit
	Locking  []*Locking
}

// QueryBody is *Select, *SetOp, *Values, or *Query for a query in parentheses with clauses of its own.
type QueryBody interface {
	Node
	queryBody()
}

// With is WITH [RECURSIVE].
type With struct {
	Pos
	Recursive bool
	CTEs      []*CTE
}

// CTE is one common table expression.
type CTE struct {
	Pos
	Name         string
	Columns      []string
	Materialized Tristate // AS [NOT] MATERIALIZED
	Statement    Statement
}

// Tristate is a choice that may be left out.
type Tristate int8

// The values of a Tristate.
const (
	Unset Tristate = iota
	Yes
	No
)

// Emit says that a query is a push query.
type Emit struct {
	Pos
	Final bool // EMIT FINAL, else EMIT CHANGES
	// Interval is EMIT CHANGES .. FOR INTERVAL '10 s': how long the query runs; nil for ever. LIMIT is Query.Limit,
	// before or after EMIT.
	Interval *Duration
}

// SetOpKind is the kind of a set operation.
type SetOpKind int8

// The set operations.
const (
	Union SetOpKind = iota
	Intersect
	Except
)

// SetOp is Left UNION|INTERSECT|EXCEPT [ALL] Right.
type SetOp struct {
	Pos
	Kind        SetOpKind
	All         bool
	Left, Right QueryBody
}

// Values is VALUES (..), (..). A row may hold *Default inside INSERT.
type Values struct {
	Pos
	Rows [][]Expr
}

// Select is one SELECT core. TABLE t is read as SELECT * FROM t.
type Select struct {
	Pos
	Distinct    bool
	DistinctOn  []Expr // DISTINCT ON (..); Distinct is set too
	Targets     []*Target
	Into        *Name      // SELECT .. INTO t
	IntoTemp    bool       // SELECT .. INTO TEMPORARY t
	From        []FromItem // joined by commas
	Where       Expr
	Window      *StreamWindow
	GroupBy     *GroupBy
	Having      Expr
	PartitionBy []Expr
	Windows     []*WindowDef // WINDOW w AS (..)
}

// Target is one output column: an expression, or *Star. Alias is "" when none was written.
type Target struct {
	Pos
	Expr  Expr
	Alias string
}

// OrderItem is one ORDER BY key.
type OrderItem struct {
	Pos
	Expr       Expr
	Desc       bool
	NullsFirst Tristate // Unset: first when Desc, else last
	Using      string   // ORDER BY x USING <
}

// Locking is FOR UPDATE|NO KEY UPDATE|SHARE|KEY SHARE.
type Locking struct {
	Pos
	Strength string // "UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE"
	Of       []*Name
	Wait     string // "", "NOWAIT", "SKIP LOCKED"
}

// GroupBy is GROUP BY [DISTINCT].
type GroupBy struct {
	Pos
	Distinct bool
	Items    []*GroupItem
}

// GroupKind is the kind of a grouping element.
type GroupKind int8

// The grouping elements.
const (
	GroupExpr   GroupKind = iota // an expression; a *Row groups by all its items
	GroupEmpty                   // ()
	GroupRollup                  // ROLLUP (..)
	GroupCube                    // CUBE (..)
	GroupSets                    // GROUPING SETS (..)
)

// GroupItem is one element of GROUP BY.
type GroupItem struct {
	Pos
	Kind  GroupKind
	Expr  Expr         // GroupExpr
	Items []*GroupItem // the others
}

// WindowKind is the kind of a stream window.
type WindowKind int8

// The stream windows.
const (
	Tumbling WindowKind = iota
	Hopping
	Session
)

// StreamWindow is WINDOW TUMBLING|HOPPING|SESSION (..). Size is the gap of a session window.
type StreamWindow struct {
	Pos
	Name                            string // WINDOW name TUMBLING (..), which ksqlDB allows
	Kind                            WindowKind
	Size, Advance, Retention, Grace *Duration
}

// Unit is the unit of a Duration.
type Unit int8

// The units. Singular and plural are the same.
const (
	Milliseconds Unit = iota
	Seconds
	Minutes
	Hours
	Days
	Weeks
	Months
	Years
)

// Duration is a length of time in a stream clause: "5 MINUTES", or INTERVAL '10 s', whose text the planner reads.
type Duration struct {
	Pos
	Count    int64
	Unit     Unit
	Interval *TypedLiteral // when set, Count and Unit are not used
}

// FromItem is *Table, *TableFunc, *Derived or *Join.
type FromItem interface {
	Node
	fromItem()
}

// Alias renames a FROM item and its columns.
type Alias struct {
	Pos
	Name    string
	Columns []string
	Defs    []*ColumnDef // f(..) AS t (a int, b text)
}

// Table is a stream, table or view by name.
type Table struct {
	Pos
	Name  *Name
	Only  bool
	Alias *Alias
	AsOf  Expr // FOR SYSTEM_TIME AS OF e
}

// TableFunc is a function call, or ROWS FROM (..), in FROM.
type TableFunc struct {
	Pos
	Lateral    bool
	Calls      []*FuncCall
	Defs       [][]*ColumnDef // per call, ROWS FROM (f(..) AS (a int)); nil when none has any
	RowsFrom   bool
	Ordinality bool
	Alias      *Alias
}

// Derived is a query, which may be VALUES, in FROM.
type Derived struct {
	Pos
	Lateral bool
	Query   *Query
	Alias   *Alias
}

// JoinKind is the kind of a join.
type JoinKind int8

// The joins.
const (
	InnerJoin JoinKind = iota
	LeftJoin
	RightJoin
	FullJoin
	CrossJoin
	SemiJoin
	AntiJoin
)

// Join joins two FROM items. At most one of Natural, Using and On is given.
type Join struct {
	Pos
	Kind        JoinKind
	AsOf        bool // ASOF JOIN: the nearest earlier row
	Natural     bool
	Left, Right FromItem
	Within      *Within
	Using       []string
	UsingAlias  string
	On          Expr
	Alias       *Alias // (a JOIN b ON ..) AS j
}

// Within bounds a stream-stream join. WITHIN d sets Before and After to the same duration.
type Within struct {
	Pos
	Before, After *Duration
	Grace         *Duration
}

func (*Query) stmt()         {}
func (*Query) queryBody()    {}
func (*Select) queryBody()   {}
func (*SetOp) queryBody()    {}
func (*Values) queryBody()   {}
func (*Table) fromItem()     {}
func (*TableFunc) fromItem() {}
func (*Derived) fromItem()   {}
func (*Join) fromItem()      {}
