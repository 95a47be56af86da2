package metadata

import "slices"

// OID identifies a catalog object or a user for ever, in the way of PostgreSQL (docs, System Catalogs: object identifiers).
type OID uint32

// FirstOID is the first OID given to what users make; those below are PostgreSQL's own and those of built-in objects.
const FirstOID OID = 16384

// NoLeader is the Leader of a partition that nobody leads.
const NoLeader int32 = -1

// Endpoint is where a broker listens for one kind of client.
type Endpoint struct {
	Name     string // "kafka", "peer", "pg"
	Host     string
	Port     uint16
	Protocol string // "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"
}

// Broker is one registration of a node.
type Broker struct {
	ID          int32
	Epoch       uint64 // the raft index of the registration: a broker that restarts is a different replica
	Incarnation UUID   // made anew by each process
	Directory   UUID   // of the data directory; the raft server id
	Endpoints   []Endpoint
	Rack        string
	Release     string
	FeatureMin  uint32
	FeatureMax  uint32
	Fenced      bool // takes no leadership and is in no ISR
	Draining    bool // on its way out: leads nothing new
}

// RecoveryState says whether a partition's leader was elected cleanly (LeaderRecoveryState of Kafka's PartitionRecord).
type RecoveryState int8

// The recovery states. Recovering follows an unclean election until the leader has seen to its log.
const (
	Recovered  RecoveryState = 0
	Recovering RecoveryState = 1
)

// Partition has every field of Kafka's PartitionRecord. Slices are shared between images: never write to them.
type Partition struct {
	ID             int32
	Replicas       []int32
	ISR            []int32
	ELR            []int32 // eligible leader replicas, KIP-966
	LastKnownELR   []int32
	Adding         []int32
	Removing       []int32
	Directories    []UUID // parallel to Replicas
	Leader         int32  // broker id or NoLeader
	LeaderEpoch    int32  // up by one with every leader change, also to the same id
	PartitionEpoch int32  // up by one with every change of this record
	RecoveryState  RecoveryState

	// Target are the replicas that it is being moved to, the one that is to lead first; nil if it is not being moved. Until then it has those it had and Adding.
	Target []int32
	// Wanted is how many replicas this partition is to have if not as many as its topic wants; 0 if as many.
	Wanted int32
	// AddedAt is the PartitionEpoch of the record that last added a replica, or in which one gave up what it had. Who follows says which record it knows, and one from before that is not believed: a replica may
	// have been taken off and added again, without anything of what it had.
	AddedAt int32
}

// Original are the replicas that it had before any were added that are not in sync yet, or before it began to be moved.
func (p *Partition) Original() []int32 {
	return slices.DeleteFunc(slices.Clone(p.Replicas), func(id int32) bool { return slices.Contains(p.Adding, id) })
}

// Owner says whose a topic is and so who may write to it.
type Owner struct {
	Kind OwnerKind
	OID  OID // of the catalog object, if Kind is OwnerSQL
}

// OwnerKind is the kind of a topic's owner.
type OwnerKind uint8

// The owners. Clients may produce only to topics that nobody owns.
const (
	OwnerNone     OwnerKind = 0
	OwnerSQL      OwnerKind = 1 // the topic of an ordinary table, a view, or a query's state or repartition topic
	OwnerInternal OwnerKind = 2 // what the nodes keep for themselves
	OwnerClients  OwnerKind = 3 // what they keep for Kafka clients: __consumer_offsets, __transaction_state
)

// Topic is a topic with its partitions, by partition number without holes. It is immutable: a change makes a new Topic.
type Topic struct {
	ID              UUID
	Name            string
	Owner           Owner
	WantedReplicas  int32             // what was asked for; the controller places what the nodes allow
	Configs         map[string]string // only those set for this topic
	Partitions      []Partition
	CreatedAt       uint64 // raft index
	PartitionsEpoch uint32 // up by one when partitions are added
}

// Spread reports whether any node may lead the topic's partitions. Those of the node itself and of SQL (the coordinators' of queries, the rows of tables, what queries write) are led by
// the node on which the queries run, whose loss of that role must end its writes to them.
func (t *Topic) Spread() bool { return t.Owner.Kind == OwnerNone || t.Owner.Kind == OwnerClients }

// Internal reports whether the topic is the cluster's own.
func (t *Topic) Internal() bool { return t.Owner.Kind == OwnerInternal || t.Owner.Kind == OwnerClients }

// Wants is how many replicas a partition of the topic is to have, if there are nodes for them.
func (t *Topic) Wants(p *Partition) int {
	if p.Wanted > 0 {
		return int(p.Wanted)
	}
	return int(t.WantedReplicas)
}

// Object is an entry of the SQL catalog. Space, Schema and Name together are unique: Space is the name space in which the kind lives
// ("relation" for streams, tables and views, "type", "schema", ...).
type Object struct {
	OID     OID // zero in a put: the next free one is given when applied
	Kind    string
	Space   string
	Schema  string // empty for what lives in no schema
	Name    string
	Owner   OID // a user
	ACL     []Grant
	Comment string
	// Version is compare-and-swap: a put carries the version it was made from (zero: the object must not exist) and makes it one more.
	Version   uint64
	Payload   []byte // opaque to this package
	DependsOn []OID  // objects that must exist as long as this one does
}

// Grant is one item of an access list: which privileges (PostgreSQL's letters, "rawd") a user has by whose grant. Grantee zero is PUBLIC.
type Grant struct {
	Grantee     OID
	Grantor     OID
	Privileges  string
	GrantOption string
}

// User is a role of the database and a principal of the Kafka side.
type User struct {
	OID        OID // zero in a put: given when applied
	Name       string
	Version    uint64 // compare-and-swap, as for Object
	Login      bool
	Superuser  bool
	CreateRole bool
	CreateDB   bool
	MemberOf   []OID
	Verifiers  []Verifier
	Comment    string
	ConnLimit  int32             // -1: none
	ValidUntil int64             // unix milliseconds; 0: for ever
	Settings   map[string]string // of ALTER ROLE ... SET
}

// Verifier is what a server keeps in place of a password (RFC 5802 section 3).
type Verifier struct {
	Mechanism  string // "SCRAM-SHA-256", "SCRAM-SHA-512"
	Salt       []byte
	Iterations uint32
	StoredKey  []byte
	ServerKey  []byte
}

// ACL is one binding of Kafka's access control; the numbers are those of Kafka's protocol (CreateAcls). It is its own key.
type ACL struct {
	ResourceType int8
	ResourceName string
	PatternType  int8
	Principal    string
	Host         string
	Operation    int8
	Permission   int8
}

// SettingKey names a setting: Scope is "cluster", "broker", "user", ...; Entity the broker, user, ...; empty is the scope's default.
type SettingKey struct {
	Scope  string
	Entity string
	Name   string
}

// ProducerIDBlock is a range of producer ids given to one broker and to nobody else, ever.
type ProducerIDBlock struct {
	First int64
	Len   int64
}

// ProducerIDBlockLen is how many ids a block has.
const ProducerIDBlockLen = 1000
