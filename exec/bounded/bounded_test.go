package bounded_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/exec/bounded"
	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// catalog has one relation, rows (k int8, v int8, f float8, s text).
type catalog struct{}

var rowsRelation = &planner.Relation{
	OID: 20000, Schema: "public", Name: "rows", Kind: planner.Virtual, TimestampColumn: -1,
	Columns: []planner.Column{
		{Name: "k", Type: types.Of(types.Int8)},
		{Name: "v", Type: types.Of(types.Int8)},
		{Name: "f", Type: types.Of(types.Float8)},
		{Name: "s", Type: types.Of(types.Text)},
	},
}

func (catalog) Relation(_ context.Context, _, name string) (*planner.Relation, error) {
	if name == "rows" {
		return rowsRelation, nil
	}
	return nil, sqlerr.New(sqlerr.UndefinedTable, "relation %q does not exist", name)
}

func (catalog) Type(context.Context, string, string) (types.Type, bool) { return types.Type{}, false }

func (c catalog) Inside(*planner.Relation) planner.Catalog { return c }

// source makes n rows with keys from 0 to keys-1, the same batch over and over.
type source struct{ n, keys int }

const sourceBatch = 1024

type sourceIter struct {
	left  int
	batch *vec.Batch
}

func (s source) Scan(_ context.Context, scan *planner.Scan, _ [][]types.Datum) (bounded.Iter, error) {
	schema := make([]types.Type, len(scan.Cols))
	for i, c := range scan.Cols {
		schema[i] = rowsRelation.Columns[c].Type
	}
	b := vec.NewBatch(schema, sourceBatch)
	for i := range sourceBatch {
		for c, ord := range scan.Cols {
			b.Cols[c].AppendDatum([]types.Datum{
				types.IntDatum(int64(i * 7919 % s.keys)), types.IntDatum(int64(i)), types.FloatDatum(float64(i) / 2),
				types.BytesDatum(fmt.Sprintf("text %d", i%10)),
			}[ord])
		}
	}
	b.SetLen(sourceBatch)
	return &sourceIter{left: s.n / sourceBatch, batch: b}, nil
}

func (it *sourceIter) Next() (*vec.Batch, error) {
	if it.left == 0 {
		return nil, nil
	}
	it.left--
	return it.batch, nil
}

func (it *sourceIter) Close() {}

func plan(t testing.TB, text string) *planner.Query {
	stmts, err := sql.Parse(text, sql.Options{})
	require.NoError(t, err)
	p := planner.Planner{Catalog: catalog{}}
	q, err := p.PlanQuery(context.Background(), stmts[0].Statement.(*sql.Query), nil)
	require.NoError(t, err)
	return q
}

// endingSource ends the query's context with the last batch of what it scans.
type endingSource struct {
	source
	end context.CancelFunc
}

type endingIter struct {
	bounded.Iter
	end context.CancelFunc
}

func (s endingSource) Scan(ctx context.Context, scan *planner.Scan, keys [][]types.Datum) (bounded.Iter, error) {
	it, err := s.source.Scan(ctx, scan, keys)
	return &endingIter{it, s.end}, err
}

func (it *endingIter) Next() (*vec.Batch, error) {
	b, err := it.Iter.Next()
	it.end()
	return b, err
}

// TestAJoinEndsBetweenTheRowsOfItsInputs: a billion pairs come of one batch of left rows, and nothing is asked of the inputs meanwhile.
func TestAJoinEndsBetweenTheRowsOfItsInputs(t *testing.T) {
	for _, text := range []string{
		"select count(*) from rows cross join generate_series(1, 1000000) s (x)",
		"select count(*) from rows join generate_series(1, 1000000) s (x) on rows.k > s.x",
		"select count(*) from rows where exists (select from generate_series(1, 1000000) s (x) where rows.k > s.x)",
	} {
		ctx, cancel := context.WithCancel(t.Context())
		q := plan(t, text)
		env := &expr.Env{Ctx: ctx, Text: &types.Settings{Zone: time.UTC}}
		it, err := bounded.Open(&bounded.Query{Env: env, Source: endingSource{source{n: sourceBatch, keys: 1}, cancel}, Memory: &bounded.Memory{Limit: 1 << 30}}, q.Root)
		if err == nil {
			_, err = it.Next()
			it.Close()
		}
		require.ErrorIs(t, err, context.Canceled)
		cancel()
	}
}

// run counts the rows of a query.
func run(ctx context.Context, q *planner.Query, src source, m *bounded.Memory) (int, error) {
	env := &expr.Env{Ctx: ctx, Text: &types.Settings{Zone: time.UTC}}
	it, err := bounded.Open(&bounded.Query{Env: env, Source: src, Memory: m}, q.Root)
	if err != nil {
		return 0, err
	}
	defer it.Close()
	n := 0
	for {
		b, err := it.Next()
		if err != nil || b == nil {
			return n, err
		}
		n += b.Len()
	}
}

func TestOperatorsThatHoldRowsFailBeyondTheirMemory(t *testing.T) {
	src := source{n: 1 << 17, keys: 1000}
	for _, text := range []string{
		"select * from rows order by s",
		"select distinct k, v, f from rows",
		"select k, v, count(*) from rows group by k, v",
		"select array_agg(s) from rows",
		"select a.k from rows a join rows b on a.k = b.k and a.v = b.v",
		"select row_number() over (order by v) from rows",
		"select v from rows intersect all select v from rows",
	} {
		_, err := run(context.Background(), plan(t, text), src, &bounded.Memory{Limit: 20 << 10})
		require.Equal(t, sqlerr.OutOfMemory, sqlerr.CodeOf(err), "%s: %v", text, err)
	}
}

func TestTheFirstRowsOfASortNeedMemoryForThemselvesAlone(t *testing.T) {
	n, err := run(context.Background(), plan(t, "select v, s from rows order by v desc, s limit 10"), source{n: 1 << 18, keys: 10}, &bounded.Memory{Limit: 4 << 20})
	require.NoError(t, err)
	require.Equal(t, 10, n)
}

func TestACancelledQueryEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, text := range []string{"select k, count(*) from rows group by k", "select * from generate_series(1, 1000000000)"} {
		_, err := run(ctx, plan(t, text), source{n: 1 << 30, keys: 10}, nil)
		require.ErrorIs(t, err, context.Canceled)
	}
}

func benchmark(b *testing.B, text string, src source) {
	q := plan(b, text)
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		_, err := run(context.Background(), q, src, nil)
		require.NoError(b, err)
		rows += src.n
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

func BenchmarkAggregateByInteger(b *testing.B) {
	benchmark(b, "select k, count(*), sum(v) from rows group by k", source{n: 1 << 20, keys: 1000})
}

func BenchmarkAggregateByText(b *testing.B) {
	benchmark(b, "select s, count(*), avg(f) from rows group by s", source{n: 1 << 20, keys: 1000})
}

func BenchmarkFilterAndArithmetic(b *testing.B) {
	benchmark(b, "select v * 2 + 1, f / 3 from rows where v % 2 = 0 and s like 'text%'", source{n: 1 << 20, keys: 1000})
}

func BenchmarkHashJoin(b *testing.B) {
	benchmark(b, "select count(*) from rows a join generate_series(1::bigint, 500) g(x) on a.k = g.x", source{n: 1 << 20, keys: 1000})
}

func BenchmarkTopN(b *testing.B) {
	benchmark(b, "select v, f from rows order by f desc limit 10", source{n: 1 << 20, keys: 1000})
}

func BenchmarkNumericSum(b *testing.B) {
	benchmark(b, "select sum(f::numeric), sum(v) from rows", source{n: 1 << 18, keys: 1000})
}

// TestJoinedRowsOfAStreamFallIntoWindowsByItsTime: a windowed aggregate over a join has the stream's times, not the table's.
func TestJoinedRowsOfAStreamFallIntoWindowsByItsTime(t *testing.T) {
	events := &planner.Relation{Name: "events", Kind: planner.Stream, Columns: rowsRelation.Columns[:1]}
	things := &planner.Relation{Name: "things", Kind: planner.Table, Columns: rowsRelation.Columns[:1]}
	col := planner.Col{Name: "k", Type: types.Of(types.Int8)}
	scan := func(r *planner.Relation) *planner.Scan {
		return &planner.Scan{P: planner.Props{Cols: []planner.Col{col}}, Rel: r, Cols: []int{0}}
	}
	key := []planner.Expr{&planner.ColumnRef{Ord: 0, Typ: col.Type}}
	join := &planner.Join{P: planner.Props{Cols: []planner.Col{col, col}}, L: scan(events), R: scan(things), LKeys: key, RKeys: key}
	ts := types.Of(types.TimestampTZ)
	node := &planner.Aggregate{
		P:  planner.Props{Cols: []planner.Col{col, {Name: "windowstart", Type: ts}, {Name: "windowend", Type: ts}}},
		In: join, Keys: key, Window: &planner.WindowSpec{Kind: planner.Tumbling, SizeMs: 10},
	}
	env := &expr.Env{Ctx: context.Background()}
	it, err := bounded.Open(&bounded.Query{Env: env, Source: timedSource{}}, node)
	require.NoError(t, err)
	defer it.Close()
	b, err := it.Next()
	require.NoError(t, err)
	require.Equal(t, "+I 7 20000 30000\n", b.String())
}

// timedSource has one row, with the event time 25 in a stream and 95 in a table.
type timedSource struct{}

func (timedSource) Scan(_ context.Context, s *planner.Scan, _ [][]types.Datum) (bounded.Iter, error) {
	b := vec.NewBatch([]types.Type{types.Of(types.Int8)}, 1)
	at := int64(25)
	if s.Rel.Kind == planner.Table {
		at = 95
	}
	b.AppendDatums([]types.Datum{types.IntDatum(7)}, vec.Insert, at)
	return &sourceIter{left: 1, batch: b}, nil
}

func TestTextsThatGrowWithoutEndAreRefused(t *testing.T) {
	for _, text := range []string{
		"select replace(repeat('a', 1000000), 'a', repeat('b', 1000000))",
		"select regexp_replace(repeat('a', 1000000), 'a', repeat('b', 1000000), 'g')",
		"select repeat('a', 2000000000)",
		"select lpad('', 2000000000, 'x')",
	} {
		_, err := run(context.Background(), plan(t, text), source{}, &bounded.Memory{Limit: 256 << 20})
		code := sqlerr.CodeOf(err)
		require.True(t, code == sqlerr.ProgramLimitExceeded || code == sqlerr.OutOfMemory, "%s: %v", text, err)
	}
	n, err := run(context.Background(), plan(t, "select a.s from (select repeat('x', 1000000) as s) a cross join generate_series(1, 300) g(x)"), source{}, nil)
	require.NoError(t, err)
	require.Equal(t, 300, n)
}
