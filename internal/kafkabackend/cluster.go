package kafkabackend

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/coordinator"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/kafka"
	"github.com/millracedb/millrace/replication/metadata"
)

// retentionMillis is how long topics that Kafka clients make keep their records if they do not say: Kafka's default, 7 days.
const retentionMillis = "604800000"

// applyTries bounds how often a change is made again that another one came before.
const applyTries = 10

// Cluster implements kafka.Cluster over the metadata. All fields must be set.
type Cluster struct {
	Meta     *metadata.Store
	Identity metadata.Identity
	// WaitIndex waits until this node has acted on the metadata up to an index.
	WaitIndex func(context.Context, uint64) error
	// Unanswered reports whether nobody answers at a node.
	Unanswered func(node int32) bool
	// DiskLow reports that there is too little room for new topics.
	DiskLow func() bool
	// FS and Dir are where the log is.
	FS  fsys.FS
	Dir string
	// DefaultPartitions is for topics whose request does not say.
	DefaultPartitions int32
}

// ClusterID implements kafka.Cluster.
func (c *Cluster) ClusterID() string { return c.Identity.ClusterID }

// LogDir implements kafka.Cluster.
func (c *Cluster) LogDir() (path string, total, usable int64, err error) {
	u, err := c.FS.GetDiskUsage(c.Dir)
	if err != nil {
		return c.Dir, -1, -1, fmt.Errorf("%w: %w", kerr.KafkaStorageError, err)
	}
	return c.Dir, clampInt64(u.TotalBytes), clampInt64(u.AvailBytes), nil
}

func clampInt64(n uint64) int64 { return int64(min(n, math.MaxInt64)) }

// NodeID implements kafka.Cluster.
func (c *Cluster) NodeID() int32 { return c.Identity.NodeID }

// Brokers implements kafka.Cluster.
func (c *Cluster) Brokers() []kafka.BrokerAddress {
	var out []kafka.BrokerAddress
	for k := range c.Meta.Image().Brokers() {
		for _, e := range k.Endpoints {
			if e.Name == metadata.EndpointKafka && !k.Fenced {
				out = append(out, kafka.BrokerAddress{ID: k.ID, Host: e.Host, Port: int32(e.Port), Rack: k.Rack})
			}
		}
	}
	return out
}

// Coordinator implements kafka.Cluster: it is the leader of the partition that has the group or the transactional id.
func (c *Cluster) Coordinator(transactions bool, key string) (int32, bool) {
	img := c.Meta.Image()
	count := func(topic string) int32 {
		if t, ok := img.Topic(topic); ok {
			return int32(len(t.Partitions))
		}
		return 0
	}
	at := coordinator.OffsetsPartition(key, count)
	if transactions {
		at = coordinator.TransactionPartition(key, count)
	}
	t, ok := img.Topic(at.Topic)
	if !ok {
		return 0, false
	}
	leader := t.Partitions[at.Partition].Leader
	return leader, leader != metadata.NoLeader
}

// Unreachable implements kafka.Cluster.
func (c *Cluster) Unreachable(node int32) bool { return c.Unanswered(node) }

// Topic implements kafka.Cluster.
func (c *Cluster) Topic(name string) (kafka.Topic, bool) {
	t, ok := c.Meta.Image().Topic(name)
	if !ok {
		return kafka.Topic{}, false
	}
	return topic(t), true
}

// TopicByID implements kafka.Cluster.
func (c *Cluster) TopicByID(id [16]byte) (kafka.Topic, bool) {
	t, ok := c.Meta.Image().TopicByID(id)
	if !ok {
		return kafka.Topic{}, false
	}
	return topic(t), true
}

// Topics implements kafka.Cluster.
func (c *Cluster) Topics() []kafka.Topic {
	img := c.Meta.Image()
	topics := make([]kafka.Topic, 0, img.TopicCount())
	for t := range img.Topics() {
		topics = append(topics, topic(t))
	}
	return topics
}

func topic(t *metadata.Topic) kafka.Topic {
	out := kafka.Topic{
		Name: t.Name, ID: t.ID, Internal: t.Internal(), ReadOnly: t.Owner.Kind != metadata.OwnerNone, Configs: t.Configs,
		Partitions: make([]kafka.PartitionState, len(t.Partitions)),
	}
	for i, p := range t.Partitions {
		out.Partitions[i] = kafka.PartitionState{Leader: p.Leader, LeaderEpoch: p.LeaderEpoch, Replicas: p.Replicas, ISR: p.ISR}
		if p.Target != nil {
			out.Partitions[i].Target, out.Partitions[i].Adding, out.Partitions[i].Removing = p.Target, p.Adding, p.Removing
		}
	}
	return out
}

// CreateTopic implements kafka.Cluster.
func (c *Cluster) CreateTopic(ctx context.Context, t kafka.NewTopic, validateOnly bool) (kafka.Topic, error) {
	spec, err := c.spec(t)
	if err != nil {
		return kafka.Topic{}, err
	}
	if validateOnly {
		if _, ok := c.Meta.Image().Topic(t.Name); ok {
			return kafka.Topic{}, exists(t.Name)
		}
		out := kafka.Topic{Name: t.Name, Configs: spec.Configs, Partitions: make([]kafka.PartitionState, spec.Partitions)}
		for i := range out.Partitions {
			out.Partitions[i].Replicas = []int32{c.NodeID()}
		}
		return out, nil
	}
	err = c.apply(ctx, func(b *metadata.Batch) error {
		if _, ok := b.Image().Topic(t.Name); ok {
			return exists(t.Name)
		}
		b.CreateTopic(spec)
		return nil
	})
	made, _ := c.Topic(t.Name)
	return made, err
}

func exists(name string) error {
	return fmt.Errorf("%w: topic %q already exists", kerr.TopicAlreadyExists, name)
}

// spec checks a new topic and fills in defaults.
func (c *Cluster) spec(t kafka.NewTopic) (metadata.TopicSpec, error) {
	spec := metadata.TopicSpec{Name: t.Name, Partitions: t.Partitions, Replicas: int32(max(t.Replicas, 0)), Configs: maps.Clone(t.Configs)}
	if spec.Partitions == -1 {
		spec.Partitions = c.DefaultPartitions
	}
	if spec.Configs == nil {
		spec.Configs = map[string]string{}
	}
	if _, ok := spec.Configs["retention.ms"]; !ok {
		spec.Configs["retention.ms"] = retentionMillis
	}
	switch err := metadata.CheckTopicName(t.Name); {
	case err != nil:
		return spec, fmt.Errorf("%w: %w", kerr.InvalidTopicException, err)
	case spec.Partitions < 1 || spec.Partitions > metadata.MaxPartitions:
		return spec, fmt.Errorf("%w: %d partitions; allowed: 1 to %d", kerr.InvalidPartitions, t.Partitions, metadata.MaxPartitions)
	case t.Replicas != -1 && (t.Replicas < 1 || int(t.Replicas) > c.nodes()):
		return spec, fmt.Errorf("%w: replication factor %d; allowed: 1 to %d, the number of nodes, or -1 for the default", kerr.InvalidReplicationFactor, t.Replicas, c.nodes())
	case c.DiskLow():
		return spec, fmt.Errorf("%w: the disk has too little room for a new topic", kerr.KafkaStorageError)
	}
	return spec, check(spec.Configs)
}

// nodes is the number of the cluster's nodes. Those that are away count, as in Kafka, so that a topic can be made while a node is restarted: it gets its replica there when it is back.
func (c *Cluster) nodes() (n int) {
	for range c.Meta.Image().Brokers() {
		n++
	}
	return n
}

// DeleteTopic implements kafka.Cluster.
func (c *Cluster) DeleteTopic(ctx context.Context, name string) error {
	return c.apply(ctx, func(b *metadata.Batch) error {
		t, err := writable(b.Image(), name)
		if err == nil {
			b.DeleteTopic(t.ID)
		}
		return err
	})
}

// writable finds a topic that clients may change.
func writable(img *metadata.Image, name string) (*metadata.Topic, error) {
	t, ok := img.Topic(name)
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: there is no topic %q", kerr.UnknownTopicOrPartition, name)
	case t.Owner.Kind == metadata.OwnerSQL:
		return nil, fmt.Errorf("%w: topic %q belongs to a relation of the SQL catalog; change or drop that", kerr.TopicAuthorizationFailed, name)
	case t.Owner.Kind != metadata.OwnerNone:
		return nil, fmt.Errorf("%w: topic %q is the node's own", kerr.TopicAuthorizationFailed, name)
	}
	return t, nil
}

// CreatePartitions implements kafka.Cluster.
func (c *Cluster) CreatePartitions(ctx context.Context, name string, total int32, validateOnly bool) error {
	change := func(b *metadata.Batch) error {
		t, err := writable(b.Image(), name)
		if err != nil {
			return err
		}
		if n := int32(len(t.Partitions)); total <= n || total > metadata.MaxPartitions {
			return fmt.Errorf("%w: topic %q has %d partitions, and %d are asked for; allowed: %d to %d", kerr.InvalidPartitions, name, n, total, n+1, metadata.MaxPartitions)
		}
		b.AddPartitions(t, total)
		return nil
	}
	if validateOnly {
		return change(c.Meta.NewBatch())
	}
	return c.apply(ctx, change)
}

// TopicConfigs implements kafka.Cluster.
func (c *Cluster) TopicConfigs(name string) ([]kafka.TopicConfig, error) {
	t, ok := c.Meta.Image().Topic(name)
	if !ok {
		return nil, fmt.Errorf("%w: there is no topic %q", kerr.UnknownTopicOrPartition, name)
	}
	return describe(t.Configs), nil
}

// AlterTopicConfigs implements kafka.Cluster.
func (c *Cluster) AlterTopicConfigs(ctx context.Context, name string, set map[string]string, unset []string, validateOnly bool) error {
	change := func(b *metadata.Batch) error {
		t, err := writable(b.Image(), name)
		if err != nil {
			return err
		}
		next := maps.Clone(t.Configs)
		if next == nil {
			next = map[string]string{}
		}
		for _, k := range unset {
			delete(next, k)
		}
		maps.Copy(next, set)
		if err := check(next); err != nil {
			return err
		}
		b.SetTopicConfigs(t.ID, set, unset...)
		return nil
	}
	if validateOnly {
		return change(c.Meta.NewBatch())
	}
	return c.apply(ctx, change)
}

// apply makes a change and waits until this node serves it. A change that another one came before is made again.
func (c *Cluster) apply(ctx context.Context, change func(*metadata.Batch) error) error {
	var err error
	for range applyTries {
		b := c.Meta.NewBatch()
		if err := change(b); err != nil {
			return err
		}
		if b.Len() == 0 {
			return nil
		}
		var res metadata.Result
		if res, err = c.Meta.Apply(ctx, b); err == nil {
			return c.WaitIndex(ctx, res.Index)
		}
		again := errors.Is(err, metadata.ErrVersionConflict) || errors.Is(err, metadata.ErrStaleEpoch) || errors.Is(err, metadata.ErrExists) || errors.Is(err, metadata.ErrNotFound)
		if !again {
			break
		}
	}
	switch {
	case errors.Is(err, metadata.ErrTooLarge):
		return fmt.Errorf("%w: %w", kerr.InvalidRequest, err)
	case errors.Is(err, metadata.ErrInvalid), errors.Is(err, metadata.ErrDependents):
		return fmt.Errorf("%w: %w", kerr.PolicyViolation, err)
	case errors.Is(err, metadata.ErrUnknownOutcome):
		return fmt.Errorf("%w: %w", kerr.RequestTimedOut, err)
	case errors.Is(err, metadata.ErrNoLeader):
		return fmt.Errorf("%w: %w", kerr.RequestTimedOut, metadata.ErrNoLeader)
	}
	return err
}
