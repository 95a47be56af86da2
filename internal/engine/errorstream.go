package engine

import (
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// errorsOID is the OID of millrace.errors, below those of users' objects.
const errorsOID = 13100

// errorsRelation is millrace.errors, the dead-letter stream: a stream like any other over a topic that tasks write. Its columns are
// the members of exec.ErrorRow.
func (e *Engine) errorsRelation() *planner.Relation {
	col := func(name string, k types.Kind) planner.Column { return planner.Column{Name: name, Type: types.Of(k)} }
	return &planner.Relation{
		OID: errorsOID, Schema: "millrace", Name: "errors", Kind: planner.Stream, Topic: e.opts.ErrorTopic, Partitions: 1,
		KeyFormat: "none", ValueFormat: "json", WrapSingleValue: true, TimestampColumn: -1, Owner: superuser,
		Comment: "rows that took no part in a query: late, not decodable, or failing in an expression",
		Columns: []planner.Column{
			col("at", types.TimestampTZ), col("query_id", types.Int8), col("query", types.Text), col("kind", types.Text), col("topic", types.Text),
			col("partition", types.Int4), col("offset", types.Int8), col("sqlstate", types.Text), col("reason", types.Text),
			col("payload", types.Text), col("payload_base64", types.Text),
		},
	}
}
