//go:build clients

package clients

import (
	"context"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/pgtest"
)

// lookAround are psql's commands that read the catalog. Missing: \sf and \sv, which print the text of
// a definition; \conninfo, which asks nothing of the server.
const lookAround = `\d \d+ \dt \dt+ \d_items \d+_items \d_cheap \d+_cheap \d_items_pkey \dv \dv+ \dm \di \di+ \dn \dn+ \du \du+ \dg \l \l+ \df \df+ \df_lower
\dT \dT+ \da \do \dC \dD \dE \dF \dFd \dFp \dFt \dL \dP \dRp \dRs \dS \dS+ \dX \db \dc \dconfig \dconfig_* \dd \ddp \des \det \deu \dew \dl \dO \dp \drds \ds
\dx \dy \z \dA \dAc \dAc+ \dAf \dAf+ \dAo \dAo+ \dAp \dAp+ \dt_public.* \d_nothing \dt_nothing \dti \dtvm \dtS`

// wholly are those whose whole answer is PostgreSQL's. Others list what only one of the two has.
const wholly = `\d_items \d+_items \d_cheap \d_items_pkey \dt_items \di_items* \dv_cheap`

const catalogTables = `DROP VIEW IF EXISTS cheap; DROP TABLE IF EXISTS items;
CREATE TABLE items (id INT PRIMARY KEY, name VARCHAR(20) NOT NULL, price NUMERIC(10,2) DEFAULT 0, at TIMESTAMPTZ, tags TEXT[]);
CREATE VIEW cheap AS SELECT id FROM items WHERE price < 10;`

func TestPsqlLooksAroundAsOnPostgreSQL(t *testing.T) {
	s := newServer(t)
	s.start(t)
	ours := s.environment("millrace", "")
	postgres, err := url.Parse(pgtest.Start(t))
	require.NoError(t, err)
	host := postgres.Query().Get("host")
	theirs := environment{"PGHOST": host, "PGUSER": "millrace", "PGDATABASE": "millrace"}
	admin := environment{"PGHOST": host, "PGUSER": "postgres", "PGDATABASE": "postgres"}
	sql(t, admin, "CREATE ROLE millrace SUPERUSER LOGIN", "CREATE DATABASE millrace OWNER millrace")
	for _, env := range []environment{ours, theirs} {
		run(t, env, catalogTables, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1")
	}
	for _, c := range commands(lookAround) {
		require.Equal(t, head(ask(t, theirs, c)), head(ask(t, ours, c)), c)
	}
	for _, c := range commands(wholly) {
		require.Equal(t, ask(t, theirs, c), ask(t, ours, c), c)
	}
	t.Run("completion", func(t *testing.T) { completes(t, ours) })
	s.stop(t)
}

// commands splits a list in which _ stands for the blank within a command.
func commands(list string) []string {
	out := strings.Fields(list)
	for i := range out {
		out[i] = strings.Replace(out[i], "_", " ", 1)
	}
	return out
}

// ask runs a command of psql and returns what it prints, errors too.
func ask(t *testing.T, env environment, command string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), programTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "psql", "-X", "-A", "-c", command)
	cmd.Env = env.list(t)
	out, _ := cmd.CombinedOutput() // a command that finds nothing may end with 1
	return string(out)
}

// head is the title and the names of the columns; of an error, all.
func head(answer string) string {
	lines := strings.SplitN(answer, "\n", 3)
	return strings.Join(lines[:min(2, len(lines))], "\n")
}

// completes types the beginning of names and a tab.
func completes(t *testing.T, env environment) {
	x := newTerminal(t, env, "psql", "-X", "-q")
	for keys, want := range map[string]string{
		"SELECT * FROM it": "ems", `\d it`: "ems", "INSERT INTO it": "ems", "DROP VIEW che": "ap", `\l mil`: "lrace", "SET auto_off": "set_reset",
		"UPDATE items SET na": "me", "SELECT * FROM items WHERE pri": "ce", "SET search_path TO pub": "lic", `\du mil`: "lrace", "COPY it": "ems",
	} {
		x.expect("millrace=# ")
		x.enter(keys + "\t")
		x.expect(keys[strings.LastIndexByte(keys, ' ')+1:])
		x.expect(want)
		x.enter("\x03")
	}
	x.expect("millrace=# ")
	x.enter("\\q\n")
	x.end()
}
