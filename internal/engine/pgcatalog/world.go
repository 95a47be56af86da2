package pgcatalog

import "github.com/millracedb/millrace/planner"

// World is what the virtual tables show. The engine implements it over one metadata image; the answers must not be changed.
type World interface {
	Database() string
	Relations() []*planner.Relation // streams, tables and views, all schemas, by OID
	// RelationByOID and RelationByName find one of Relations, nil if there is none. The functions that clients call for each row of pg_class
	// need it.
	RelationByOID(oid uint32) *planner.Relation
	RelationByName(schema, name string) *planner.Relation
	Schemas() []Schema
	Roles() []Role
	Settings() []Setting
	Queries() []Query
	Tasks() []Task
	Topics() []Topic
	Partitions() []Partition
	Groups() []Group
	Nodes() []Node
	Backends() []Backend // the sessions on this node, by process id
	// StartMicros is when this node started, in microseconds since 1970-01-01 UTC.
	StartMicros() int64
}

// Session is the session that asks.
type Session interface {
	User() string
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
}

// Setting is a run-time parameter of the session.
type Setting struct {
	Name, Value, Default, Description, Category string
	ReadOnly                                    bool
}

// Query is a persistent query. Counters are of this node since it started.
type Query struct {
	OID                                                   uint32
	ID, Sink, State, SQLState, Error, Statement           string
	RowsIn, RowsOut, LateRows, ErrorRows, StateBytes, Lag int64
}

// Task is a task of a persistent query on this node.
type Task struct {
	Query                       string
	Fragment, Partition         int32
	State                       string
	RowsIn, RowsOut, StateBytes int64
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
	PG, HTTP       string // addresses; empty when not listened on
	Kafka, Peer    string
}

// Backend is a session of this node.
type Backend struct {
	PID     int32
	User    string
	Address string // the client's host and port; empty for a client within the process
}
