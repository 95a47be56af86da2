package node_test

import (
	"errors"
	"io"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
)

// page gets a page of a node's HTTP port.
func page(t *testing.T, n *node.Node, path string) (status int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.HTTPAddr().String()+path, nil)
	require.NoError(t, err)
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

// TestANodeWithoutAMajorityTellsWhatItKnows: nobody answers SQL, and who asks learns which nodes are missing.
func TestANodeWithoutAMajorityTellsWhatItKnows(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3, func(m *nodetest.Member) { m.HTTP = "127.0.0.1:0" })
	conn, err := pgx.Connect(t.Context(), nodetest.ConnString(c[1].Node))
	require.NoError(t, err)
	exec(t, conn, "CREATE TABLE t (id INT PRIMARY KEY)")
	status, text := page(t, c[1].Node, "/ready")
	require.Equal(t, http.StatusOK, status, text)
	c[0].Kill()
	c[2].Kill()

	known := regexp.MustCompile(`^On node 2: the controller has not answered this node for .*s, or has fenced it\. 2 of the 3 nodes that vote must reach each other\. What it knew last: ` +
		`node 1 .* votes, nothing answers; node 2 .* votes, this node; node 3 .* votes, nothing answers\.$`)
	var told *pgconn.PgError
	require.Eventually(t, func() bool { // before that the session waits for another node that runs the queries, and it may be lost on the way
		_, err = conn.Exec(t.Context(), "SHOW NODES")
		return errors.As(err, &told) && told.Code == "57P03" && known.MatchString(told.Detail)
	}, 2*time.Minute, 100*time.Millisecond)
	require.Equal(t, "no node of the cluster runs the queries now, as far as node 2 knows", told.Message)
	require.Contains(t, told.Hint, "/cluster")

	status, text = page(t, c[1].Node, "/cluster")
	require.Equal(t, http.StatusOK, status)
	require.Contains(t, text, "contact: the controller has not answered this node for ")
	require.Contains(t, text, "votes: 3, of which 2 must reach each other")
	require.Regexp(t, `(?m)^1 +(online|fenced) +nothing answers +yes`, text)
	status, text = page(t, c[1].Node, "/ready")
	require.Equal(t, http.StatusServiceUnavailable, status, text)
	require.Contains(t, text, "has not answered")

	c[0].Start()
	require.Eventually(t, func() bool { _, err = conn.Exec(t.Context(), "INSERT INTO t VALUES (1)"); return err == nil }, 2*time.Minute, 100*time.Millisecond, "the session goes on")
	require.Eventually(t, func() bool { status, text = page(t, c[1].Node, "/ready"); return status == http.StatusOK }, 2*time.Minute, 100*time.Millisecond)
}
