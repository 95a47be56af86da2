package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/peer"
	"github.com/millracedb/millrace/replication/metadata"
)

const (
	// lookPause is the time between two looks for the other nodes, lookLog how often the log says who is waited for.
	lookPause = 100 * time.Millisecond
	lookLog   = 5 * time.Second
	// joinTimeout bounds one request to be taken in.
	joinTimeout = 10 * time.Second
)

// openPort opens the node port and learns who this node is: what its directory says, or for a new directory, the cluster that it is told to form or join.
func (n *Node) openPort(ctx context.Context) error {
	if n.cfg.Raft == Off {
		return n.format("")
	}
	formatted, err := metadata.Formatted(n.cfg.FS, n.cfg.Dir)
	if err != nil {
		return err
	}
	if formatted || !n.cfg.clustered() {
		if err := n.format(""); err != nil {
			return err
		}
	}
	l, err := n.cfg.Listen(n.cfg.Raft)
	if err != nil {
		return fmt.Errorf("--raft: %w", err)
	}
	n.addrs.raft = l.Addr()
	hello, err := n.hello()
	if err != nil {
		return errors.Join(err, l.Close())
	}
	n.port = peer.New(peer.Options{
		Hello: hello, TLS: n.cfg.NodeTLS, Listener: l, Advertise: n.raftAdvertised(), Clock: n.cfg.Clock, Logger: n.cfg.Logger, Dial: n.cfg.Dial, Level: n.FeatureLevel, OnOutgrown: n.stop,
	})
	n.caller = peer.NewCaller(n.port)
	n.port.HandleCalls(n.serveCall)
	n.port.Handle(peer.StreamSession, n.takeSession)
	n.port.Handle(peer.StreamLife, n.takeLifeLine)
	n.port.Start()
	if n.identity.ClusterID != "" {
		if err := n.checkSeeds(ctx); err != nil {
			return err
		}
		return n.checkAge(ctx, n.askable(nil))
	}
	cluster, err := n.look(ctx)
	if err != nil {
		return err
	}
	if err := n.format(cluster); err != nil {
		return err
	}
	n.forming = len(n.cfg.BootstrapNodes) > 0
	hello, err = n.hello()
	n.port.SetHello(hello)
	return err
}

// checkSeeds refuses to start a directory that belongs to another cluster than the nodes that this one is told of. Those that do not answer are not asked again: after all have
// stopped, one is the first to start. If one refuses and another does not, it is that one which does not belong.
func (n *Node) checkSeeds(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var refused error
	for _, s := range n.seeds() {
		_, err := n.port.Probe(ctx, s.Addr)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, peer.ErrRefused):
			refused = fmt.Errorf("node port %s: %w", s.Addr, err)
		}
	}
	return refused
}

// unreached is why a connection to addr did not come about.
func unreached(addr string, err error) string {
	var op *net.OpError
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		err = dns
	case errors.As(err, &op):
		err = op.Err // which does not say the address again
	}
	return fmt.Sprintf("%s: %v", addr, err)
}

// format reads whose directory it is, or makes it one of the given cluster; an empty one is a new cluster.
func (n *Node) format(cluster string) (err error) {
	formatted, err := metadata.Formatted(n.cfg.FS, n.cfg.Dir)
	if err != nil {
		return err
	}
	if _, err := n.cfg.FS.Stat(n.path(metaDir)); err == nil && !formatted {
		return fmt.Errorf("data directory %s holds the metadata of a node, but its meta.properties, which says whose it is, is missing: restore that file from a backup of the directory", n.cfg.Dir)
	}
	n.identity, _, err = metadata.FormatOrCheck(n.cfg.FS, n.cfg.Dir, metadata.Identity{ClusterID: cluster, NodeID: n.cfg.NodeID}, n.cfg.Rand)
	return err
}

// hello is what the node says of itself. Before its directory is formatted it has an id of no meaning.
func (n *Node) hello() (peer.Hello, error) {
	h := peer.Hello{
		ClusterID: n.identity.ClusterID, NodeID: n.identity.NodeID, DirectoryID: n.identity.Directory.String(), Release: n.cfg.Release,
		FeatureMin: metadata.FeatureMin, FeatureMax: n.cfg.FeatureMax,
	}
	if n.process == (metadata.UUID{}) {
		var err error
		if n.process, err = metadata.NewUUID(n.cfg.Rand); err != nil {
			return h, err
		}
	}
	h.Process = n.process.String()
	if n.identity.ClusterID != "" {
		return h, nil
	}
	id, err := metadata.NewUUID(n.cfg.Rand)
	h.NodeID, h.DirectoryID, h.Forms = n.cfg.NodeID, id.String(), n.forms()
	return h, err
}

// FeatureLevel is what all nodes of the cluster understand, as far as this node knows.
func (n *Node) FeatureLevel() uint32 {
	if s := n.served.Load(); s != nil {
		return s.meta.Image().FeatureLevel()
	}
	return metadata.FeatureMin
}

// forms is who the node is told to form a cluster with, as its hello says it.
func (n *Node) forms() string {
	var ids []int
	for _, b := range n.cfg.BootstrapNodes {
		ids = append(ids, int(b.ID))
	}
	slices.Sort(ids)
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(ids), "[]"), " ", ",")
}

func (n *Node) raftAdvertised() string {
	if n.cfg.RaftAdvertised != "" {
		return n.cfg.RaftAdvertised
	}
	for _, b := range n.cfg.BootstrapNodes {
		if _, port, _ := net.SplitHostPort(b.Addr); b.ID == n.cfg.NodeID && port != "0" {
			return b.Addr
		}
	}
	return ""
}

// seeds are the node ports of others that this node is told of.
func (n *Node) seeds() []BootstrapNode {
	if n.cfg.JoinAddr != "" {
		return []BootstrapNode{{Addr: n.cfg.JoinAddr}}
	}
	var out []BootstrapNode
	for _, b := range n.cfg.BootstrapNodes {
		if b.ID != n.cfg.NodeID {
			out = append(out, b)
		}
	}
	return out
}

// look finds out which cluster this node is to belong to: that of the first node that belongs to one. When all bootstrap nodes answer and none does, the one with the lowest id
// founds it (an empty name) and the others wait for it. n.found says which it was. While nodes are told of different ones nobody founds anything: each list could have a cluster of its own. A node that
// refuses this one is waited for too: it may be the one that is wrong, with a certificate that has expired or the directory of another cluster. Only if all refuse, this one is.
func (n *Node) look(ctx context.Context) (cluster string, err error) {
	seeds, lists := n.seeds(), n.cfg.JoinAddr == ""
	var logged time.Time
	for {
		missing, differing, lowest := []string{}, []string{}, lists
		var refused []error
		for _, s := range seeds {
			h, err := n.port.Probe(ctx, s.Addr)
			switch {
			case errors.Is(err, peer.ErrRefused), errors.Is(err, peer.ErrNotMillrace):
				refused = append(refused, fmt.Errorf("node port %s: %w", s.Addr, err))
				continue
			case err != nil:
				missing = append(missing, unreached(s.Addr, err))
				continue
			case h.DirectoryID == n.port.DirectoryID():
				return "", fmt.Errorf("%s, which --bootstrap-nodes or --join names as another node's port, is the one of this node itself; allowed: those of the others, and in --bootstrap-nodes each node's own --raft", s.Addr)
			case s.ID != 0 && h.NodeID != s.ID:
				return "", fmt.Errorf("--bootstrap-nodes: at %s is node %d, not %d; allowed: for each node the address of its --raft", s.Addr, h.NodeID, s.ID)
			case h.NodeID == n.cfg.NodeID:
				return "", fmt.Errorf("--node-id: %d is in use at %s; allowed: an id that no other node has", h.NodeID, s.Addr)
			case h.ClusterID != "":
				return h.ClusterID, nil
			case lists && h.Forms != "" && h.Forms != n.forms():
				differing = append(differing, fmt.Sprintf("node %d: %s", h.NodeID, h.Forms))
			}
			lowest = lowest && n.cfg.NodeID < s.ID
		}
		if len(refused) == len(seeds) && len(seeds) > 0 {
			return "", refused[0]
		}
		if len(missing) == 0 && len(refused) == 0 && len(differing) == 0 && lowest {
			n.found = true
			return "", nil
		}
		if now := n.cfg.Clock.Now(); now.Sub(logged) > lookLog {
			logged = now
			n.cfg.Logger.Info("waiting for the nodes of the cluster", "not_answering", missing)
			for _, err := range refused {
				n.cfg.Logger.Warn("a node of the cluster and this one do not take each other", "err", err)
			}
			if len(differing) > 0 {
				n.cfg.Logger.Warn("the nodes do not have the same --bootstrap-nodes, so that they form no cluster: start all with one list", "here", n.forms(), "there", differing)
			}
		}
		if err := n.pause(ctx, lookPause); err != nil {
			return "", err
		}
	}
}

func (n *Node) pause(ctx context.Context, d time.Duration) error {
	timer := n.cfg.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-n.stopping:
		return errNotReady
	}
}

// peers is how the metadata group is found and reached; nil for a node alone.
func (n *Node) peers() *metadata.Peers {
	if n.port == nil {
		return nil
	}
	p := &metadata.Peers{Join: n.join, Removed: n.removed, Forward: n.forward}
	if !n.cfg.clustered() {
		p.Found = func(context.Context) (bool, error) { return true, nil }
		return p
	}
	p.Found = func(ctx context.Context) (bool, error) {
		if n.found {
			return true, nil
		}
		_, err := n.look(ctx) // a directory that was formatted, by a process that did not come to join
		return n.found, err
	}
	return p
}

// join asks the nodes it knows to be taken into the metadata group, until one has seen to it.
func (n *Node) join(ctx context.Context, members []string) error {
	if err := n.checkAge(ctx, members); err != nil {
		return err
	}
	req := kmsg.NewPtrAddRaftVoterRequest()
	host, port, err := splitAddr(n.port.Addr())
	if err != nil {
		return fmt.Errorf("--raft: %w", err)
	}
	req.ClusterID, req.VoterID, req.VoterDirectoryID = &n.identity.ClusterID, n.identity.NodeID, n.identity.Directory
	req.Listeners = append(req.Listeners, kmsg.AddRaftVoterRequestListener{Name: metadata.EndpointPeer, Host: host, Port: port})
	var logged time.Time
	for {
		var last error
		addrs := n.askable(members)
		refused := 0
		for _, addr := range addrs {
			if last = n.joinAt(ctx, addr, req); last == nil {
				return nil
			}
			if errors.Is(last, peer.ErrRefused) {
				refused++
			}
			if refused == len(addrs) || errors.Is(last, kerr.DuplicateBrokerRegistration) || errors.Is(last, kerr.InvalidRequest) {
				return fmt.Errorf("joining the cluster at %s: %w", addr, last)
			}
		}
		if now := n.cfg.Clock.Now(); now.Sub(logged) > lookLog {
			logged = now
			n.cfg.Logger.Info("waiting to be taken into the cluster", "err", last)
		}
		if err := n.pause(ctx, lookPause); err != nil {
			return err
		}
	}
}

// removed asks the nodes it knows whether this directory is a member of the cluster still, and says so when it is not. A directory that is being taken in has no need to ask.
func (n *Node) removed(ctx context.Context, members []string) error {
	req := kmsg.NewPtrDescribeQuorumRequest()
	req.Version = quorumVersion
	for waits := true; waits; waits = n.pause(ctx, lookPause) == nil {
		for _, addr := range n.askable(members) {
			if members := n.membersAt(ctx, addr, req); len(members) > 0 && !slices.Contains(members, n.identity.Directory) {
				return fmt.Errorf("node %d was removed from the cluster, and this data directory is not started again: start the node on an empty one, with --join or the flags that it had",
					n.identity.NodeID)
			}
		}
	}
	return nil
}

// quorumVersion is the first version of DescribeQuorum that names directories (KIP-853).
const quorumVersion = 2

// membersAt are the directories of the metadata group, if the node at addr leads it.
func (n *Node) membersAt(ctx context.Context, addr string, req *kmsg.DescribeQuorumRequest) (members []metadata.UUID) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	resp, err := n.caller.Call(ctx, addr, req)
	if err != nil {
		return nil
	}
	for _, topic := range resp.(*kmsg.DescribeQuorumResponse).Topics {
		for _, p := range topic.Partitions {
			for _, v := range p.CurrentVoters {
				members = append(members, v.ReplicaDirectoryID)
			}
		}
	}
	return members
}

// serveQuorum tells the members of the metadata group, voters or not, if this node leads it.
func serveQuorum(meta *metadata.Store, r *kmsg.DescribeQuorumRequest) *kmsg.DescribeQuorumResponse {
	resp := r.ResponseKind().(*kmsg.DescribeQuorumResponse)
	members, err := meta.Members()
	if err != nil || !meta.Leads() {
		resp.ErrorCode = kerr.NotLeaderForPartition.Code
		return resp
	}
	p := kmsg.NewDescribeQuorumResponseTopicPartition()
	for _, m := range members {
		if directory, err := metadata.ParseUUID(string(m.ID)); err == nil {
			v := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
			v.ReplicaDirectoryID = directory
			p.CurrentVoters = append(p.CurrentVoters, v)
		}
	}
	topic := kmsg.NewDescribeQuorumResponseTopic()
	topic.Partitions = append(topic.Partitions, p)
	resp.Topics = append(resp.Topics, topic)
	return resp
}

// askable are the addresses of nodes that may know the cluster: those that the node is told of, and the members of the metadata group as it knew them when it ran.
func (n *Node) askable(members []string) []string {
	var out []string
	for _, s := range n.seeds() {
		out = append(out, s.Addr)
	}
	for _, a := range members {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

func (n *Node) joinAt(ctx context.Context, addr string, req *kmsg.AddRaftVoterRequest) error {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	resp, err := n.caller.Call(ctx, addr, req)
	if err != nil {
		return err
	}
	r := resp.(*kmsg.AddRaftVoterResponse)
	err = kerr.ErrorForCode(r.ErrorCode)
	if err != nil && r.ErrorMessage != nil {
		return &notTaken{err, strings.TrimPrefix(*r.ErrorMessage, err.Error()+": ")}
	}
	return err
}

// notTaken is the leader's reason for not taking a node in. Its text leaves out what is said about every error of the code: that a message is malformed says nothing to who has chosen an id.
type notTaken struct {
	code error
	why  string
}

func (e *notTaken) Error() string { return e.why }
func (e *notTaken) Unwrap() error { return e.code }
