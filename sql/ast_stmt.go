package sql

// Insert is INSERT INTO. Query holds the rows, VALUES included; nil means DEFAULT VALUES. With an Emit in Query it is a
// persistent query.
type Insert struct {
	Pos
	With       *With
	Table      *Name
	Alias      string
	Options    []*Option // INSERT INTO t WITH (query_id = ..)
	Columns    []string
	Overriding string // "", "SYSTEM", "USER"
	Query      *Query
	OnConflict *OnConflict
	Returning  []*Target
}

// OnConflict is ON CONFLICT [target] DO NOTHING|UPDATE SET ...
type OnConflict struct {
	Pos
	Columns     []string // the conflict target, or
	Constraint  string   // ON CONSTRAINT name; neither: any
	TargetWhere Expr
	Set         []*Assignment // empty: DO NOTHING
	Where       Expr
}

// Assignment is col = e, or (a, b) = row or query. Value may be *Default, also inside the *Row of the second form.
type Assignment struct {
	Pos
	Columns []string
	Tuple   bool // (a) = .. was written with parentheses
	Value   Expr
}

// Update is UPDATE.
type Update struct {
	Pos
	With      *With
	Table     *Table
	Set       []*Assignment
	From      []FromItem
	Where     Expr
	CurrentOf string // WHERE CURRENT OF cursor
	Returning []*Target
}

// Delete is DELETE.
type Delete struct {
	Pos
	With      *With
	Table     *Table
	Using     []FromItem
	Where     Expr
	CurrentOf string
	Returning []*Target
}

// CopyTarget is the far end of a COPY.
type CopyTarget int8

// The far ends.
const (
	CopyStdio CopyTarget = iota // STDIN or STDOUT
	CopyFile
	CopyProgram
)

// Copy is COPY. The options are by their new names (format, delimiter, null, header, quote, escape, encoding, freeze,
// force_quote, force_not_null, force_null), also when the old syntax was used.
type Copy struct {
	Pos
	Table     *Name
	Columns   []string
	Statement Statement // COPY (query) TO
	From      bool      // FROM, else TO
	Target    CopyTarget
	Path      string // the file or program
	Options   []*Option
	Where     Expr
}

// Prepare is PREPARE name [(types)] AS statement.
type Prepare struct {
	Pos
	Name      string
	Types     []*TypeName
	Statement Statement
}

// Execute is EXECUTE name [(args)].
type Execute struct {
	Pos
	Name string
	Args []Expr
}

// Deallocate is DEALLOCATE [PREPARE] name|ALL.
type Deallocate struct {
	Pos
	Name string // "" for ALL
}

// DeclareCursor is DECLARE name CURSOR FOR query.
type DeclareCursor struct {
	Pos
	Name                      string
	Binary, Insensitive, Hold bool
	Scroll                    Tristate
	Query                     *Query
}

// FetchDirection is where a FETCH goes.
type FetchDirection int8

// The directions.
const (
	FetchForward FetchDirection = iota
	FetchBackward
	FetchAbsolute
	FetchRelative
	FetchFirst
	FetchLast
)

// Fetch is FETCH or, with Move, MOVE. FETCH NEXT is forward 1, FETCH PRIOR backward 1.
type Fetch struct {
	Pos
	Move      bool
	Direction FetchDirection
	Count     int64
	All       bool // ALL, FORWARD ALL, BACKWARD ALL
	Cursor    string
	Options   []*Option // WITH (timeout = '1s')
}

// CloseCursor is CLOSE name|ALL.
type CloseCursor struct {
	Pos
	Name string // "" for ALL
}

// TransactionKind is the kind of a transaction statement.
type TransactionKind int8

// The transaction statements.
const (
	Begin TransactionKind = iota
	Commit
	Rollback
	Savepoint
	ReleaseSavepoint
	RollbackTo
	PrepareTransaction
	CommitPrepared
	RollbackPrepared
)

// Transaction is BEGIN, COMMIT and their kin. END is COMMIT and ABORT is ROLLBACK.
type Transaction struct {
	Pos
	Kind  TransactionKind
	Modes TransactionModes // Begin
	Chain bool             // AND CHAIN
	Name  string           // savepoint or global transaction id
}

// TransactionModes are the modes of BEGIN and SET TRANSACTION.
type TransactionModes struct {
	Isolation  string // "", "READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"
	ReadOnly   Tristate
	Deferrable Tristate
}

// SetTransaction is SET TRANSACTION or, with Session, SET SESSION CHARACTERISTICS AS TRANSACTION.
type SetTransaction struct {
	Pos
	Session  bool
	Modes    TransactionModes
	Snapshot string
}

// Set is SET [SESSION|LOCAL] name = values. SET TIME ZONE is timezone, SET NAMES client_encoding, SET ROLE role, SET
// SESSION AUTHORIZATION session_authorization, SET SCHEMA search_path.
type Set struct {
	Pos
	Local  bool
	Name   string // lower case, dotted
	Values []*Literal
	// Interval is SET TIME ZONE INTERVAL '..'.
	Interval *TypedLiteral
	Default  bool // TO DEFAULT
}

// SetConstraints is SET CONSTRAINTS ALL|names DEFERRED|IMMEDIATE.
type SetConstraints struct {
	Pos
	Names    []*Name // nil for ALL
	Deferred bool
}

// Reset is RESET name|ALL.
type Reset struct {
	Pos
	Name string // "" for ALL
}

// Show is SHOW name|ALL of settings.
type Show struct {
	Pos
	Name string // "all" for ALL
}

// ShowObjects is SHOW|LIST of objects.
type ShowObjects struct {
	Pos
	What     string // "TABLES", "STREAMS", "QUERIES", "TOPICS", "FUNCTIONS", "TYPES", "NODES", "PARTITIONS", "GROUPS", "SETTINGS", ...
	All      bool   // SHOW ALL TOPICS
	Extended bool
	From     *Name  // SHOW TABLES FROM schema
	Like     string // SHOW TABLES LIKE 'x%'; "" when absent
}

// ShowCreate is SHOW CREATE [kind] name.
type ShowCreate struct {
	Pos
	Kind ObjectKind // "" when not said
	Name *Name
}

// Describe is DESCRIBE [FUNCTION|...] name [EXTENDED].
type Describe struct {
	Pos
	Kind     ObjectKind // "" for a relation
	Name     *Name
	Extended bool
}

// Explain is EXPLAIN of a statement or of a running query. ANALYZE and VERBOSE are options too.
type Explain struct {
	Pos
	Options   []*Option
	Statement Statement
	QueryID   string // EXPLAIN [ANALYZE] [QUERY] id
}

// Print is PRINT topic [FROM BEGINNING] [INTERVAL n] [LIMIT n].
type Print struct {
	Pos
	Topic         string
	FromBeginning bool
	Interval      int64 // every nth record, 0 when absent
	Limit         int64 // -1 when absent
}

// QueryControl is PAUSE|RESUME|TERMINATE [QUERY] id|ALL.
type QueryControl struct {
	Pos
	Action string // "PAUSE", "RESUME", "TERMINATE"
	ID     string // "" for ALL
}

// Discard is DISCARD ALL|PLANS|SEQUENCES|TEMP.
type Discard struct {
	Pos
	What string
}

// Listen is LISTEN channel.
type Listen struct {
	Pos
	Channel string
}

// Unlisten is UNLISTEN channel|*.
type Unlisten struct {
	Pos
	Channel string // "" for *
}

// Notify is NOTIFY channel [, 'payload'].
type Notify struct {
	Pos
	Channel, Payload string
}

// LockTable is LOCK [TABLE] names [IN mode MODE] [NOWAIT].
type LockTable struct {
	Pos
	Names  []*Name
	Mode   string // "ACCESS EXCLUSIVE" when not said
	NoWait bool
}

// Maintenance is VACUUM, ANALYZE or CHECKPOINT: accepted, so that tools which send them work.
type Maintenance struct {
	Pos
	Command string // "VACUUM", "ANALYZE", "CHECKPOINT", "REINDEX" and the kind of object
	Options []*Option
	Tables  []*Name
}

func (*Insert) stmt()         {}
func (*Update) stmt()         {}
func (*Delete) stmt()         {}
func (*Copy) stmt()           {}
func (*Prepare) stmt()        {}
func (*Execute) stmt()        {}
func (*Deallocate) stmt()     {}
func (*DeclareCursor) stmt()  {}
func (*Fetch) stmt()          {}
func (*CloseCursor) stmt()    {}
func (*Transaction) stmt()    {}
func (*SetTransaction) stmt() {}
func (*Set) stmt()            {}
func (*SetConstraints) stmt() {}
func (*Reset) stmt()          {}
func (*Show) stmt()           {}
func (*ShowObjects) stmt()    {}
func (*ShowCreate) stmt()     {}
func (*Describe) stmt()       {}
func (*Explain) stmt()        {}
func (*Print) stmt()          {}
func (*QueryControl) stmt()   {}
func (*Discard) stmt()        {}
func (*Listen) stmt()         {}
func (*Unlisten) stmt()       {}
func (*Notify) stmt()         {}
func (*LockTable) stmt()      {}
func (*Maintenance) stmt()    {}
