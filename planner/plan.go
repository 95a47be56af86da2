package planner

import "github.com/millracedb/millrace/sql/types"

// Node is an operator of a plan. One plan language serves pull, push and persistent queries: the rules insert the streaming
// operators (Normalize, Materialize, Exchange) where change modes and keys ask for them.
type Node interface {
	// Props describes the rows that leave the node. The pointer is the node's own.
	Props() *Props
	// Inputs returns the inputs, left to right.
	Inputs() []Node
}

// ChangeMode says what kind of changes flow on an edge.
type ChangeMode uint8

// The change modes.
const (
	ModeAppend  ChangeMode = iota // inserts only
	ModeUpsert                    // new rows and deletes by change key, no old rows
	ModeRetract                   // each change brings its old row
)

// Props are the properties of a plan edge.
type Props struct {
	Cols []Col
	Mode ChangeMode
	// ChangeKey are the ordinals of the columns that identify a row on this edge. Nil in append mode, where a row is identified
	// by its provenance; empty but not nil: at most one row.
	ChangeKey []int
	// PartitionKey are the ordinals of the columns whose values decide a row's partition by murmur2 over their key encoding, nil when unknown.
	PartitionKey []int
	// OpID is the id of a stateful operator, given once and kept in the stored plan; 0 for stateless ones.
	OpID uint32
}

// Col is one output column.
type Col struct {
	Name   string
	Type   types.Type
	Hidden bool // not part of *, not sent to clients
	// TableOID and AttNum name the base column for RowDescription, 0 when it is computed.
	TableOID uint32
	AttNum   int16
}

// Scan reads a relation. In a bounded plan: a snapshot. In an unbounded one: its topic as it grows.
type Scan struct {
	P   Props
	Rel *Relation
	// Cols are ordinals in Rel.Columns, or Pseudo constants; output column i is Cols[i].
	Cols []int
	// Filter is a pushed-down condition over the output columns, nil for none.
	Filter Expr
	// Keys, if not nil, restricts a bounded scan of a table to these key tuples (expressions without columns, in key order). No two are equal,
	// but for tuples with NULL, which Filter does not let pass.
	Keys [][]Expr
	// Index, if not nil, says that Keys are values of its columns, or of the first of them.
	Index *Index
	// Latest: a push query's stream scan starts at the end instead of the beginning.
	Latest bool
	// PassHeaders: the headers of the records go on into what a continuous query writes of their rows.
	PassHeaders bool
}

// Values are constant rows.
type Values struct {
	P    Props
	Rows [][]Expr
}

// FuncScan is a set-returning function in FROM.
type FuncScan struct {
	P          Props
	Func       *Func
	Args       []Expr
	Ordinality bool
	Lateral    bool // Args have OuterRefs to the left side of the enclosing Join (Level 1)
}

// Filter keeps rows where Cond is true.
type Filter struct {
	P    Props
	In   Node
	Cond Expr
}

// Project computes columns. Set-returning calls at the top of Exprs multiply rows (bounded plans and append mode).
type Project struct {
	P     Props
	In    Node
	Exprs []Expr
}

// Aggregate groups by Keys and computes Aggs; with Window the window bounds follow the keys. Output: keys, [windowstart, windowend,] aggregates.
type Aggregate struct {
	P    Props
	In   Node
	Keys []Expr
	Aggs []Agg
	// Sets are GROUPING SETS as lists of ordinals in Keys, nil for the plain one.
	Sets   [][]int
	Window *WindowSpec
	// Final: emit a window's row once, when it has closed.
	Final bool
	// Partial: a pre-aggregation before an exchange; Merge: its counterpart after it.
	Partial, Merge bool
}

// Agg is one aggregate call.
type Agg struct {
	Func     *Func
	Args     []Expr
	Distinct bool
	Filter   Expr
	// OrderBy is the order in which rows are taken; for an ordered-set aggregate it is that of WITHIN GROUP, and Args are the direct arguments, which
	// have no columns.
	OrderBy []SortKey
	// Arrival: rows of input that only grows are taken in the order in which they come, not by rowtime and place.
	Arrival bool
	Typ     types.Type
	Name    string
}

// SortKey is one ORDER BY item.
type SortKey struct {
	Expr       Expr
	Desc       bool
	NullsFirst bool
}

// JoinKind is the kind of a join.
type JoinKind uint8

// The kinds of join.
const (
	InnerJoin JoinKind = iota
	LeftJoin
	RightJoin
	FullJoin
	SemiJoin // left rows that have a match
	AntiJoin // left rows that have none
	CrossJoin
)

// JoinStrategy says how a join works.
type JoinStrategy uint8

// The strategies.
const (
	BoundedJoin  JoinStrategy = iota // bounded plan: hash join, or nested loop without keys; right side may be lateral
	StreamTable                      // the left stream drives, the right table is looked up as of now
	StreamStream                     // both sides are kept as long as they can match
	TableTable                       // both sides retractable
)

// Join joins L and R where all LKeys = RKeys and Cond holds. Output: L's columns, then R's (only L's for semi and anti joins).
type Join struct {
	P            Props
	L, R         Node
	Kind         JoinKind
	Strategy     JoinStrategy
	LKeys, RKeys []Expr // over L's and over R's columns; NULL keys match nothing
	Cond         Expr   // over both sides' columns, nil for none
	Lateral      bool   // R has OuterRefs (Level 1) to L's row
	// Within is set for StreamStream; before strategies are chosen, where WITHIN was written in a continuous query.
	Within *Within
	// Broadcast: R has at most one row, which every row of L is joined with. Only LEFT, without keys and condition.
	Broadcast bool
	// Mark: of a LEFT join, a row of L leaves once, with TRUE in one more column if it has a match and NULL if not, instead of beside its matches.
	Mark bool
	// HistoryMs is set for StreamTable where the table is looked up as of the stream's row's time: how far back, in ms, its versions are kept.
	HistoryMs int64
}

// SetOpKind is UNION, INTERSECT or EXCEPT.
type SetOpKind uint8

// The set operations.
const (
	Union SetOpKind = iota
	Intersect
	Except
)

// SetOp combines two inputs of the same column types.
type SetOp struct {
	P    Props
	Kind SetOpKind
	All  bool
	L, R Node
}

// Distinct keeps one row per value of all columns, or with On the first row per value of On (in the order of its sorted input).
type Distinct struct {
	P  Props
	In Node
	On []Expr
}

// Sort orders bounded rows.
type Sort struct {
	P  Props
	In Node
	By []SortKey
}

// Limit cuts rows; Limit nil is no limit. It also ends push queries with EMIT CHANGES LIMIT n.
type Limit struct {
	P             Props
	In            Node
	Limit, Offset Expr
	WithTies      bool
}

// RecursiveUnion is WITH RECURSIVE (bounded plans): Work scans of the recursive term read the last round's rows.
type RecursiveUnion struct {
	P         Props
	ID        int
	All       bool
	Base, Rec Node
}

// WorkScan reads rows that the executor keeps while it runs the statement: those of the last round of RecursiveUnion ID, or what Change ID returned.
type WorkScan struct {
	P    Props
	ID   int
	Name string // of the change
}

// WindowFunc is OVER (bounded plans): output is the input's columns, then one per call.
type WindowFunc struct {
	P           Props
	In          Node
	Calls       []Agg
	PartitionBy []Expr
	OrderBy     []SortKey
	Frame       *Frame
}

// Frame is a window frame. Bounds are constant offsets; Unbounded and CurrentRow as flags.
type Frame struct {
	Mode       string // rows, range, groups
	Start, End FrameBound
	Exclude    string
}

// FrameBound is one end of a frame.
type FrameBound struct {
	Unbounded, Current, Preceding bool
	Offset                        Expr
}

// Normalize turns upserts into retractions: it keeps the rows by change key as task state and adds the old row to each change.
type Normalize struct {
	P  Props
	In Node
}

// Materialize goes before a sink whose key does not contain the change key: it keeps all live rows per sink key, so that a delete removes its own row
// and a tombstone leaves only when none is left.
type Materialize struct {
	P       Props
	In      Node
	SinkKey []int
}

// Expire goes before the sink of a table with ttl: it deletes a row when stream time has got to its rowtime plus ttl. Key are the columns of the sink's key,
// Time is that which gives the table's rowtime, -1 for the rows' own.
type Expire struct {
	P    Props
	In   Node
	Rel  *Relation
	Key  []int
	Time int
}

// Exchange re-keys: rows are dealt by murmur2 over the encoding of By (and, for updating input, the change key outside By only orders them). The
// fragmenter cuts here: a repartition topic lies between.
type Exchange struct {
	P  Props
	In Node
	By []Expr
	// Broadcast: every row goes to every partition.
	Broadcast bool
	// Topic is given by the fragmenter.
	Topic string
	// Closing: some operator below, or who reads the stream that it ends in, needs stream time, so writers without rows send their time alone.
	Closing bool
}

// Sink writes rows to a relation's topic.
type Sink struct {
	P   Props
	In  Node
	Rel *Relation
	// Map gives for each column of Rel the ordinal of the input column, -1 for NULL.
	Map []int
	// Rowtime is the ordinal of a column that overrides the rows' rowtime, -1 for none.
	Rowtime int
}

// Props implementations.
func (n *Scan) Props() *Props           { return &n.P }
func (n *Values) Props() *Props         { return &n.P }
func (n *FuncScan) Props() *Props       { return &n.P }
func (n *Filter) Props() *Props         { return &n.P }
func (n *Project) Props() *Props        { return &n.P }
func (n *Aggregate) Props() *Props      { return &n.P }
func (n *Join) Props() *Props           { return &n.P }
func (n *SetOp) Props() *Props          { return &n.P }
func (n *Distinct) Props() *Props       { return &n.P }
func (n *Sort) Props() *Props           { return &n.P }
func (n *Limit) Props() *Props          { return &n.P }
func (n *RecursiveUnion) Props() *Props { return &n.P }
func (n *WorkScan) Props() *Props       { return &n.P }
func (n *WindowFunc) Props() *Props     { return &n.P }
func (n *Normalize) Props() *Props      { return &n.P }
func (n *Materialize) Props() *Props    { return &n.P }
func (n *Expire) Props() *Props         { return &n.P }
func (n *Exchange) Props() *Props       { return &n.P }
func (n *Sink) Props() *Props           { return &n.P }

// Inputs implementations.
func (n *Scan) Inputs() []Node           { return nil }
func (n *Values) Inputs() []Node         { return nil }
func (n *FuncScan) Inputs() []Node       { return nil }
func (n *Filter) Inputs() []Node         { return []Node{n.In} }
func (n *Project) Inputs() []Node        { return []Node{n.In} }
func (n *Aggregate) Inputs() []Node      { return []Node{n.In} }
func (n *Join) Inputs() []Node           { return []Node{n.L, n.R} }
func (n *SetOp) Inputs() []Node          { return []Node{n.L, n.R} }
func (n *Distinct) Inputs() []Node       { return []Node{n.In} }
func (n *Sort) Inputs() []Node           { return []Node{n.In} }
func (n *Limit) Inputs() []Node          { return []Node{n.In} }
func (n *RecursiveUnion) Inputs() []Node { return []Node{n.Base, n.Rec} }
func (n *WorkScan) Inputs() []Node       { return nil }
func (n *WindowFunc) Inputs() []Node     { return []Node{n.In} }
func (n *Normalize) Inputs() []Node      { return []Node{n.In} }
func (n *Materialize) Inputs() []Node    { return []Node{n.In} }
func (n *Expire) Inputs() []Node         { return []Node{n.In} }
func (n *Exchange) Inputs() []Node {
	if n.In == nil { // the leaf that reads the repartition topic
		return nil
	}
	return []Node{n.In}
}
func (n *Sink) Inputs() []Node { return []Node{n.In} }

// Query is a planned query, ready for exec.
type Query struct {
	Root Node
	// Params are the types of $1..$n.
	Params []types.Type
	// Columns are the visible output columns in order, as ordinals of Root.
	Columns []int
	// Unbounded: a push query (EMIT CHANGES or FINAL).
	Unbounded bool
	// ShowOp: the query selects the pseudo column op, or the session shows changes.
	ShowOp bool
	// Each: a push query gives one change per input row.
	Each bool
	// LimitRows and ForInterval end a push query; -1 and 0 for none.
	LimitRows   int64
	ForInterval int64 // milliseconds
	// Reads are the relations the query reads, views expanded.
	Reads []*Relation
	// Changes are the INSERTs, UPDATEs and DELETEs of the statement's WITH clause, in order; those that come later may read what earlier ones
	// return.
	Changes []*Change
}

// Fragment is a piece of a persistent or push plan between two exchanges; a task runs it on one partition number.
type Fragment struct {
	ID uint32
	// Root is a Sink, an Exchange (which writes its topic), or for push queries the query's root.
	Root Node
	// Partitions is the number of tasks.
	Partitions int32
	// Sources are the leaves: *Scan reads partition p of its relation's topic, *Exchange (as a leaf, In nil) partition p of its repartition topic.
	Sources []Node
	// Stateful: the fragment has a changelog topic, named Changelog.
	Stateful  bool
	Changelog string
}

// Persistent is a planned persistent query.
type Persistent struct {
	Fragments []*Fragment
	Sink      *Sink
	// Topics are the internal topics (repartition and changelog) to be made with the query.
	Topics []TopicSpec
	// SinkTopic is the topic of the relation that CREATE ... AS makes; nil for INSERT into an existing relation.
	SinkTopic *TopicSpec
	Reads     []*Relation
	// Each: the result has one change per input row, in their order; else one per key and commit.
	Each bool
}

// LatestStreams are the streams that the query reads from their end as of its making.
func (p *Persistent) LatestStreams() []*Relation {
	var out []*Relation
	for _, f := range p.Fragments {
		for _, s := range f.Sources {
			if scan, ok := s.(*Scan); ok && scan.Latest {
				out = append(out, scan.Rel)
			}
		}
	}
	return out
}

// TopicSpec describes a topic that a statement makes.
type TopicSpec struct {
	Name       string
	Partitions int32
	Replicas   int16
	Configs    map[string]string
}
