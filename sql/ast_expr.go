package sql

// Expr is a scalar expression.
type Expr interface {
	Node
	expr()
}

// LiteralKind is the lexical kind of a literal.
type LiteralKind int8

// The kinds of literal; the comment says what Text holds.
const (
	NullLiteral    LiteralKind = iota // ""
	BoolLiteral                       // "true" or "false"
	IntegerLiteral                    // decimal digits, any number of them; the sign is a UnaryOp
	DecimalLiteral                    // with a point or an exponent, as written
	StringLiteral                     // the value, escapes resolved
	BitLiteral                        // B'01': the digits
	HexLiteral                        // X'1F': the digits
)

// Literal is a constant. In option lists (Option, Set) Text of a number may begin with a sign.
type Literal struct {
	Pos
	Kind LiteralKind
	Text string
}

// Param is $n, n from 1.
type Param struct {
	Pos
	N int
}

// ColumnRef is a column, possibly qualified: the parts as folded. Whether a.b is column b of a or member b of column a
// is for the planner.
type ColumnRef struct {
	Pos
	Parts []string
}

// Star is * , t.* or (e).* .
type Star struct {
	Pos
	Table []string // t.*, s.t.*
	Of    Expr     // (e).* and e->*
}

// BinaryOp is an infix operator, named as in pg_operator: + - * / % ^ = <> < <= > >= || -> ->> ~ and so on; != is read as
// <>. Schema is that of OPERATOR(schema.op), or "".
type BinaryOp struct {
	Pos
	Schema, Op  string
	Left, Right Expr
}

// UnaryOp is a prefix operator.
type UnaryOp struct {
	Pos
	Schema, Op string
	X          Expr
}

// And is a chain of two or more conditions joined by AND.
type And struct {
	Pos
	Args []Expr
}

// Or is a chain of two or more conditions joined by OR.
type Or struct {
	Pos
	Args []Expr
}

// Not is NOT x.
type Not struct {
	Pos
	X Expr
}

// IsKind is what IS tests for.
type IsKind int8

// The tests.
const (
	IsNull IsKind = iota
	IsTrue
	IsFalse
	IsUnknown
)

// IsTest is x IS [NOT] NULL|TRUE|FALSE|UNKNOWN, and x ISNULL, x NOTNULL.
type IsTest struct {
	Pos
	Kind IsKind
	Not  bool
	X    Expr
}

// IsDistinct is a IS [NOT] DISTINCT FROM b.
type IsDistinct struct {
	Pos
	Not         bool
	Left, Right Expr
}

// Between is x [NOT] BETWEEN [SYMMETRIC] lo AND hi.
type Between struct {
	Pos
	Not, Symmetric bool
	X, Lo, Hi      Expr
}

// In is x [NOT] IN (list) or x [NOT] IN (query); one of List and Query is set. X is a *Row for several columns.
type In struct {
	Pos
	Not   bool
	X     Expr
	List  []Expr
	Query *Query
}

// LikeKind is the kind of a pattern match.
type LikeKind int8

// The pattern matches.
const (
	LikePattern LikeKind = iota
	ILikePattern
	SimilarTo
)

// Like is x [NOT] LIKE|ILIKE|SIMILAR TO pattern [ESCAPE e].
type Like struct {
	Pos
	Kind               LikeKind
	Not                bool
	X, Pattern, Escape Expr // Escape may be nil
}

// Quantified is left op ANY|ALL (array or query); SOME is ANY. LIKE ANY has the operator ~~, as in PostgreSQL.
type Quantified struct {
	Pos
	Schema, Op string
	All        bool
	Left       Expr
	Array      Expr   // one of Array
	Query      *Query // and Query is set
}

// Case is CASE [operand] WHEN .. THEN .. [ELSE ..] END.
type Case struct {
	Pos
	Operand Expr // nil for a searched CASE
	Whens   []*When
	Else    Expr
}

// When is one branch of a Case.
type When struct {
	Pos
	Cond, Result Expr
}

// Cast is CAST(x AS t) or x::t.
type Cast struct {
	Pos
	X    Expr
	Type *TypeName
}

// TypedLiteral is type 'text': DATE '2026-01-01', INTERVAL '1' DAY, jsonb '{}'.
type TypedLiteral struct {
	Pos
	Type *TypeName
	Text string
}

// FuncCall calls a function, aggregate or window function. The special forms of SQL are calls too, as PostgreSQL reads
// them: EXTRACT(f FROM x) is extract('f', x), POSITION(a IN b) is position(b, a), SUBSTRING(x FROM a FOR b) is
// substring(x, a, b), OVERLAY is overlay, TRIM is btrim, ltrim or rtrim, a OVERLAPS b is overlaps. COALESCE, NULLIF,
// GREATEST, LEAST and GROUPING are calls by those names.
type FuncCall struct {
	Pos
	Schema      string
	Name        string // lower case unless quoted, in every dialect
	Args        []*Arg
	Star        bool // count(*)
	Distinct    bool
	OrderBy     []*OrderItem // inside the parentheses, or WITHIN GROUP
	WithinGroup bool
	Filter      Expr
	NullsIgnore Tristate // Yes: IGNORE NULLS, No: RESPECT NULLS
	Over        *WindowDef
}

// Arg is one argument. Name is set by name := value. name => value is a *Lambda of one parameter, since ksqlDB's lambdas
// and PostgreSQL's named notation look alike: the planner reads it as a named argument where the function has no lambda
// parameter there.
type Arg struct {
	Pos
	Name     string
	Variadic bool
	Value    Expr
}

// Lambda is x => e or (x, y) => e.
type Lambda struct {
	Pos
	Params []string
	Body   Expr
}

// SubqueryKind says what a subquery yields.
type SubqueryKind int8

// The kinds of subquery; IN and ANY are In and Quantified.
const (
	ScalarSubquery SubqueryKind = iota
	ExistsSubquery
	ArraySubquery // ARRAY(SELECT ..)
)

// Subquery is a query used as a value.
type Subquery struct {
	Pos
	Kind  SubqueryKind
	Query *Query
}

// Row is ROW(..) or (a, b).
type Row struct {
	Pos
	Items []Expr
}

// ArrayExpr is ARRAY[..]; the inner lists of ARRAY[[1,2],[3,4]] are ArrayExprs too.
type ArrayExpr struct {
	Pos
	Items []Expr
}

// MapExpr is MAP(k := v, ..).
type MapExpr struct {
	Pos
	Entries []*MapEntry
}

// MapEntry is one entry of a MapExpr.
type MapEntry struct {
	Pos
	Key, Value Expr
}

// StructExpr is STRUCT(a := v, ..).
type StructExpr struct {
	Pos
	Fields []*StructField
}

// StructField is one member of a StructExpr.
type StructField struct {
	Pos
	Name  string
	Value Expr
}

// Subscript is x[index], of an array or a map.
type Subscript struct {
	Pos
	X, Index Expr
}

// Slice is x[lo:hi]; either bound may be nil.
type Slice struct {
	Pos
	X, Lo, Hi Expr
}

// FieldSelect is (x).f or x->f.
type FieldSelect struct {
	Pos
	X     Expr
	Field string
}

// AtTimeZone is x AT TIME ZONE zone.
type AtTimeZone struct {
	Pos
	X, Zone Expr
}

// Collate is x COLLATE c.
type Collate struct {
	Pos
	X         Expr
	Collation *Name
}

// SpecialValue is one of the words that are values without parentheses: current_date, current_time, current_timestamp,
// localtime, localtimestamp, current_user, session_user, user, current_role, current_catalog, current_schema.
type SpecialValue struct {
	Pos
	Name      string
	Precision int // current_timestamp(p), -1 when absent
}

// Default is DEFAULT where a value is expected: VALUES rows of INSERT, and SET of UPDATE.
type Default struct{ Pos }

// WindowDef is OVER name, OVER (..), or an entry of the WINDOW clause.
type WindowDef struct {
	Pos
	Name        string // the name it defines (WINDOW clause) or refers to (OVER name, when Ref is set)
	Ref         bool   // OVER name, nothing else is set
	Base        string // (base ..): the window it extends
	PartitionBy []Expr
	OrderBy     []*OrderItem
	Frame       *Frame
}

// FrameMode is the unit of a window frame.
type FrameMode int8

// The frame modes.
const (
	FrameRange FrameMode = iota
	FrameRows
	FrameGroups
)

// BoundKind is the kind of one end of a window frame.
type BoundKind int8

// The bounds, in the order in which they may follow each other.
const (
	UnboundedPreceding BoundKind = iota
	Preceding
	CurrentRow
	Following
	UnboundedFollowing
)

// Bound is one end of a window frame. Value is the distance of Preceding and Following.
type Bound struct {
	Pos
	Kind  BoundKind
	Value Expr
}

// Frame is ROWS|RANGE|GROUPS [BETWEEN] .. [EXCLUDE ..]. End is CURRENT ROW when not written.
type Frame struct {
	Pos
	Mode       FrameMode
	Start, End *Bound
	Exclude    string // "", "CURRENT ROW", "GROUP", "TIES", "NO OTHERS"
}

func (*Literal) expr()      {}
func (*Param) expr()        {}
func (*ColumnRef) expr()    {}
func (*Star) expr()         {}
func (*BinaryOp) expr()     {}
func (*UnaryOp) expr()      {}
func (*And) expr()          {}
func (*Or) expr()           {}
func (*Not) expr()          {}
func (*IsTest) expr()       {}
func (*IsDistinct) expr()   {}
func (*Between) expr()      {}
func (*In) expr()           {}
func (*Like) expr()         {}
func (*Quantified) expr()   {}
func (*Case) expr()         {}
func (*Cast) expr()         {}
func (*TypedLiteral) expr() {}
func (*FuncCall) expr()     {}
func (*Lambda) expr()       {}
func (*Subquery) expr()     {}
func (*Row) expr()          {}
func (*ArrayExpr) expr()    {}
func (*MapExpr) expr()      {}
func (*StructExpr) expr()   {}
func (*Subscript) expr()    {}
func (*Slice) expr()        {}
func (*FieldSelect) expr()  {}
func (*AtTimeZone) expr()   {}
func (*Collate) expr()      {}
func (*SpecialValue) expr() {}
func (*Default) expr()      {}
