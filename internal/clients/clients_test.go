//go:build clients

package clients

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// programTimeout bounds one program; the slowest takes a few seconds.
const programTimeout = 2 * time.Minute

// everyStep is what each driver does that can.
const everyStep = "connect create insert read copy cursor errors push cancel listen"

// programs are the clients. command is relative to this folder; where it is nil a test of this package runs instead.
var programs = []struct {
	name    string
	command []string
	run     func(t *testing.T, env environment)
	steps   string
}{
	{name: "psql", run: testPsql},
	{name: "pgx", run: testPgx},
	{name: "libpq-go", run: testLibpq},
	{name: "psycopg3", command: []string{python, "python/with_psycopg3.py"}, steps: "pipeline " + everyStep},
	{name: "psycopg2", command: []string{python, "python/with_psycopg2.py"}, steps: everyStep},
	{name: "asyncpg", command: []string{python, "python/with_asyncpg.py"}, steps: "pool " + everyStep},
	{name: "sqlalchemy", command: []string{python, "python/with_sqlalchemy.py"}, steps: sqlalchemySteps("psycopg") + " " + sqlalchemySteps("psycopg2")},
	{name: "odbc", command: []string{python, "python/with_odbc.py"}, steps: "connect create insert read catalog cursor errors push cancel"},
	{name: "jdbc", command: []string{"java", "-cp", installed + "/java/postgresql.jar", "java/Client.java"}, steps: "catalog " + everyStep},
	{name: "node-postgres", command: []string{"node", "node/with_pg.js"}, steps: "pool " + everyStep},
	{name: "postgres.js", command: []string{"node", "node/with_postgres.js"}, steps: everyStep},
}

const (
	installed = "../../bin/clients" // by the script install
	python    = installed + "/python/bin/python"
)

// sqlalchemySteps are those of SQLAlchemy over one driver. They have two words.
func sqlalchemySteps(driver string) string {
	var out []string
	for _, s := range []string{"connect", "create", "insert", "cursor", "reflect", "errors", "push", "cancel"} {
		out = append(out, driver+"-"+s)
	}
	return strings.Join(out, " ")
}

// environment is what a client connects by.
type environment map[string]string

// url is the same as a connection string.
func (e environment) url() string {
	u := fmt.Sprintf("postgres://%s@%s:%s/%s?sslmode=%s", url.UserPassword(e["PGUSER"], e["PGPASSWORD"]), e["PGHOST"], e["PGPORT"], e["PGDATABASE"], e["PGSSLMODE"])
	if ca := e["PGSSLROOTCERT"]; ca != "" {
		u += "&sslrootcert=" + ca
	}
	return u
}

// list is the environment of a program.
func (e environment) list(t *testing.T) []string {
	odbc, err := filepath.Glob("/usr/lib/*/odbc/psqlodbcw.so")
	require.NoError(t, err)
	out := []string{"NODE_PATH=" + absolute(t, installed+"/node/node_modules"), "LC_ALL=C.UTF-8", "ODBC_DRIVER=" + strings.Join(odbc, "")}
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PG") && !strings.HasPrefix(v, "NODE_PATH=") && !strings.HasPrefix(v, "LC_ALL=") {
			out = append(out, v)
		}
	}
	for k, v := range e {
		out = append(out, k+"="+v)
	}
	return out
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	p, err := filepath.Abs(path)
	require.NoError(t, err)
	return p
}

func TestEveryClientDoesItsJob(t *testing.T) {
	s := newServer(t)
	s.start(t)
	env := s.environment("millrace", "")
	t.Run("trust", func(t *testing.T) { runAll(t, env) })
	sql(t, env, "CREATE ROLE app LOGIN SUPERUSER PASSWORD 'sésame'")
	s.stop(t)

	s.start(t, "--require-password", "--tls-cert", s.certificate, "--tls-key", s.key, "--tls-client-ca", s.authority)
	env = s.environment("app", "sésame")
	t.Run("scram", func(t *testing.T) { runAll(t, env) })
	env["PGSSLMODE"], env["PGSSLROOTCERT"] = "verify-full", s.authority
	t.Run("scram over TLS", func(t *testing.T) { runAll(t, env) })
	t.Run("channel binding", func(t *testing.T) {
		bound := maps.Clone(env)
		bound["PGCHANNELBINDING"] = "require"
		sql(t, bound, "SELECT 1")
		run(t, bound, "", python, "-c", "import psycopg; assert psycopg.connect().execute('SELECT 1').fetchone() == (1,)")
		conn, err := pgx.Connect(t.Context(), env.url()+"&channel_binding=require")
		require.NoError(t, err)
		require.NoError(t, conn.Close(t.Context()))
	})
	t.Run("certificate", func(t *testing.T) {
		certified := maps.Clone(env)
		certified["PGPASSWORD"], certified["PGSSLCERT"], certified["PGSSLKEY"] = "", s.clientCertificate, s.clientKey
		sql(t, certified, "SELECT 1")
		certified["PGUSER"] = "millrace" // is not who the certificate names
		cmd := exec.CommandContext(t.Context(), "psql", "-X", "-w", "-c", "SELECT 1")
		cmd.Env = certified.list(t)
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), "no password supplied")
	})
	s.stop(t)
}

func runAll(t *testing.T, env environment) {
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			if p.run != nil {
				p.run(t, env)
				return
			}
			out := run(t, env, "", p.command...)
			for _, step := range strings.Fields(p.steps) {
				require.Contains(t, out, "ok "+strings.ReplaceAll(step, "-", " ")+"\n")
			}
		})
	}
}

// run runs a program to its good end and returns what it has written.
func run(t *testing.T, env environment, stdin string, command ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), programTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = env.list(t)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}

// sql runs statements through psql.
func sql(t *testing.T, env environment, statements ...string) {
	t.Helper()
	run(t, env, "", psqlCommand(statements...)...)
}
