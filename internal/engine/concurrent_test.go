package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
)

// raced are what sessions that change one catalog at the same time may be told.
var raced = []string{"42P01", "42P07", "40001", "2BP01", "42704", "55000"}

// TestSessionsThatMakeAndDropTheSameRelations has sessions make, fill, read and drop relations of the same names. Each statement works or is
// told what the others did; in the end the names are free and a relation made anew is empty.
func TestSessionsThatMakeAndDropTheSameRelations(t *testing.T) {
	owner := nodetest.Connect(t, nodetest.ConnString(shared))
	exec(t, owner, "CREATE SCHEMA races")
	var wg sync.WaitGroup
	for worker := range 4 {
		conn, err := pgx.Connect(t.Context(), nodetest.ConnString(shared)+"&search_path=races")
		require.NoError(t, err)
		wg.Go(func() {
			defer conn.Close(context.WithoutCancel(t.Context()))
			for round := range 10 {
				for _, q := range []string{
					"CREATE TABLE t (id INT PRIMARY KEY)",
					fmt.Sprintf("INSERT INTO t VALUES (%d) ON CONFLICT DO NOTHING", worker),
					"CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n FROM t",
					"BEGIN; CREATE TABLE b (a INT); INSERT INTO b VALUES (1); COMMIT",
					"SELECT * FROM v",
					"DROP TABLE IF EXISTS b",
					"DROP TABLE t CASCADE",
				} {
					_, err := conn.PgConn().Exec(t.Context(), q).ReadAll()
					var e *pgconn.PgError
					if err != nil && (!errors.As(err, &e) || !slices.Contains(raced, e.Code)) {
						t.Errorf("round %d: %s: %v %+v", round, q, err, e)
					}
					if conn.PgConn().TxStatus() != 'I' {
						_, _ = conn.PgConn().Exec(t.Context(), "ROLLBACK").ReadAll()
					}
				}
			}
		})
	}
	wg.Wait()
	exec(t, owner, "DROP SCHEMA races CASCADE")
	exec(t, owner, "CREATE SCHEMA races")
	exec(t, owner, "CREATE TABLE races.t (id INT PRIMARY KEY); CREATE MATERIALIZED VIEW races.v AS SELECT count(*) AS n FROM races.t")
	rows, err := nodetest.Texts(t.Context(), owner, "SELECT n FROM races.v")
	require.NoError(t, err)
	require.Equal(t, [][]string{{"0"}}, rows)
	exec(t, owner, "DROP SCHEMA races CASCADE")
}

// TestTransfersBetweenRowsKeepTheirSum moves amounts between rows from many sessions; deadlocks and lost owners are tried again.
func TestTransfersBetweenRowsKeepTheirSum(t *testing.T) {
	owner := nodetest.Connect(t, nodetest.ConnString(shared))
	exec(t, owner, "CREATE SCHEMA bank; CREATE TABLE bank.accounts (id INT PRIMARY KEY, amount INT)")
	exec(t, owner, "INSERT INTO bank.accounts SELECT n, 100 FROM generate_series(0, 7) n")
	exec(t, owner, "CREATE MATERIALIZED VIEW bank.total AS SELECT sum(amount) AS amount FROM bank.accounts")
	var wg sync.WaitGroup
	for worker := range 4 {
		conn, err := pgx.Connect(t.Context(), nodetest.ConnString(shared))
		require.NoError(t, err)
		wg.Go(func() {
			defer conn.Close(context.WithoutCancel(t.Context()))
			for round := range 25 {
				from, to := (worker+round)%8, (worker*3+round*5+1)%8
				_, err := conn.PgConn().Exec(t.Context(), fmt.Sprintf(
					"BEGIN; UPDATE bank.accounts SET amount = amount - 1 WHERE id = %d; UPDATE bank.accounts SET amount = amount + 1 WHERE id = %d; COMMIT", from, to)).ReadAll()
				var e *pgconn.PgError
				if err != nil && (!errors.As(err, &e) || e.Code != "40P01" && e.Code != "40001") {
					t.Errorf("round %d: %v", round, err)
				}
				if conn.PgConn().TxStatus() != 'I' {
					_, _ = conn.PgConn().Exec(t.Context(), "ROLLBACK").ReadAll()
				}
			}
		})
	}
	wg.Wait()
	rows, err := nodetest.Texts(t.Context(), owner, "SELECT sum(amount), (SELECT amount FROM bank.total) FROM bank.accounts")
	require.NoError(t, err)
	require.Equal(t, [][]string{{"800", "800"}}, rows)
	exec(t, owner, "DROP SCHEMA bank CASCADE")
}

func TestAQueryThatNeedsTooMuchMemoryIsRefused(t *testing.T) {
	n := nodetest.Start(t, node.Config{MemoryBytes: node.MinMemory})
	conn := nodetest.Connect(t, nodetest.ConnString(n))
	for _, q := range []string{
		"SELECT repeat('x', 100) || n FROM generate_series(1, 1000000) n ORDER BY 1",
		"SELECT n, count(*) FROM generate_series(1, 2000000) n GROUP BY n",
		"SELECT count(*) FROM generate_series(1, 2000000) a JOIN generate_series(1, 2000000) b ON a = b",
	} {
		_, err := conn.PgConn().Exec(t.Context(), q).ReadAll()
		var e *pgconn.PgError
		require.ErrorAs(t, err, &e, q)
		require.Equal(t, "53200", e.Code, q)
	}
	exec(t, conn, "SELECT 1")
}

// TestOneOfManyGetsAUniqueValue has sessions write the same values of a unique column under keys of their own, free them and take them back: at every
// end each value is in one row.
func TestOneOfManyGetsAUniqueValue(t *testing.T) {
	owner := nodetest.Connect(t, nodetest.ConnString(shared))
	exec(t, owner, "CREATE SCHEMA unique_race; CREATE TABLE unique_race.t (id INT PRIMARY KEY, v INT UNIQUE)")
	const values, rounds = 5, 15
	var wg sync.WaitGroup
	for worker := range 4 {
		conn, err := pgx.Connect(t.Context(), nodetest.ConnString(shared)+"&search_path=unique_race")
		require.NoError(t, err)
		wg.Go(func() {
			defer conn.Close(context.WithoutCancel(t.Context()))
			for n := range values * rounds {
				id, v := worker*1000+n, n%values
				for _, q := range []string{
					fmt.Sprintf("INSERT INTO t VALUES (%d, %d)", id, v),
					fmt.Sprintf("BEGIN; UPDATE t SET v = NULL WHERE v = %d; INSERT INTO t VALUES (%d, %d); COMMIT", v, id+100000, v),
					fmt.Sprintf("INSERT INTO t VALUES (%d, %d) ON CONFLICT (v) DO UPDATE SET id = excluded.id", id+200000, v),
					fmt.Sprintf("DELETE FROM t WHERE v = %d", (v+1)%values),
				} {
					_, err := conn.PgConn().Exec(t.Context(), q).ReadAll()
					var e *pgconn.PgError
					if err != nil && (!errors.As(err, &e) || !slices.Contains([]string{"23505", "40001", "40P01"}, e.Code)) {
						t.Errorf("%s: %v %+v", q, err, e)
					}
					if conn.PgConn().TxStatus() != 'I' {
						_, _ = conn.PgConn().Exec(t.Context(), "ROLLBACK").ReadAll()
					}
				}
			}
		})
	}
	wg.Wait()
	rows, err := nodetest.Texts(t.Context(), owner, "SELECT v, count(*) FROM unique_race.t WHERE v IS NOT NULL GROUP BY v HAVING count(*) > 1")
	require.NoError(t, err)
	require.Empty(t, rows)
	// What the index finds is what a scan finds.
	rows, err = nodetest.Texts(t.Context(), owner, "SELECT s.v FROM unique_race.t s WHERE s.v IS NOT NULL AND s.v + 0 NOT IN (SELECT v FROM unique_race.t WHERE v IN (0, 1, 2, 3, 4))")
	require.NoError(t, err)
	require.Empty(t, rows)
	exec(t, owner, "DROP SCHEMA unique_race CASCADE")
}

func TestReadersOfAResultThatIsReplacedSeeOneQueryOrTheOther(t *testing.T) {
	conn := nodetest.Connect(t, nodetest.ConnString(shared))
	exec(t, conn, "CREATE SCHEMA replaced")
	defer exec(t, conn, "DROP SCHEMA replaced CASCADE")
	exec(t, conn, "CREATE STREAM replaced.s (k INT, v INT)")
	exec(t, conn, "INSERT INTO replaced.s SELECT g % 50, g FROM generate_series(1, 1000) AS g")
	define := func(times int) string {
		return fmt.Sprintf("CREATE OR REPLACE TABLE replaced.t AS SELECT k, sum(v * %d)::bigint AS v FROM replaced.s GROUP BY k", times)
	}
	exec(t, conn, define(1))
	ctx, stop := context.WithCancel(t.Context())
	errs := make(chan error, 3)
	for range cap(errs) {
		reader := nodetest.Connect(t, nodetest.ConnString(shared))
		go func() {
			errs <- func() error {
				for ctx.Err() == nil {
					var rows, sum int64
					if err := reader.QueryRow(t.Context(), "SELECT count(*), sum(v)::bigint FROM replaced.t").Scan(&rows, &sum); err != nil {
						return err
					}
					if rows != 50 || sum%500500 != 0 || sum > 5*500500 {
						return fmt.Errorf("%d rows with the sum %d", rows, sum)
					}
				}
				return nil
			}()
		}()
	}
	for times := 2; times <= 5; times++ {
		exec(t, conn, define(times))
	}
	stop()
	for range cap(errs) {
		require.NoError(t, <-errs)
	}
}
