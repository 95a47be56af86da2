package clients

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/clients/sent"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/internal/pgtest"
)

// TestWhatClientsSendIsAnsweredAsByPostgreSQL sends what clients have been seen to send to PostgreSQL 15 and to a node with the same relations: they
// must agree on the parameters, the names and types of the columns, the rows, and the SQLSTATE of what fails.
func TestWhatClientsSendIsAnsweredAsByPostgreSQL(t *testing.T) {
	schema, err := os.ReadFile("testdata/schema.sql")
	require.NoError(t, err)
	var both [2]*pgx.Conn
	for i, at := range []string{postgres(t), nodetest.ConnString(nodetest.Start(t, node.Config{}))} {
		both[i] = nodetest.Connect(t, at)
		for statement := range strings.SplitSeq(strings.TrimSpace(string(schema)), ";\n") {
			_, err := both[i].Exec(t.Context(), statement)
			require.NoError(t, err, statement)
		}
	}
	all, err := sent.All()
	require.NoError(t, err)
	for _, q := range all {
		theirs, ours := answerTo(t, both[0], q), answerTo(t, both[1], q)
		where := fmt.Sprintf("%s:%d\n%s", q.File, q.Line, q.Text)
		if q.Other {
			assert.NotEqual(t, theirs.shape, ours.shape, "%s\nis answered as by PostgreSQL: %q explains nothing", where, q.Differs)
			continue
		}
		assert.Equal(t, theirs.shape, ours.shape, where)
		if q.Differs == "" {
			assert.Equal(t, theirs.rows, ours.rows, where)
		} else {
			assert.NotEqual(t, theirs.rows, ours.rows, "%s\nhas PostgreSQL's rows: %q explains nothing", where, q.Differs)
		}
	}
}

// postgres starts a PostgreSQL with the user and the database of a fresh node.
func postgres(t *testing.T) string {
	at := pgtest.Start(t)
	admin := nodetest.Connect(t, at)
	for _, statement := range []string{"CREATE ROLE millrace SUPERUSER LOGIN", "CREATE DATABASE millrace OWNER millrace"} {
		_, err := admin.Exec(t.Context(), statement)
		require.NoError(t, err)
	}
	return strings.NewReplacer("/postgres?", "/millrace?", "user=postgres", "user=millrace").Replace(at)
}

type answer struct {
	shape []string // the columns and the SQLSTATE
	rows  []string
}

// reads begins what can be run: it changes nothing, and does not wait.
var reads = regexp.MustCompile(`(?i)^\s*(SELECT|SHOW|WITH|TABLE)\b`)

func answerTo(t *testing.T, conn *pgx.Conn, q sent.Statement) answer {
	text := withOIDs(t, conn, q.Text)
	c := conn.PgConn()
	run := reads.MatchString(text) && !strings.Contains(text, "pg_sleep") && !strings.Contains(text, "pg_notify")
	switch {
	case !q.Extended && run:
		return readAll(c.Exec(t.Context(), text))
	case q.Extended && run && q.Values != nil:
		values := make([][]byte, len(q.Values))
		for i, v := range q.Values {
			values[i] = []byte(withOIDs(t, conn, v))
		}
		r := c.ExecParams(t.Context(), text, values, nil, nil, nil)
		rows := texts(r.Read(), r.FieldDescriptions())
		if _, err := r.Close(); err != nil {
			return answer{shape: []string{state(err)}}
		}
		return answer{columns(r.FieldDescriptions()), rows}
	default:
		d, err := c.Prepare(t.Context(), "", text, nil)
		if err != nil {
			return answer{shape: []string{state(err)}}
		}
		return answer{shape: append(columns(d.Fields), fmt.Sprint(d.ParamOIDs))}
	}
}

// withOIDs puts the OIDs of the database in.
func withOIDs(t *testing.T, conn *pgx.Conn, text string) string {
	return sent.Fill(text, func(name string) string {
		as := "regclass"
		switch name {
		case "mood":
			as = "regtype"
		case "lower":
			as, name = "regprocedure", "lower(text)"
		}
		var oid uint32
		require.NoError(t, conn.QueryRow(t.Context(), fmt.Sprintf("SELECT '%s'::%s::oid", name, as)).Scan(&oid))
		return strconv.Itoa(int(oid))
	})
}

func columns(fields []pgconn.FieldDescription) []string {
	var out []string
	for _, f := range fields {
		oid := f.DataTypeOID
		if shown, ok := shownAs[oid]; ok {
			oid = shown
		}
		oid = min(oid, firstOwn)
		out = append(out, fmt.Sprintf("%s:%d", f.Name, oid))
	}
	return out
}

func state(err error) string {
	if e, ok := err.(*pgconn.PgError); ok { //nolint:errorlint // not wrapped
		return e.Code + " " + e.Message
	}
	return err.Error()
}

// firstOwn is the first OID that is not built in: from there on each database counts by itself.
const firstOwn = 16384

// OIDs of types that pgx does not name.
const (
	oidVectorOID = 30
	nodeTreeOID  = 194
	anyArrayOID  = 2277
	lsnOID       = 3220
)

// shownAs are the types of the catalog's columns that Millrace does not have, and what its columns are.
var shownAs = map[uint32]uint32{
	nodeTreeOID: pgtype.TextOID, anyArrayOID: pgtype.TextOID, pgtype.ACLItemArrayOID: pgtype.TextArrayOID, pgtype.XIDOID: pgtype.Int8OID, pgtype.InetOID: pgtype.TextOID,
	lsnOID: pgtype.TextOID,
}

var number = regexp.MustCompile(`\b[0-9]{5,}\b`)

// readAll reads the results of a Query.
func readAll(results *pgconn.MultiResultReader) answer {
	var a answer
	for results.NextResult() {
		r := results.ResultReader()
		a.rows = append(a.rows, texts(r.Read(), r.FieldDescriptions())...)
		a.shape = append(a.shape, columns(r.FieldDescriptions())...)
	}
	if err := results.Close(); err != nil {
		return answer{shape: []string{state(err)}} // PostgreSQL sees some errors before it tells the columns, and some after
	}
	return a
}

// texts are the rows, sorted, with OIDs made equal.
func texts(r *pgconn.Result, fields []pgconn.FieldDescription) []string {
	var out []string
	for _, row := range r.Rows {
		var line []string
		for i, v := range row {
			text := string(v)
			if v == nil {
				text = "NULL"
			}
			switch fields[i].DataTypeOID {
			case pgtype.OIDOID, pgtype.OIDArrayOID, oidVectorOID:
				text = number.ReplaceAllString(text, "OID")
			}
			line = append(line, text)
		}
		out = append(out, strings.Join(line, "|"))
	}
	slices.Sort(out)
	return out
}
