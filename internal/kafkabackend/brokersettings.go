package kafkabackend

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/kafka"
	"github.com/millracedb/millrace/replication/metadata"
)

// brokerSettings are the settings of nodes that can be changed while they run, rates in bytes a second.
var brokerSettings = []string{metadata.ThrottleFollower, metadata.ThrottleLeader}

// unlimited is the rate of no limit, Kafka's default.
var unlimited = strconv.Itoa(math.MaxInt64)

// brokerEntity is whose settings they are in the metadata.
func (c *Cluster) brokerEntity(general bool) string {
	if general {
		return ""
	}
	return strconv.Itoa(int(c.NodeID()))
}

// BrokerConfigs implements kafka.Cluster.
func (c *Cluster) BrokerConfigs(general bool) []kafka.TopicConfig {
	var out []kafka.TopicConfig
	for _, name := range brokerSettings {
		cfg := kafka.TopicConfig{Name: name, Value: unlimited, Default: true, Type: kmsg.ConfigTypeLong}
		if v, ok := c.Meta.Image().Setting(metadata.BrokerSettingKey(c.brokerEntity(general), name)); ok {
			cfg.Value, cfg.Default = v, false
		}
		out = append(out, cfg)
	}
	return out
}

// AlterBrokerConfigs implements kafka.Cluster.
func (c *Cluster) AlterBrokerConfigs(ctx context.Context, general bool, set map[string]string, unset []string, validateOnly bool) error {
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if !slices.Contains(brokerSettings, name) {
			return fmt.Errorf("%w: there is no setting %q of a node that can be changed while it runs; allowed: %v", kerr.InvalidConfig, name, brokerSettings)
		}
		if n, err := strconv.ParseInt(set[name], 10, 64); err != nil || n < 0 {
			return fmt.Errorf("%w: %s = %q; allowed: a number of bytes a second", kerr.InvalidConfig, name, set[name])
		}
	}
	if validateOnly {
		return nil
	}
	return c.apply(ctx, func(b *metadata.Batch) error {
		for _, name := range slices.Sorted(maps.Keys(set)) {
			b.SetSetting(metadata.BrokerSettingKey(c.brokerEntity(general), name), set[name])
		}
		for _, name := range unset {
			if !slices.Contains(brokerSettings, name) {
				continue
			}
			b.UnsetSetting(metadata.BrokerSettingKey(c.brokerEntity(general), name))
		}
		return nil
	})
}
