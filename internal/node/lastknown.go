package node

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/millracedb/millrace/internal/engine"
	"github.com/millracedb/millrace/internal/engine/pgcatalog"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/replication/lifeline"
)

// What this node knows of the cluster without asking another: SHOW NODES is answered where the queries run, and without a majority of the voters they run nowhere.

// toldNodes bounds the nodes that an error names.
const toldNodes = 16

// knownNode is a node as this one last knew it.
type knownNode struct {
	pgcatalog.Node
	here string // what this node sees of it; empty: nothing that speaks against it
}

// known are the nodes by the newest metadata that has come here, and how many of them vote.
func (n *Node) known() (nodes []knownNode, voters int) {
	for _, k := range engine.Nodes(n.meta, n.meta.Image()) {
		x := knownNode{Node: k}
		if k.Votes {
			voters++
		}
		switch {
		case k.ID == n.identity.NodeID:
			x.here = "this node"
		case n.unanswered(k.ID):
			x.here = "nothing answers"
		}
		nodes = append(nodes, x)
	}
	return nodes, voters
}

// touch says whether the controller answers this node, and since when it does not.
func (n *Node) touch() string {
	at := n.answered.Load()
	switch {
	case n.heart == nil:
		return "there is no other node"
	case at == 0:
		return "the controller has not answered this node yet"
	}
	ago := n.cfg.Clock.Since(time.Unix(0, at)).Round(100 * time.Millisecond)
	if !n.repl.IsCutOff() {
		return fmt.Sprintf("the controller has answered this node %s ago", ago)
	}
	return fmt.Sprintf("the controller has not answered this node for %s, or has fenced it", ago)
}

// errCutOff is for a client of a node that has lost the cluster.
func (n *Node) errCutOff() *sqlerr.Error {
	nodes, voters := n.known()
	var told []string
	for i, k := range nodes {
		if i == toldNodes {
			told = append(told, fmt.Sprintf("%d more", len(nodes)-i))
			break
		}
		text := fmt.Sprintf("node %d %s at %s", k.ID, k.State, k.Peer)
		if k.Votes {
			text += ", votes"
		}
		if k.here != "" {
			text += ", " + k.here
		}
		told = append(told, text)
	}
	return sqlerr.New(sqlerr.CannotConnectNow, "no node of the cluster runs the queries now, as far as node %d knows", n.identity.NodeID).
		WithDetail("On node %d: %s. %d of the %d nodes that vote must reach each other. What it knew last: %s.",
			n.identity.NodeID, n.touch(), lifeline.Majority(voters), voters, strings.Join(told, "; ")).
		WithHint("Start the nodes that are down, or mend the network between them, and try again; or connect to a node that reaches the others. /cluster at a node's HTTP address shows what that node knows.")
}

// writeCluster writes the same as text, for the HTTP port.
func (n *Node) writeCluster(w io.Writer) error {
	nodes, voters := n.known()
	fmt.Fprintf(w, "node %d of cluster %s, by the metadata that it has (index %d); other nodes may know more\n", n.identity.NodeID, n.identity.ClusterID, n.meta.Image().Index())
	fmt.Fprintf(w, "contact: %s\nvotes: %d, of which %d must reach each other\n\n", n.touch(), voters, lifeline.Majority(voters))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "id\tstate\tseen from here\tvotes\tcontroller\tqueries\track\tpg\tkafka\tpeer\trelease")
	yes := map[bool]string{true: "yes", false: "no"}
	for _, k := range nodes {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.State, k.here, yes[k.Votes], yes[k.Controller], yes[k.Queries], k.Rack, k.PG, k.Kafka, k.Peer, k.Release)
	}
	return t.Flush()
}
