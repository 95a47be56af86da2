package sql

// ObjectKind names a kind of catalog object in the words of SQL, upper case: "STREAM", "TABLE", "VIEW",
// "MATERIALIZED VIEW", "INDEX", "SCHEMA", "SEQUENCE", "TYPE", "ROLE", "DATABASE", "FUNCTION", "TOPIC", "COLUMN", ...
type ObjectKind string

// The kinds that statements of several forms share.
const (
	KindStream           ObjectKind = "STREAM"
	KindTable            ObjectKind = "TABLE"
	KindView             ObjectKind = "VIEW"
	KindMaterializedView ObjectKind = "MATERIALIZED VIEW"
	KindIndex            ObjectKind = "INDEX"
	KindSchema           ObjectKind = "SCHEMA"
	KindSequence         ObjectKind = "SEQUENCE"
	KindType             ObjectKind = "TYPE"
	KindRole             ObjectKind = "ROLE"
	KindDatabase         ObjectKind = "DATABASE"
	KindColumn           ObjectKind = "COLUMN"
	KindFunction         ObjectKind = "FUNCTION"
	KindTopic            ObjectKind = "TOPIC"
	KindQuery            ObjectKind = "QUERY"
	KindConstraint       ObjectKind = "CONSTRAINT"
)

// Option is one entry of WITH (..), of COPY's and EXPLAIN's lists, or of a role or sequence definition. Names are lower
// case. Value is nil when only the name was written; a bare word is a StringLiteral.
type Option struct {
	Pos
	Name  string
	Value *Literal
	List  []string // COPY's FORCE_QUOTE (a, b); {"*"} for FORCE_QUOTE *
}

// OnCommit is what the end of a transaction does to the rows of a temporary table; the zero value is PRESERVE ROWS.
type OnCommit string

// The clauses of ON COMMIT but the default.
const (
	DeleteRows OnCommit = "DELETE ROWS"
	DropTable  OnCommit = "DROP"
)

// CreateRelation is CREATE STREAM|TABLE|VIEW|MATERIALIZED VIEW, with elements or AS a query.
type CreateRelation struct {
	Pos
	Kind        ObjectKind
	OrReplace   bool
	Source      bool // CREATE SOURCE: read only
	Temporary   bool
	OnCommit    OnCommit
	IfNotExists bool
	Name        *Name
	// Columns are those of a definition with types; Aliases the bare names of CREATE VIEW v (a, b) AS.
	Columns     []*ColumnDef
	Aliases     []string
	Constraints []*TableConstraint
	Watermark   *Watermark
	Options     []*Option
	Query       *Query // AS query
	NoData      bool   // WITH NO DATA
}

// ColumnDef is a column of a definition.
type ColumnDef struct {
	Pos
	Name       string
	Type       *TypeName
	NotNull    bool
	Key        bool // KEY
	PrimaryKey bool // PRIMARY KEY
	Unique     bool
	Deferrable bool
	Default    Expr
	Headers    bool    // HEADERS: all of them
	HeaderKey  *string // HEADER('k')
	Identity   *Identity
	Generated  Expr // GENERATED ALWAYS AS (e) STORED
	Checks     []*ColumnCheck
	UniqueName string // of CONSTRAINT n UNIQUE
	Collation  *Name
	References *Reference
}

// ColumnCheck is [CONSTRAINT n] CHECK (e) at a column.
type ColumnCheck struct {
	Pos
	Name string
	Expr Expr
}

// Identity is GENERATED ALWAYS|BY DEFAULT AS IDENTITY [(sequence options)].
type Identity struct {
	Pos
	Always  bool
	Options []*Option
}

// Reference is REFERENCES table [(columns)].
type Reference struct {
	Pos
	Table   *Name
	Columns []string
}

// ConstraintKind is the kind of a table constraint.
type ConstraintKind int8

// The table constraints.
const (
	PrimaryKeyConstraint ConstraintKind = iota
	UniqueConstraint
	CheckConstraint
	ForeignKeyConstraint
)

// TableConstraint is a constraint beside the columns.
type TableConstraint struct {
	Pos
	Name       string
	Kind       ConstraintKind
	Columns    []string
	Check      Expr
	References *Reference
	Deferrable bool
}

// Watermark is WATERMARK FOR column AS expr: the stream time that a row proves.
type Watermark struct {
	Pos
	Column string
	Expr   Expr
}

// CreateType is CREATE TYPE n AS type, AS (a T, ..), which is a struct, or AS ENUM (..).
type CreateType struct {
	Pos
	IfNotExists bool
	Name        *Name
	Type        *TypeName
	Enum        []string
}

// CreateIndex is CREATE [UNIQUE] INDEX.
type CreateIndex struct {
	Pos
	Unique, Concurrently, IfNotExists bool
	Name                              *Name // nil: to be chosen
	Table                             *Name
	Method                            string
	Keys                              []*OrderItem
	Include                           []string
	Options                           []*Option
	Where                             Expr
}

// CreateSchema is CREATE SCHEMA.
type CreateSchema struct {
	Pos
	IfNotExists bool
	Name        string
	Owner       string // AUTHORIZATION
}

// CreateDatabase is CREATE DATABASE.
type CreateDatabase struct {
	Pos
	Name    string
	Options []*Option
}

// CreateRole is CREATE ROLE|USER|GROUP or, with Alter, ALTER ROLE|USER. User says that LOGIN is the default. The options
// are PostgreSQL's words in lower case: login, nologin, superuser, password (nil Value: PASSWORD NULL), connection limit,
// valid until, in role (List), role (List), admin (List).
type CreateRole struct {
	Pos
	Alter, User bool
	IfNotExists bool
	Name        string
	Options     []*Option
}

// CreateSequence is CREATE SEQUENCE or, with Alter, ALTER SEQUENCE. The options are lower case: increment, minvalue,
// maxvalue, start, restart, cache, cycle, "no cycle", "no minvalue", "no maxvalue", as, "owned by".
type CreateSequence struct {
	Pos
	Alter     bool
	Temporary bool
	IfExists  bool // IF NOT EXISTS, or with Alter IF EXISTS
	Name      *Name
	Options   []*Option
}

// AlterOp is what one action of ALTER does.
type AlterOp int8

// The actions; the comment names the fields of AlterAction that count.
const (
	AddColumn          AlterOp = iota // Column, If
	DropColumn                        // Name, If, Cascade
	RenameColumn                      // Name, NewName
	RenameTo                          // NewName
	SetSchema                         // NewName
	OwnerTo                           // NewName
	SetOptions                        // Options
	ResetOptions                      // Options, names only
	SetDefault                        // Name, Expr
	DropDefault                       // Name
	SetNotNull                        // Name
	DropNotNull                       // Name
	SetType                           // Name, Type, Expr (USING)
	AddConstraint                     // Constraint
	DropConstraint                    // Name, If, Cascade
	AddValue                          // Name, If, Beside, Before
	AddIdentity                       // Name, Column.Identity
	DropIdentity                      // Name, If
	RenameConstraint                  // Name, NewName
	ValidateConstraint                // Name
)

// AlterAction is one action of ALTER.
type AlterAction struct {
	Pos
	Op            AlterOp
	Column        *ColumnDef
	Name, NewName string
	If            bool // IF [NOT] EXISTS
	Cascade       bool
	Options       []*Option
	Expr          Expr
	Type          *TypeName
	Constraint    *TableConstraint
	Beside        *string // the label that a new one stands before or after
	Before        bool
}

// Alter changes a relation, index, type, sequence, schema or database.
type Alter struct {
	Pos
	Kind     ObjectKind
	IfExists bool
	Name     *Name
	Actions  []*AlterAction
}

// AlterNode is ALTER NODE n DRAIN|UNDRAIN|FILL|REMOVE.
type AlterNode struct {
	Pos
	Node   string
	Action string // "DRAIN", "UNDRAIN", "FILL", "REMOVE"
}

// AlterSystem is ALTER SYSTEM SET x = .. | RESET x | RESET ALL: a setting of the cluster. Set or Reset is given.
type AlterSystem struct {
	Pos
	Set   *Set
	Reset *Reset
}

// Drop is DROP kind names.
type Drop struct {
	Pos
	Kind         ObjectKind
	IfExists     bool
	Concurrently bool
	Names        []*Name
	Cascade      bool
	DeleteTopic  bool
}

// Comment is COMMENT ON kind name IS 'text'. For a column the last part of Name is the column.
type Comment struct {
	Pos
	Kind ObjectKind
	Name *Name
	Text *string // nil: IS NULL
}

// Grant is GRANT or, with Revoke, REVOKE, of privileges on objects or of roles.
type Grant struct {
	Pos
	Revoke      bool
	OptionOnly  bool         // REVOKE GRANT|ADMIN OPTION FOR
	Privileges  []*Privilege // upper case; ALL; role names when Kind is ""
	Kind        ObjectKind   // "" for roles
	AllInSchema bool         // ON ALL TABLES IN SCHEMA: Objects are schemas
	Objects     []*Name
	Grantees    []string // "public" is PUBLIC
	WithOption  bool     // WITH GRANT|ADMIN OPTION
	Cascade     bool
}

// Privilege is one privilege, possibly on columns only.
type Privilege struct {
	Pos
	Name    string
	Columns []string
}

// Truncate is TRUNCATE.
type Truncate struct {
	Pos
	Names           []*Name
	RestartIdentity bool
	Cascade         bool
}

// Refresh is REFRESH MATERIALIZED VIEW.
type Refresh struct {
	Pos
	Concurrently bool
	Name         *Name
	NoData       bool
}

func (*CreateRelation) stmt() {}
func (*CreateType) stmt()     {}
func (*CreateIndex) stmt()    {}
func (*CreateSchema) stmt()   {}
func (*CreateDatabase) stmt() {}
func (*CreateRole) stmt()     {}
func (*CreateSequence) stmt() {}
func (*Alter) stmt()          {}
func (*AlterNode) stmt()      {}
func (*AlterSystem) stmt()    {}
func (*Drop) stmt()           {}
func (*Comment) stmt()        {}
func (*Grant) stmt()          {}
func (*Truncate) stmt()       {}
func (*Refresh) stmt()        {}
