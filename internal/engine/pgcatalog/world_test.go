package pgcatalog_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec/bounded"
	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/engine/pgcatalog"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// fakeWorld is a catalog with a few relations, and the session that looks at it.
type fakeWorld struct {
	relations []*planner.Relation
	settings  map[string]string
	path      []string
	user      string
}

var (
	_ pgcatalog.World   = (*fakeWorld)(nil)
	_ pgcatalog.Session = (*fakeWorld)(nil)
)

// bothTables can be made in PostgreSQL and in Millrace.
var bothTables = []string{
	`CREATE TABLE users (id integer PRIMARY KEY, name varchar(20) NOT NULL, vip boolean DEFAULT false, created timestamptz)`,
	`CREATE TABLE orders (id bigint PRIMARY KEY, user_id integer, amount numeric(12,2), ratio double precision, ok boolean, at timestamptz,
		ts timestamp, d date, j jsonb, b bytea, u uuid, tags text[], note text, iv interval, f4 real, i2 smallint, t time, t3 timestamp(3))`,
	`CREATE TABLE "Mixed Case" ("The Key" integer, other text, PRIMARY KEY (other, "The Key"))`,
}

// millraceOnly is what PostgreSQL would not take.
var millraceOnly = []string{
	`CREATE STREAM clicks (uid integer, url text, extra map<text, integer>)`,
	`CREATE VIEW big AS SELECT id, amount FROM orders WHERE amount > 100`,
	`CREATE MATERIALIZED VIEW per_user AS SELECT user_id, count(*) AS n FROM orders GROUP BY user_id`,
}

func newWorld(t testing.TB, statements ...string) *fakeWorld {
	w := &fakeWorld{
		user:     "millrace",
		path:     []string{"public"},
		settings: map[string]string{"server_version": "15.8", "search_path": `"$user", public`, "timezone": "UTC", "application_name": "test"},
	}
	for i, s := range statements {
		parsed, err := sql.ParseOne(s, sql.Options{})
		require.NoError(t, err)
		create := parsed.Statement.(*sql.CreateRelation)
		var rel *planner.Relation
		switch {
		case create.Kind == sql.KindView:
			rel, err = w.planner().BindView(context.Background(), create, s)
		case create.Query != nil:
			_, rel, err = w.planner().PlanPersistent(context.Background(), planner.PersistentSpec{Create: create})
			rel.Query = 20000
		default:
			rel, _, err = w.planner().BindDefinition(context.Background(), create)
		}
		require.NoError(t, err, s)
		rel.OID, rel.Schema, rel.Owner, rel.Definition = uint32(16400+i), "public", "millrace", s
		w.relations = append(w.relations, rel)
	}
	return w
}

func (w *fakeWorld) Database() string               { return "millrace" }
func (w *fakeWorld) Relations() []*planner.Relation { return w.relations }
func (w *fakeWorld) StartMicros() int64             { return 1_000_000 }

func (w *fakeWorld) RelationByOID(oid uint32) *planner.Relation {
	for _, r := range w.relations {
		if r.OID == oid {
			return r
		}
	}
	return nil
}

func (w *fakeWorld) RelationByName(schema, name string) *planner.Relation {
	for _, r := range w.relations {
		if r.Schema == schema && r.Name == name {
			return r
		}
	}
	return nil
}

func (w *fakeWorld) Schemas() []pgcatalog.Schema {
	return []pgcatalog.Schema{
		{OID: 11, Name: "pg_catalog", Owner: "millrace", Comment: "system catalog schema"},
		{OID: 2200, Name: "public", Owner: "millrace", Comment: "standard public schema"},
		{OID: 13000, Name: "information_schema", Owner: "millrace"},
		{OID: 13001, Name: "millrace", Owner: "millrace"},
	}
}

func (w *fakeWorld) Roles() []pgcatalog.Role {
	return []pgcatalog.Role{
		{OID: 16384, Name: "millrace", Superuser: true, Login: true, CreateRole: true, CreateDB: true, ConnLimit: -1},
		{OID: 16385, Name: "Ann", Login: true, ConnLimit: -1},
	}
}

func (w *fakeWorld) Settings() []pgcatalog.Setting {
	return []pgcatalog.Setting{
		{Name: "search_path", Value: w.settings["search_path"], Default: `"$user", public`, Description: "Where names are looked up.", Category: "Client"},
		{Name: "server_version", Value: "15.8", Default: "15.8", ReadOnly: true},
	}
}

func (w *fakeWorld) Queries() []pgcatalog.Query {
	return []pgcatalog.Query{{OID: 20000, ID: "ctas_per_user", Sink: "per_user", State: "RUNNING", RowsIn: 7, RowsOut: 3, Lag: 1, Statement: "CREATE MATERIALIZED VIEW per_user"}}
}

func (w *fakeWorld) ErrorRows(r *planner.Relation) (int64, bool) { return 2, r.Name == "users" }

func (w *fakeWorld) TableCopies() []pgcatalog.TableCopy {
	return []pgcatalog.TableCopy{
		{Schema: "public", Name: "users", Node: 1, Serves: true, Position: 10, RowsRead: 5, ErrorRows: 2}, {Schema: "public", Name: "users", Node: 2, Position: -1, Lag: -1},
	}
}

func (w *fakeWorld) Tasks() []pgcatalog.Task {
	return []pgcatalog.Task{{Query: "ctas_per_user", Fragment: 1, Partition: 2, State: "RUNNING", RowsIn: 7, RowsOut: 3, StateBytes: 99, RowsPerSecond: 1.5, LateRows: 4, ErrorRows: 5, Commits: 6, Lag: 8, Micros: 10}}
}

func (w *fakeWorld) Topics() []pgcatalog.Topic {
	return []pgcatalog.Topic{{Name: "clicks", Partitions: 4, Owner: "clicks", CleanupPolicy: "delete"}}
}

func (w *fakeWorld) Partitions() []pgcatalog.Partition {
	return []pgcatalog.Partition{{Topic: "clicks", Partition: 3, Leader: 1, LeaderEpoch: 5, LogStart: 10, HighWatermark: 30, LastStable: 20, State: "online"}}
}

func (w *fakeWorld) Groups() []pgcatalog.Group {
	return []pgcatalog.Group{{ID: "g", Generation: 3, Members: 2}}
}

func (w *fakeWorld) Quotas() []pgcatalog.Quota {
	ann, whoever := "ann", ""
	return []pgcatalog.Quota{{User: &ann, ClientID: &whoever, Name: "producer_byte_rate", Value: 1000}, {ClientID: &whoever, Name: "request_percentage", Value: 12.5}}
}

func (w *fakeWorld) Nodes() []pgcatalog.Node {
	return []pgcatalog.Node{{ID: 1, Epoch: 9, Release: "0.1", State: "online", Votes: true, PG: "10.0.0.1:5432", Rack: "a"}}
}

func (w *fakeWorld) Moves() []pgcatalog.Move {
	return []pgcatalog.Move{
		{Topic: "clicks", Partition: 3, Node: 2, Change: "adding", Asked: true, Records: 20, Left: 5},
		{Topic: "clicks", Partition: 3, Node: 1, Change: "removing", Asked: true, Records: -1, Left: -1},
	}
}

func (w *fakeWorld) Backends() []pgcatalog.Backend {
	return []pgcatalog.Backend{{PID: 76, User: "Ann", Address: "127.0.0.1:40000"}, {PID: 77, User: "millrace", Address: "[::1]:40001"}}
}

func (w *fakeWorld) User() string        { return w.user }
func (w *fakeWorld) SessionUser() string { return w.user }

func (w *fakeWorld) Prepared() []pgcatalog.Prepared { return nil }

func (w *fakeWorld) BackendPID() int32    { return 77 }
func (w *fakeWorld) SearchPath() []string { return w.path }
func (w *fakeWorld) Release() string      { return "0.1" }

func (w *fakeWorld) Setting(name string) (string, bool) {
	v, ok := w.settings[name]
	return v, ok
}

func (w *fakeWorld) SetSetting(name, value string, _ bool) error {
	w.settings[name] = value
	return nil
}

func (w *fakeWorld) Notify(string, string) error { return nil }

func (w *fakeWorld) ListeningChannels() []string { return []string{"news"} }

func (w *fakeWorld) Sleep(seconds float64) error {
	if seconds > 1 {
		return sqlerr.New(sqlerr.QueryCanceled, "canceling statement due to user request")
	}
	return nil
}

func (w *fakeWorld) CancelBackend(pid int32) bool { return pid == 77 || pid == 76 }
func (w *fakeWorld) Needs(uint32) []uint32        { return nil }

func (w *fakeWorld) Grants(uint32) []pgcatalog.Grant { return nil }

func (w *fakeWorld) Allowed(string, uint32, string, bool) bool { return true }

func (w *fakeWorld) Types() []pgcatalog.UserType              { return nil }
func (w *fakeWorld) Sequences() []pgcatalog.Sequence          { return nil }
func (w *fakeWorld) Inside(*planner.Relation) planner.Catalog { return w }
func (w *fakeWorld) NextValue(uint32) (int64, error)          { return 7, nil }
func (w *fakeWorld) CurrentValue(uint32) (int64, error)       { return 7, nil }
func (w *fakeWorld) LastValue() (int64, error) {
	return 0, sqlerr.New(sqlerr.ObjectNotInPrerequisiteState, "lastval is not yet defined in this session")
}
func (w *fakeWorld) SetValue(uint32, int64, bool) error { return nil }
func (w *fakeWorld) TerminateBackend(pid int32) bool    { return pid == 77 || pid == 76 }

// Relation implements planner.Catalog.
func (w *fakeWorld) Relation(_ context.Context, schema, name string) (*planner.Relation, error) {
	schemas := append([]string{"pg_catalog"}, w.path...)
	if schema != "" {
		schemas = []string{schema}
	}
	for _, s := range schemas {
		if r := pgcatalog.Lookup(s, name); r != nil {
			return r, nil
		}
		if r := w.RelationByName(s, name); r != nil {
			return r, nil
		}
	}
	return nil, sqlerr.New(sqlerr.UndefinedTable, "relation %q does not exist", name)
}

// Type implements planner.Catalog.
func (w *fakeWorld) Type(context.Context, string, string) (types.Type, bool) {
	return types.Type{}, false
}

// Call implements expr.Session, CallSet expr.SetSession.
func (w *fakeWorld) Call(id string, args []types.Datum) (types.Datum, error) {
	return pgcatalog.Call(context.Background(), w, w, id, args)
}

func (w *fakeWorld) CallSet(id string, args []types.Datum) expr.Rows {
	return pgcatalog.CallSet(context.Background(), w, w, id, args)
}

func (w *fakeWorld) text() *types.Settings {
	return &types.Settings{
		RegName: func(k types.Kind, oid uint32) (string, bool) { return pgcatalog.RegName(w, w, k, oid) },
		RegOID:  func(k types.Kind, name string) (uint32, error) { return pgcatalog.RegOID(w, w, k, name) },
	}
}

func (w *fakeWorld) env() *expr.Env {
	return &expr.Env{Ctx: context.Background(), Session: w, Text: w.text()}
}

func (w *fakeWorld) planner() *planner.Planner {
	return &planner.Planner{Catalog: w, Evaluator: w, Settings: planner.Settings{Text: w.text(), Partitions: 4, Replicas: 1}}
}

// Eval implements planner.Evaluator.
func (w *fakeWorld) Eval(e planner.Expr) (types.Datum, error) {
	return expr.Eval(e, &expr.Env{Ctx: context.Background(), Text: w.text()})
}

// Scan implements bounded.Source. Only virtual tables have rows.
func (w *fakeWorld) Scan(ctx context.Context, sc *planner.Scan, _ [][]types.Datum) (bounded.Iter, error) {
	rows, err := pgcatalog.Rows(ctx, w, w, sc.Rel)
	if err != nil {
		return nil, err
	}
	ts := make([]types.Type, len(sc.Cols))
	for i, ord := range sc.Cols {
		ts[i] = sc.Rel.Columns[ord].Type
	}
	b := vec.NewBatch(ts, len(rows))
	for _, r := range rows {
		for i, ord := range sc.Cols {
			b.Cols[i].AppendDatum(r[ord])
		}
	}
	b.SetLen(len(rows))
	return &oneBatch{b}, nil
}

type oneBatch struct{ b *vec.Batch }

func (o *oneBatch) Next() (*vec.Batch, error) {
	b := o.b
	o.b = nil
	if b == nil || b.Len() == 0 {
		return nil, nil
	}
	return b, nil
}

func (o *oneBatch) Close() {}

// query runs a SELECT and returns "name oid" per column and the rows as text; NULL is the word.
func (w *fakeWorld) query(text string) (cols []string, rows [][]string, err error) {
	parsed, err := sql.ParseOne(text, sql.Options{})
	if err != nil {
		return nil, nil, err
	}
	plan, err := w.planner().PlanQuery(context.Background(), parsed.Statement.(*sql.Query), nil)
	if err != nil {
		return nil, nil, err
	}
	schema := plan.Root.Props().Cols
	for _, i := range plan.Columns {
		cols = append(cols, fmt.Sprintf("%s:%d", schema[i].Name, schema[i].Type.OID()))
	}
	it, err := bounded.Open(&bounded.Query{Env: w.env(), Source: w}, plan.Root)
	if err != nil {
		return nil, nil, err
	}
	defer it.Close()
	for {
		b, err := it.Next()
		if err != nil || b == nil {
			return cols, rows, err
		}
		for r := range b.Len() {
			var row []string
			for _, i := range plan.Columns {
				d := b.Cols[i].Datum(r)
				if d.Null {
					row = append(row, "NULL")
				} else {
					row = append(row, types.FormatText(schema[i].Type, d, w.text()))
				}
			}
			rows = append(rows, row)
		}
	}
}
