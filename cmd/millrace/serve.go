package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/peer"
)

// serveFlags are what a user may set by flag, by MILLRACE_ variable, or in the file of --config, the first of these winning.
type serveFlags struct {
	data, pg, kafka, http, raft  string
	kafkaAdvertised              string
	rack                         string
	autoTopics                   bool
	tableStandby                 bool
	nodeID                       int32
	bootstrap, join              string
	raftAdvertised               string
	memory                       string
	partitions                   int32
	config                       string
	ephemeral                    bool
	insecure, requirePassword    bool
	tlsCert, tlsKey, tlsClientCA string
	nodeCert, nodeKey, nodeCA    string
	logLevel, logFormat          string
}

// gcPercent lets garbage grow to three times what lives, within --memory: the heap is small beside that, and collecting it less often is worth a tenth of
// the processor under short queries.
const gcPercent = 300

// expiresSoon is how long before a certificate expires the log says so at a start.
const expiresSoon = 30 * 24 * time.Hour

func serveCommand() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve --data DIR",
		Short: "Run a node",
		Long:  "Run a node. Every flag can also be set as MILLRACE_<FLAG> (upper case, _ for -) or as a line \"flag = value\" in the file of --config.",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return serve(c, &f) },
	}
	f.register(c.Flags())
	return c
}

func (f *serveFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.data, "data", "", "data directory; made if it does not exist")
	fl.BoolVar(&f.ephemeral, "ephemeral", false, "use a directory that is deleted at the end")
	fl.StringVar(&f.pg, "pg", node.DefaultPG, "address for PostgreSQL clients")
	fl.StringVar(&f.kafka, "kafka", node.DefaultKafka, "address for Kafka clients, or off")
	fl.BoolVar(&f.autoTopics, "auto-create-topics", true, "make topics that Kafka clients ask for and that do not exist")
	fl.BoolVar(&f.tableStandby, "table-standby", true, "keep the rows of the tables that the node has replicas of, so that it can take them over at once")
	fl.StringVar(&f.rack, "rack", "", "room, zone or the like of the machine; replicas of a partition are spread over racks")
	fl.StringVar(&f.kafkaAdvertised, "kafka-advertised", "", "host:port that Kafka clients are told to connect to; empty: where they have reached the node")
	fl.StringVar(&f.http, "http", node.DefaultHTTP, "address for health, metrics and profiles, or off")
	fl.StringVar(&f.raft, "raft", node.DefaultRaft, "address for other nodes, or off")
	fl.StringVar(&f.raftAdvertised, "raft-advertised", "", "host:port at which other nodes reach this one; empty: its entry in --bootstrap-nodes, or where it listens")
	fl.StringVar(&f.bootstrap, "bootstrap-nodes", "", "all nodes of a new cluster as id@host:port,... of their node ports, this one too; it is formed when all answer")
	fl.StringVar(&f.join, "join", "", "node port of a node whose cluster to join")
	fl.Int32Var(&f.nodeID, "node-id", 1, "number of this node in the cluster")
	fl.StringVar(&f.memory, "memory", "1GiB", "memory for the node, such as 512MiB or 4GiB")
	fl.Int32Var(&f.partitions, "partitions", 4, "partitions of topics whose statement does not say")
	fl.StringVar(&f.config, "config", "", "file with flags, one \"flag = value\" a line")
	fl.BoolVar(&f.insecure, "insecure", false, "listen beyond loopback without TLS, and without passwords unless --require-password")
	fl.BoolVar(&f.requirePassword, "require-password", false, "ask for SCRAM-SHA-256 passwords everywhere, also on loopback")
	fl.StringVar(&f.tlsCert, "tls-cert", "", "certificate (PEM) for PostgreSQL and Kafka clients")
	fl.StringVar(&f.tlsKey, "tls-key", "", "its private key (PEM)")
	fl.StringVar(&f.tlsClientCA, "tls-client-ca", "", "certificates (PEM) of those who vouch for clients: who shows a certificate of theirs logs in as its common name")
	fl.StringVar(&f.nodeCert, "node-tls-cert", "", "certificate (PEM) that this node shows other nodes, for the DNS name node-ID.millrace")
	fl.StringVar(&f.nodeKey, "node-tls-key", "", "its private key (PEM)")
	fl.StringVar(&f.nodeCA, "node-tls-ca", "", "certificates (PEM) of those who vouch for the nodes of the cluster")
	fl.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
	fl.StringVar(&f.logFormat, "log-format", "text", "text or json")
}

// fill sets flags that were not given from the environment and the config file.
func (f *serveFlags) fill(fl *pflag.FlagSet) error {
	var errs []error
	set := func(flag *pflag.Flag, value, from string) {
		if err := fl.Set(flag.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %q: %w", from, value, err))
		}
	}
	fl.VisitAll(func(flag *pflag.Flag) {
		name := "MILLRACE_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		if v, ok := os.LookupEnv(name); ok && !flag.Changed {
			set(flag, v, name)
		}
	})
	if f.config != "" {
		data, err := os.ReadFile(f.config)
		if err != nil {
			return fmt.Errorf("--config: %w", err)
		}
		for i, line := range strings.Split(string(data), "\n") {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				continue
			}
			name, value, ok := strings.Cut(line, "=")
			flag := fl.Lookup(strings.TrimSpace(name))
			if !ok || flag == nil {
				errs = append(errs, fmt.Errorf("%s:%d: %q is no \"flag = value\"; flags are those of millrace serve --help", f.config, i+1, line))
				continue
			}
			if !flag.Changed {
				set(flag, strings.Trim(strings.TrimSpace(value), `"`), fmt.Sprintf("%s:%d", f.config, i+1))
			}
		}
	}
	return errors.Join(errs...)
}

// nodeConfig makes the node's configuration.
func (f *serveFlags) nodeConfig(logger *slog.Logger) (node.Config, error) {
	memory, err := parseMemory(f.memory)
	if err != nil {
		return node.Config{}, err
	}
	bootstrap, err := node.ParseBootstrapNodes(f.bootstrap)
	if err != nil {
		return node.Config{}, err
	}
	cfg := node.Config{
		BootstrapNodes: bootstrap, JoinAddr: f.join, RaftAdvertised: f.raftAdvertised,
		Dir: f.data, NodeID: f.nodeID, PG: f.pg, Kafka: f.kafka, KafkaAdvertised: f.kafkaAdvertised, Rack: f.rack, NoAutoTopics: !f.autoTopics, NoTableStandby: !f.tableStandby, HTTP: f.http, Raft: f.raft, MemoryBytes: memory, OpenFiles: fsys.OpenFileLimit(), Partitions: f.partitions,
		Insecure: f.insecure, RequirePassword: f.requirePassword, Release: release, Logger: logger,
	}
	if cfg.NodeTLS, err = f.nodeTLS(logger); err != nil {
		return cfg, err
	}
	if (f.tlsCert == "") != (f.tlsKey == "") {
		return cfg, errors.New("--tls-cert and --tls-key go together; allowed: both or neither")
	}
	if f.tlsCert != "" {
		cert, err := keyPair("--tls-cert", f.tlsCert, "--tls-key", f.tlsKey, logger)
		if err != nil {
			return cfg, err
		}
		cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	if f.tlsClientCA != "" {
		if cfg.TLS == nil {
			return cfg, errors.New("--tls-client-ca needs --tls-cert and --tls-key")
		}
		if cfg.TLS.ClientCAs, err = certificates("--tls-client-ca", f.tlsClientCA); err != nil {
			return cfg, err
		}
		cfg.TLS.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return cfg, nil
}

// nodeTLS is what the node shows on the node port; nil without the flags.
func (f *serveFlags) nodeTLS(logger *slog.Logger) (*peer.TLS, error) {
	if f.nodeCert == "" && f.nodeKey == "" && f.nodeCA == "" {
		return nil, nil
	}
	if f.nodeCert == "" || f.nodeKey == "" || f.nodeCA == "" {
		return nil, errors.New("--node-tls-cert, --node-tls-key and --node-tls-ca go together; allowed: all or none")
	}
	cert, err := keyPair("--node-tls-cert", f.nodeCert, "--node-tls-key", f.nodeKey, logger)
	if err != nil {
		return nil, err
	}
	if name := peer.NodeName(f.nodeID); cert.Leaf.VerifyHostname(name) != nil {
		return nil, fmt.Errorf("--node-tls-cert: %s is not for node %d; allowed: a certificate for the DNS name %s", f.nodeCert, f.nodeID, name)
	}
	ca, err := certificates("--node-tls-ca", f.nodeCA)
	if err != nil {
		return nil, err
	}
	return peer.NewTLS(cert, ca), nil
}

// keyPair reads a certificate and its key. One that is out of date is refused, for nobody would take it; the log says so a month before.
func keyPair(certFlag, certFile, keyFlag, keyFile string, logger *slog.Logger) (tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return cert, fmt.Errorf("%s, %s: %w", certFlag, keyFlag, err)
	}
	now, ends := time.Now(), cert.Leaf.NotAfter
	switch {
	case now.After(ends):
		return cert, fmt.Errorf("%s: %s has expired, on %s; allowed: one that is valid now", certFlag, certFile, ends.Format(time.RFC3339))
	case now.Before(cert.Leaf.NotBefore):
		return cert, fmt.Errorf("%s: %s is valid from %s on; allowed: one that is valid now, if the machine's clock is right", certFlag, certFile, cert.Leaf.NotBefore.Format(time.RFC3339))
	case ends.Sub(now) < expiresSoon:
		logger.Warn("a certificate expires soon", "flag", certFlag, "file", certFile, "on", ends)
	}
	return cert, nil
}

// certificates reads a file of certificates.
func certificates(flag, file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", flag, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate in %s", flag, file)
	}
	return pool, nil
}

// parseMemory reads a size with a binary unit.
func parseMemory(s string) (int64, error) {
	units := []struct {
		suffix string
		shift  int
	}{{"GiB", 30}, {"MiB", 20}, {"GB", 30}, {"MB", 20}, {"G", 30}, {"M", 20}}
	for _, u := range units {
		if n, ok := strings.CutSuffix(s, u.suffix); ok {
			v, err := strconv.ParseInt(strings.TrimSpace(n), 10, 32)
			if err == nil && v > 0 {
				return v << u.shift, nil
			}
		}
	}
	return 0, fmt.Errorf("--memory: %q; allowed: a number with MiB or GiB, such as 512MiB", s)
}

// plainError has an error logged as the one line that it says: slog's text handler would ask for all details, which for some are a stack of calls.
func plainError(_ []string, a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok {
		a.Value = slog.StringValue(err.Error())
	}
	return a
}

func newLogger(level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level: %q; allowed: debug, info, warn, error", level)
	}
	opts := &slog.HandlerOptions{Level: l, ReplaceAttr: plainError}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, opts)), nil
	}
	return nil, fmt.Errorf("--log-format: %q; allowed: text, json", format)
}

func serve(c *cobra.Command, f *serveFlags) error {
	if err := f.fill(c.Flags()); err != nil {
		return err
	}
	logger, err := newLogger(f.logLevel, f.logFormat)
	if err != nil {
		return err
	}
	if f.ephemeral {
		if f.data != "" {
			return errors.New("--ephemeral and --data exclude each other; allowed: one of them")
		}
		dir, err := os.MkdirTemp("", "millrace-")
		if err != nil {
			return err
		}
		f.data = dir
		defer removeAll(dir)
	}
	cfg, err := f.nodeConfig(logger)
	if err != nil {
		return err
	}
	debug.SetMemoryLimit(cfg.MemoryBytes)
	debug.SetGCPercent(gcPercent)
	return run(c.Context(), cfg)
}

// run serves until a signal or a fatal error.
func run(ctx context.Context, cfg node.Config) error {
	start := time.Now()
	n, err := node.Open(ctx, cfg)
	if err != nil {
		return err
	}
	addr := func(a fmt.Stringer) string {
		if a == nil {
			return node.Off
		}
		return a.String()
	}
	kafka, http, raft := node.Off, node.Off, node.Off
	if a := n.KafkaAddr(); a != nil {
		kafka = a.String()
	}
	if a := n.HTTPAddr(); a != nil {
		http = a.String()
	}
	if a := n.RaftAddr(); a != nil {
		raft = a.String()
	}
	cfg.Logger.Info("ready", "pg", addr(n.PGAddr()), "kafka", kafka, "http", http, "raft", raft, "node", n.Identity().NodeID,
		"data", cfg.Dir, "took", time.Since(start).Round(time.Millisecond), "release", release)
	select {
	case <-ctx.Done():
		cfg.Logger.Info("stopping")
		return n.Close()
	case err := <-n.Fatal():
		return errors.Join(err, closeWithin(failedStop, n.Close))
	}
}

// failedStop is how long a node that has to end may take to close: longer than it gives clients and replicas. It may be the disk that hangs, and then closing the files does so too.
const failedStop = 30 * time.Second

// closeWithin closes a node, or says that it does not come to an end: then the process is to end as it is.
func closeWithin(limit time.Duration, closeNode func() error) error {
	closed := make(chan error, 1)
	go func() { closed <- closeNode() }()
	select {
	case err := <-closed:
		return err
	case <-time.After(limit):
		return fmt.Errorf("the node cannot be closed within %v, as on a disk that hangs: the process ends as after a kill", limit)
	}
}
