package node

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/peer"
	"github.com/millracedb/millrace/replication/metadata"
)

// Config is what a node needs. The zero value with a Dir is a node on the default ports.
type Config struct {
	// Dir is the data directory.
	Dir string
	// NodeID is 1 to 2147483647; 0 takes what the directory says, or 1.
	NodeID int32
	// PG, Kafka, HTTP and Raft are listen addresses. Empty: DefaultPG and so on. "off" does not listen, where the node can do without.
	PG, Kafka, HTTP, Raft string
	// BootstrapNodes are all nodes that a new cluster is formed of, this one among them: it is formed when all answer and all are blank, otherwise the cluster that one of them
	// belongs to is joined. JoinAddr is the node port of some node of a cluster to join. At most one is set; neither: a node alone, which others may join.
	BootstrapNodes []BootstrapNode
	JoinAddr       string
	// RaftAdvertised is the host:port at which other nodes reach this one. Empty: its entry in BootstrapNodes, or where it listens.
	RaftAdvertised string
	// Rack is where the machine is, in words of the operator: a room, a zone. Replicas are spread over racks. Empty: it is not known.
	Rack string
	// KafkaAdvertised is the host:port that Kafka clients are told to connect to. Empty: the address at which a client has reached the node.
	KafkaAdvertised string
	// NoAutoTopics leaves topics that Kafka clients ask for and that do not exist unmade.
	NoAutoTopics bool
	// NoTableStandby leaves the rows of tables and of the results of queries to the node that serves them. Should this one take over, it reads their topics from the beginning.
	NoTableStandby bool
	// MemoryBytes is the node's memory, divided by name (see share). 0: DefaultMemory.
	MemoryBytes int64
	// OpenFiles is how many files the process may have open at a time, MinOpenFiles or more; 0: it is not bounded.
	OpenFiles int64
	// Partitions of topics that statements make without saying; 0: 4.
	Partitions int32
	// Insecure allows to listen beyond loopback without TLS, and without passwords unless RequirePassword asks for them.
	Insecure bool
	// RequirePassword asks for SCRAM-SHA-256 everywhere, also on loopback.
	RequirePassword bool
	// TLS, if set, is offered to PostgreSQL and Kafka clients. With ClientCAs and VerifyClientCertIfGiven a certificate says which role its client is.
	TLS *tls.Config
	// NodeTLS, if set, is what nodes show each other on the node port. All nodes of a cluster have it or none.
	NodeTLS *peer.TLS
	// Release is the program's version.
	Release string
	// FeatureMax is the highest feature level that the program knows; default metadata.FeatureMax. Simulations have nodes of older releases.
	FeatureMax uint32

	Clock  clock.Clock  // default clock.Real
	Rand   io.Reader    // default crypto/rand.Reader; safe for concurrent use
	FS     fsys.FS      // default fsys.OS
	Logger *slog.Logger // default slog.Default()
	// Listen opens a listener; default net.Listen over TCP.
	Listen func(addr string) (net.Listener, error)
	// Dial connects to another node's port; default TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// OnFatal is told why the node must stop (a failed sync, a hung metadata write). Default: it is logged.
	OnFatal func(error)
}

// BootstrapNode is a node of a cluster that is formed: its id and its node port.
type BootstrapNode struct {
	ID   int32
	Addr string
}

// ParseBootstrapNodes reads "1@host:port,2@host:port,...".
func ParseBootstrapNodes(text string) ([]BootstrapNode, error) {
	if text == "" {
		return nil, nil
	}
	var out []BootstrapNode
	for _, part := range strings.Split(text, ",") {
		id, addr, ok := strings.Cut(strings.TrimSpace(part), "@")
		n, err := strconv.ParseInt(id, 10, 32)
		if _, _, addrErr := net.SplitHostPort(addr); !ok || err != nil || n < 1 || addrErr != nil {
			return nil, fmt.Errorf("--bootstrap-nodes: %q; allowed: id@host:port for each node, with commas between, such as 1@10.0.0.1:7433,2@10.0.0.2:7433", part)
		}
		for _, o := range out {
			if o.ID == int32(n) || o.Addr == addr {
				return nil, fmt.Errorf("--bootstrap-nodes: %q; allowed: each id and each address once", part)
			}
			if o.ID%metadata.IDClasses == int32(n)%metadata.IDClasses {
				return nil, fmt.Errorf("--bootstrap-nodes: %q; allowed: ids that do not differ by a multiple of %d", part, metadata.IDClasses)
			}
		}
		out = append(out, BootstrapNode{int32(n), addr})
	}
	return out, nil
}

// clustered reports whether the node is told of others.
func (c *Config) clustered() bool { return len(c.BootstrapNodes) > 0 || c.JoinAddr != "" }

// Defaults of the listen addresses and of the memory.
const (
	DefaultPG     = "127.0.0.1:5433"
	DefaultKafka  = "127.0.0.1:9092"
	DefaultHTTP   = "127.0.0.1:8088"
	DefaultRaft   = "127.0.0.1:7433"
	DefaultMemory = 1 << 30

	// maxRackBytes bounds the name of a rack, which goes to all clients.
	maxRackBytes = 255

	// MinMemory is the least a node runs in.
	MinMemory = 128 << 20

	// MinOpenFiles is the least number of open files a node runs with, and filesBesides how many of those that it may have are for anything but partitions: clients, other nodes, state and metadata.
	MinOpenFiles = 1024
	filesBesides = 512

	// Off as an address means not to listen.
	Off = "off"
)

// EnsureDefaults fills in what is not set.
func (c *Config) EnsureDefaults() {
	for _, a := range []struct {
		addr *string
		def  string
	}{{&c.PG, DefaultPG}, {&c.Kafka, DefaultKafka}, {&c.HTTP, DefaultHTTP}, {&c.Raft, DefaultRaft}} {
		if *a.addr == "" {
			*a.addr = a.def
		}
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = DefaultMemory
	}
	if c.Partitions == 0 {
		c.Partitions = 4
	}
	if c.Clock == nil {
		c.Clock = clock.Real
	}
	if c.FeatureMax == 0 {
		c.FeatureMax = metadata.FeatureMax
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.FS == nil {
		c.FS = fsys.OS
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Listen == nil {
		c.Listen = func(addr string) (net.Listener, error) {
			var lc net.ListenConfig
			return lc.Listen(context.Background(), "tcp", addr)
		}
	}
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		}
	}
	if c.OnFatal == nil {
		logger := c.Logger
		c.OnFatal = func(err error) { logger.Error("the node must stop", "err", err) }
	}
}

// Validate reports everything that is wrong at once.
func (c *Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Dir == "" {
		bad("--data: a directory is needed; allowed: a path, or --ephemeral for one that is thrown away")
	}
	if len(c.Rack) > maxRackBytes || !utf8.ValidString(c.Rack) {
		bad("--rack: %d bytes; allowed: up to %d bytes of text", len(c.Rack), maxRackBytes)
	}
	if c.NodeID < 0 {
		bad("--node-id: %d; allowed: 1 to 2147483647", c.NodeID)
	}
	if c.MemoryBytes < MinMemory {
		bad("--memory: %d bytes; allowed: %d MiB or more", c.MemoryBytes, MinMemory>>20)
	}
	if c.OpenFiles != 0 && c.OpenFiles < MinOpenFiles {
		bad("the process may have %d files open (ulimit -n); allowed: %d or more, as LimitNOFILE of systemd or --ulimit nofile of a container says it; each partition takes one", c.OpenFiles, MinOpenFiles)
	}
	if c.Partitions < 1 || c.Partitions > 10_000 {
		bad("--partitions: %d; allowed: 1 to 10000", c.Partitions)
	}
	for _, a := range []struct{ flag, addr string }{{"--pg", c.PG}, {"--kafka", c.Kafka}, {"--http", c.HTTP}, {"--raft", c.Raft}} {
		errs = append(errs, c.validateAddr(a.flag, a.addr))
	}
	if c.clustered() {
		errs = append(errs, c.validateCluster())
	}
	return errors.Join(errs...)
}

func (c *Config) validateCluster() error {
	if c.Raft == Off {
		return errors.New("--raft: off; a node of a cluster needs a node port")
	}
	if c.NodeID == 0 {
		return errors.New("--node-id: a node of a cluster says which one it is; allowed: 1 to 2147483647")
	}
	if c.JoinAddr != "" {
		if len(c.BootstrapNodes) > 0 {
			return errors.New("--bootstrap-nodes and --join exclude each other; allowed: one of them")
		}
		if _, _, err := net.SplitHostPort(c.JoinAddr); err != nil {
			return fmt.Errorf("--join: %q; allowed: the host:port of a node's --raft", c.JoinAddr)
		}
		return nil
	}
	for _, b := range c.BootstrapNodes {
		if b.ID == c.NodeID {
			return nil
		}
	}
	return fmt.Errorf("--bootstrap-nodes: node %d is not among them; allowed: all nodes of the new cluster, this one too, or --join for a later one", c.NodeID)
}

// validateAddr checks a listen address, and that it is closed by default: beyond loopback only with authentication.
func (c *Config) validateAddr(flag, addr string) error {
	if addr == Off && flag != "--pg" {
		return nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%s: %q is no address; allowed: host:port, of IPv6 [::1]:port, or off (but for --pg)", flag, addr)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("%s: %q is no port; allowed: 0 to 65535", flag, port)
	}
	if isLoopback(host) || c.Insecure {
		return nil
	}
	if (flag == "--pg" || flag == "--kafka") && c.RequirePassword && c.TLS != nil {
		return nil
	}
	if flag == "--raft" && c.NodeTLS != nil {
		return nil
	}
	with := map[string]string{"--pg": "--require-password and --tls-cert", "--kafka": "--require-password and --tls-cert", "--raft": "--node-tls-cert"}[flag]
	if with != "" {
		with = ", or with " + with
	}
	return fmt.Errorf("%s: %s is reachable from other machines; allowed: a loopback address, or any with --insecure%s", flag, addr, with)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// maxLogs is how many partitions the node can have open; 0 is any number.
func (c *Config) maxLogs() int { return int(max(0, c.OpenFiles-filesBesides)) }

// share returns a part of the memory in percent.
func (c *Config) share(percent int64) int64 { return c.MemoryBytes / 100 * percent }

// The shares of the memory, in percent; what is left is slack for the runtime.
const (
	stateShare    = 40
	requestShare  = 15
	tailShare     = 3
	pebbleShare   = 15
	sessionsShare = 15
)
