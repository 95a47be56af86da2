package pgcatalog_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/engine/pgcatalog"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// zeroOf returns a value that every function must at least survive.
func zeroOf(t types.Type) types.Datum {
	switch {
	case t.Kind == types.Array:
		return types.ArrayDatum(*t.Elem, nil)
	case t.Kind == types.Numeric:
		return types.BytesDatum("0")
	default:
		return types.Datum{}
	}
}

// TestEveryFunctionOfTheSessionIsAnswered pairs the planner's signatures with the functions here, and calls each with zeros and with NULLs.
func TestEveryFunctionOfTheSessionIsAnswered(t *testing.T) {
	w := newWorld(t, bothTables...)
	called := 0
	for _, f := range planner.Functions() {
		if !f.Session {
			continue
		}
		for _, null := range []bool{false, true} {
			if null && !f.NotStrict {
				continue
			}
			args := make([]types.Datum, len(f.Args))
			for i, a := range f.Args {
				if args[i] = zeroOf(a); null {
					args[i] = types.NullDatum
				}
			}
			var err error
			if f.Kind == planner.SetFunc {
				for row, rowErr := range pgcatalog.CallSet(context.Background(), w, w, f.ID(), args) {
					require.Len(t, row, max(1, len(f.Columns)), f.ID())
					err = rowErr
				}
			} else {
				_, err = pgcatalog.Call(context.Background(), w, w, f.ID(), args)
			}
			require.NotEqual(t, sqlerr.FeatureNotSupported, sqlerr.CodeOf(err), "%s: %v", f.ID(), err)
			called++
		}
	}
	require.Greater(t, called, 100)
}

// TestEveryVirtualTableCanBeRead computes all of them: a column name that a table has not would panic.
func TestEveryVirtualTableCanBeRead(t *testing.T) {
	w := newWorld(t, append(append([]string{}, bothTables...), millraceOnly...)...)
	filled := 0
	for _, r := range pgcatalog.Relations() {
		require.Same(t, r, pgcatalog.Lookup(r.Schema, r.Name))
		rows, err := pgcatalog.Rows(context.Background(), w, w, r)
		require.NoError(t, err, r.Name)
		for _, row := range rows {
			require.Len(t, row, len(r.Columns), r.Name)
			for i, d := range row {
				require.False(t, d.Null && r.Columns[i].NotNull, "%s.%s is NULL", r.Name, r.Columns[i].Name)
			}
		}
		if len(rows) > 0 {
			filled++
		}
	}
	require.GreaterOrEqual(t, filled, 50)
	require.Nil(t, pgcatalog.Lookup("public", "pg_class"))
	require.Nil(t, pgcatalog.Lookup("millrace", "errors"), "a stream, not a virtual table")
	_, err := pgcatalog.Rows(context.Background(), w, w, w.relations[0])
	require.Equal(t, sqlerr.UndefinedTable, sqlerr.CodeOf(err))
}

// TestRegNamesRoundTrip: what a reg type prints is found again, whatever the search path is.
func TestRegNamesRoundTrip(t *testing.T) {
	w := newWorld(t, append(append([]string{}, bothTables...), millraceOnly...)...)
	long := *w.relations[0]
	long.OID, long.Name = 17000, strings.Repeat("äöü", 10)+"x"
	w.relations = append(w.relations, &long)
	for _, path := range [][]string{{"public"}, {"millrace", "information_schema", "pg_catalog", "public"}, {}} {
		w.path = path
		for _, c := range []struct {
			kind  types.Kind
			query string
		}{
			{types.Regclass, "SELECT oid FROM pg_class"},
			{types.Regtype, "SELECT oid FROM pg_type"},
			{types.Regnamespace, "SELECT oid FROM pg_namespace"},
			{types.Regrole, "SELECT oid FROM pg_roles"},
		} {
			_, rows, err := w.query(c.query)
			require.NoError(t, err)
			require.NotEmpty(t, rows)
			for _, r := range rows {
				oid, err := types.ParseText(types.Of(types.OID), r[0], nil)
				require.NoError(t, err)
				name, ok := pgcatalog.RegName(w, w, c.kind, uint32(oid.I))
				require.True(t, ok, r[0])
				found, err := pgcatalog.RegOID(w, w, c.kind, name)
				require.NoError(t, err, name)
				require.Equal(t, uint32(oid.I), found, "%s under %v", name, path)
			}
		}
	}
}

// TestOnlySuperusersEndOthersSessions: session 77 is millrace's, a superuser's; session 76 is Ann's.
func TestOnlySuperusersEndOthersSessions(t *testing.T) {
	w := newWorld(t)
	for _, f := range []string{"pg_cancel_backend(int4)", "pg_terminate_backend(int4)"} {
		for _, c := range []struct {
			user string
			pid  int64
			want types.Datum
			code sqlerr.Code
		}{
			{"millrace", 77, types.BoolDatum(true), sqlerr.SuccessfulCompletion},
			{"millrace", 76, types.BoolDatum(true), sqlerr.SuccessfulCompletion},
			{"millrace", 75, types.BoolDatum(false), sqlerr.SuccessfulCompletion},
			{"Ann", 76, types.BoolDatum(true), sqlerr.SuccessfulCompletion},
			{"Ann", 77, types.NullDatum, sqlerr.InsufficientPrivilege},
		} {
			w.user = c.user
			d, err := pgcatalog.Call(context.Background(), w, w, f, []types.Datum{types.IntDatum(c.pid)})
			require.Equal(t, c.code, sqlerr.CodeOf(err), "%s by %s of %d", f, c.user, c.pid)
			require.Equal(t, c.want, d, "%s by %s of %d", f, c.user, c.pid)
		}
	}
}

func FuzzRegOID(f *testing.F) {
	for _, s := range []string{"users", `"Mixed Case"`, "a.b.c", `"a""b".c`, "int4[]", "numeric(1,2)[]", "", ".", `"`, "x ("} {
		f.Add(s)
	}
	w := newWorld(f, bothTables...)
	f.Fuzz(func(t *testing.T, s string) {
		for _, k := range []types.Kind{types.Regclass, types.Regtype, types.Regproc, types.Regnamespace, types.Regrole} {
			oid, err := pgcatalog.RegOID(w, w, k, s)
			if err != nil {
				require.NotEqual(t, sqlerr.InternalError, sqlerr.CodeOf(err))
				continue
			}
			require.NotZero(t, oid)
		}
	})
}

func BenchmarkAttributesOfThousandTables(b *testing.B) {
	w := newWorld(b)
	proto := newWorld(b, bothTables[1]).relations[0]
	for i := range 1000 {
		r := *proto
		r.OID = uint32(20000 + i)
		w.relations = append(w.relations, &r)
	}
	rel := pgcatalog.Lookup("pg_catalog", "pg_attribute")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pgcatalog.Rows(context.Background(), w, w, rel); err != nil {
			b.Fatal(err)
		}
	}
}
