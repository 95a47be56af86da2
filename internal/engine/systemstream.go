package engine

import (
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql/types"
)

// OIDs of the system streams, below those of users' objects.
const (
	errorsOID = 13100
	notifyOID = 13101
)

// systemStreams are the streams of the schema millrace: streams like any other over topics that the node makes for itself.
type systemStreams struct{ errors, notify *planner.Relation }

func newSystemStreams(opts *Options) systemStreams {
	col := func(name string, k types.Kind) planner.Column { return planner.Column{Name: name, Type: types.Of(k)} }
	stream := func(oid uint32, name, topic, comment string, columns ...planner.Column) *planner.Relation {
		return &planner.Relation{
			OID: oid, Schema: "millrace", Name: name, Kind: planner.Stream, Topic: topic, Partitions: 1, KeyFormat: "none", ValueFormat: "json",
			WrapSingleValue: true, TimestampColumn: -1, Owner: superuser, Comment: comment, Columns: columns,
		}
	}
	return systemStreams{
		// Its columns are the members of exec.ErrorRow.
		errors: stream(errorsOID, "errors", opts.ErrorTopic, "rows that took no part in a query: late, not decodable, or failing in an expression",
			col("at", types.TimestampTZ), col("query_id", types.Int8), col("query", types.Text), col("kind", types.Text), col("topic", types.Text),
			col("partition", types.Int4), col("offset", types.Int8), col("sqlstate", types.Text), col("reason", types.Text),
			col("payload", types.Text), col("payload_base64", types.Text),
		),
		notify: stream(notifyOID, "notify", opts.NotifyTopic, "notifications to sessions that LISTEN",
			planner.Column{Name: "channel", Type: types.Of(types.Text), NotNull: true}, col("payload", types.Text), col("pid", types.Int4),
		),
	}
}

func (x systemStreams) all() []*planner.Relation { return []*planner.Relation{x.errors, x.notify} }

// byName finds a system stream. The name notify alone is one too, for whom no schema of the search path has a relation of that name.
func (x systemStreams) byName(schema, name string) *planner.Relation {
	for _, r := range x.all() {
		if r.Schema == schema && r.Name == name {
			return r
		}
	}
	return nil
}

func (x systemStreams) byOID(oid metadata.OID) *planner.Relation {
	for _, r := range x.all() {
		if r.OID == uint32(oid) {
			return r
		}
	}
	return nil
}
