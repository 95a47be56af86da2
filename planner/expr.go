package planner

import "github.com/millracedb/millrace/sql/types"

// Expr is a bound scalar expression: names and types are resolved, coercions are explicit. exec compiles it to closures over vectors.
type Expr interface {
	// Type is the static type of the result.
	Type() types.Type
	exprNode()
}

// Const is a literal, or a folded expression.
type Const struct {
	Typ types.Type
	Val types.Datum
}

// ColumnRef is column Ord of the node's input; over a join, the right side's columns follow the left side's.
type ColumnRef struct {
	Ord  int
	Typ  types.Type
	Name string // for EXPLAIN and messages
}

// OuterRef is column Ord of the row of an enclosing query, Level queries out (1 is the nearest).
type OuterRef struct {
	Level int
	Ord   int
	Typ   types.Type
	Name  string
}

// Param is $Index+1.
type Param struct {
	Index int
	Typ   types.Type
}

// Call applies a function or an operator (an operator is a function whose name is its symbol).
type Call struct {
	Func *Func
	Args []Expr
	Typ  types.Type // result; differs from Func.Ret for polymorphic functions
}

// And is true if all Args are; three-valued, left to right, so that an error in a later one counts only where the earlier ones are not false.
type And struct{ Args []Expr }

// Or is true if any of Args is; three-valued, left to right.
type Or struct{ Args []Expr }

// Not negates.
type Not struct{ Arg Expr }

// Case is CASE WHEN; a simple CASE arrives with its comparisons spelled out. Else may be nil (NULL).
type Case struct {
	Whens []When
	Else  Expr
	Typ   types.Type
}

// When is one branch of a Case.
type When struct{ Cond, Then Expr }

// Coalesce is the first argument that is not NULL; later ones are evaluated only where needed.
type Coalesce struct {
	Args []Expr
	Typ  types.Type
}

// Cast converts Arg to To. Explicit casts may truncate varchar(n); assignment casts may not.
type Cast struct {
	Arg      Expr
	To       types.Type
	Explicit bool
}

// IsNull is IS NULL, with Negated IS NOT NULL.
type IsNull struct {
	Arg     Expr
	Negated bool
}

// IsDistinct is IS DISTINCT FROM, with Negated IS NOT DISTINCT FROM. Both sides have the same type.
type IsDistinct struct {
	Left, Right Expr
	Negated     bool
}

// BoolTest is IS TRUE, IS FALSE, IS UNKNOWN and their negations.
type BoolTest struct {
	Arg     Expr
	Want    types.Datum // true, false or NULL
	Negated bool
}

// InList is Arg IN (List): Eq compares Arg with one element.
type InList struct {
	Arg     Expr
	List    []Expr
	Eq      *Func
	Negated bool
}

// ArrayCompare is Left Op ANY (Array), or with All Left Op ALL (Array).
type ArrayCompare struct {
	Left  Expr
	Array Expr
	Op    *Func
	All   bool
}

// ArrayExpr is ARRAY[...].
type ArrayExpr struct {
	Elems []Expr
	Typ   types.Type
}

// RowExpr is ROW(...) or STRUCT(...).
type RowExpr struct {
	Fields []Expr
	Typ    types.Type
}

// MapExpr is MAP(key := value, ...): the keys are texts, the values of the map's value type.
type MapExpr struct {
	Keys, Values []Expr
	Typ          types.Type
}

// Subscript is Array[Index], Map[Key], or with Slice Array[Index:Upper]. Out of range is NULL.
type Subscript struct {
	Arg, Index, Upper Expr
	Slice             bool
	Typ               types.Type
}

// FieldRef is one member of a struct or record.
type FieldRef struct {
	Arg   Expr
	Field int
	Typ   types.Type
}

// SubqueryKind says how a subquery's rows become a value.
type SubqueryKind uint8

// The kinds of subquery.
const (
	SubqueryScalar SubqueryKind = iota // the only row's only column, or NULL; more rows are 21000
	SubqueryExists                     // whether there is a row
	SubqueryAny                        // Left Op ANY (rows)
	SubqueryAll                        // Left Op ALL (rows)
	SubqueryArray                      // ARRAY(rows)
)

// Subquery is a subquery in an expression that the rules did not turn into a join. It runs per row of the outer query, or
// once if it is not Correlated; it appears in bounded plans only.
type Subquery struct {
	Kind       SubqueryKind
	Plan       Node
	Left       []Expr // for Any and All: the tested row
	Op         []*Func
	Negated    bool // NOT EXISTS, NOT IN
	Correlated bool
	Typ        types.Type
}

// Type implementations.
func (e *Const) Type() types.Type        { return e.Typ }
func (e *ColumnRef) Type() types.Type    { return e.Typ }
func (e *OuterRef) Type() types.Type     { return e.Typ }
func (e *Param) Type() types.Type        { return e.Typ }
func (e *Call) Type() types.Type         { return e.Typ }
func (e *And) Type() types.Type          { return types.Of(types.Bool) }
func (e *Or) Type() types.Type           { return types.Of(types.Bool) }
func (e *Not) Type() types.Type          { return types.Of(types.Bool) }
func (e *Case) Type() types.Type         { return e.Typ }
func (e *Coalesce) Type() types.Type     { return e.Typ }
func (e *Cast) Type() types.Type         { return e.To }
func (e *IsNull) Type() types.Type       { return types.Of(types.Bool) }
func (e *IsDistinct) Type() types.Type   { return types.Of(types.Bool) }
func (e *BoolTest) Type() types.Type     { return types.Of(types.Bool) }
func (e *InList) Type() types.Type       { return types.Of(types.Bool) }
func (e *ArrayCompare) Type() types.Type { return types.Of(types.Bool) }
func (e *ArrayExpr) Type() types.Type    { return e.Typ }
func (e *RowExpr) Type() types.Type      { return e.Typ }
func (e *MapExpr) Type() types.Type      { return e.Typ }
func (e *Subscript) Type() types.Type    { return e.Typ }
func (e *FieldRef) Type() types.Type     { return e.Typ }
func (e *Subquery) Type() types.Type     { return e.Typ }

func (*Const) exprNode()        {}
func (*ColumnRef) exprNode()    {}
func (*OuterRef) exprNode()     {}
func (*Param) exprNode()        {}
func (*Call) exprNode()         {}
func (*And) exprNode()          {}
func (*Or) exprNode()           {}
func (*Not) exprNode()          {}
func (*Case) exprNode()         {}
func (*Coalesce) exprNode()     {}
func (*Cast) exprNode()         {}
func (*IsNull) exprNode()       {}
func (*IsDistinct) exprNode()   {}
func (*BoolTest) exprNode()     {}
func (*InList) exprNode()       {}
func (*ArrayCompare) exprNode() {}
func (*ArrayExpr) exprNode()    {}
func (*RowExpr) exprNode()      {}
func (*MapExpr) exprNode()      {}
func (*Subscript) exprNode()    {}
func (*FieldRef) exprNode()     {}
func (*Subquery) exprNode()     {}
