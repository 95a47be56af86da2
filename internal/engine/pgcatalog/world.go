package pgcatalog

import (
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// World is what the virtual tables show. The engine implements it over one metadata image; the answers must not be changed.
type World interface {
	Database() string
	Relations() []*planner.Relation // streams, tables and views, all schemas, by OID
	// RelationByOID and RelationByName find one of Relations, nil if there is none. The functions that clients call for each row of pg_class
	// need it.
	RelationByOID(oid uint32) *planner.Relation
	RelationByName(schema, name string) *planner.Relation
	// Needs are the objects that a relation's definition names, by OID.
	Needs(oid uint32) []uint32
	Schemas() []Schema
	Roles() []Role
	Sequences() []Sequence
	Types() []UserType
	// Grants are what was granted on a relation or schema beyond what its owner has; nil if nothing was.
	Grants(oid uint32) []Grant
	// Allowed tells whether a role, "public" for everybody, has any of some privileges, letters as in an access list, on a relation or
	// schema; with option, whether it may grant them. A role that there is not has none.
	Allowed(role string, oid uint32, letters string, option bool) bool
	Settings() []Setting
	Queries() []Query
	Tasks() []Task
	Topics() []Topic
	Partitions() []Partition
	Groups() []Group
	Quotas() []Quota
	Nodes() []Node
	Moves() []Move
	TableCopies() []TableCopy
	// ErrorRows is how many records of a table's topic took no part in the rows that this node keeps of it; ok is false if it keeps none.
	ErrorRows(r *planner.Relation) (n int64, ok bool)
	Backends() []Backend // the sessions on this node, by process id
	// StartMicros is when this node started, in microseconds since 1970-01-01 UTC.
	StartMicros() int64
}

// UserType is a type that a user made: a name for another.
type UserType struct {
	OID                          uint32
	Schema, Name, Owner, Comment string
	Type                         types.Type
}

// Prepared is a prepared statement of a session.
type Prepared struct {
	Name, Statement string
	Micros          int64 // when it was prepared, since 1970-01-01 UTC
	Params          []types.Type
	FromSQL         bool // by PREPARE
}

// Session is the session that asks.
type Session interface {
	User() string        // whose rights count
	SessionUser() string // who logged in
	Prepared() []Prepared
	BackendPID() int32
	SearchPath() []string // without $user
	Setting(name string) (value string, ok bool)
	SetSetting(name, value string, local bool) error
	Release() string
	// Sleep waits for the given seconds, or until the statement is cancelled.
	Sleep(seconds float64) error
	// CancelBackend and TerminateBackend act on the session with the given process id; false if there is none.
	CancelBackend(pid int32) bool
	TerminateBackend(pid int32) bool
	// Notify sends a notification when the transaction commits. ListeningChannels are the channels that the session hears.
	Notify(channel, payload string) error
	ListeningChannels() []string
	// StartMicros is the start of the transaction, in microseconds since 1970-01-01 UTC.
	StartMicros() int64
	// The functions on sequences (PostgreSQL docs, chapter 9.17), which are named by OID.
	NextValue(sequence uint32) (int64, error)
	CurrentValue(sequence uint32) (int64, error)
	LastValue() (int64, error)
	SetValue(sequence uint32, v int64, called bool) error
}

// Schema is a schema that a user made, or one of the built-in ones.
type Schema struct {
	OID     uint32
	Name    string
	Owner   string
	Comment string
}

// Role is a role.
type Role struct {
	OID                                    uint32
	Name                                   string
	Superuser, Login, CreateRole, CreateDB bool
	ConnLimit                              int32
	Comment                                string
	MemberOf                               []uint32 // roles by OID
	ValidUntil                             int64    // ms since 1970; 0: for ever
}

// Quota is a limit of Kafka clients: of a user, a client id, or both. An empty name is whoever has none of its own, nil anybody.
type Quota struct {
	User, ClientID *string
	Name           string
	Value          float64
}

// Grant is an entry of an access list: Grantee "" is PUBLIC. Privileges are PostgreSQL's letters, Options those that the grantee may grant on.
type Grant struct {
	Grantee, Grantor, Privileges, Options string
}

// Sequence is a sequence; its relation, of the same OID, is among the relations.
type Sequence struct {
	OID                               uint32
	Type                              types.Type
	Start, Increment, Min, Max, Cache int64
	Cycle                             bool
	LastValue                         int64 // the last value given, if Called
	Called                            bool
	Table                             uint32 // which owns it, 0 for none
	Column                            int    // the owning column's ordinal
	Identity                          bool
}

// Setting is a run-time parameter of the session.
type Setting struct {
	Name, Value, Default, Description, Category string
	ReadOnly                                    bool
}

// Query is a persistent query. Counters are for ever.
type Query struct {
	OID                                                   uint32
	ID, Sink, State, SQLState, Error, Statement           string
	RowsIn, RowsOut, LateRows, ErrorRows, StateBytes, Lag int64
	Nodes                                                 string // that run its tasks, ids with commas between
}

// TableCopy is what a node keeps of a partition of a table. Position and Lag are -1 where they are not known.
type TableCopy struct {
	Schema, Name  string
	Partition     int32
	Node          int32
	Serves        bool // else it is a standby
	Position, Lag int64
	RowsRead      int64
	ErrorRows     int64 // records that took no part
}

// Task is a task of a persistent query.
type Task struct {
	Query                            string
	Fragment, Partition, Node        int32
	State                            string
	RowsIn, RowsOut, StateBytes, Lag int64
	LateRows, ErrorRows, Commits     int64
	RowsPerSecond                    float64
	Micros                           int64  // that its operators took
	Standbys                         string // nodes that keep its state too, ids with commas between
}

// Topic is a topic of the log.
type Topic struct {
	Name          string
	Partitions    int32
	Owner         string
	CleanupPolicy string
	Configs       string
}

// Partition is a partition on this node.
type Partition struct {
	Topic                               string
	Partition, Leader, LeaderEpoch      int32
	LogStart, HighWatermark, LastStable int64
	Replicas, ISR                       string // node ids with commas between
	State                               string
}

// Group is a consumer group.
type Group struct {
	ID                  string
	Generation, Members int32
}

// Node is a node of the cluster.
type Node struct {
	ID             int32
	Epoch          int64
	Release, State string
	Queries        bool   // the queries run there
	Votes          bool   // it has a vote in the metadata group
	Controller     bool   // it leads that group, and so controls the cluster
	PG, HTTP       string // addresses; empty when not listened on
	Kafka, Peer    string
	Rack           string // empty if it is not known
}

// Move is a replica that a partition gets or loses.
type Move struct {
	Topic     string
	Partition int32
	Node      int32
	Change    string // adding, removing
	Asked     bool   // somebody asked for it; the cluster does the others by itself
	// Records is how many it has to have, Left how many of them it lacks; negative if that is not known, or nothing is copied.
	Records, Left int64
}

// Backend is a session of this node.
type Backend struct {
	PID     int32
	User    string
	Address string // the client's host and port; empty for a client within the process
}
