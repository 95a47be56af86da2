package kafkabackend

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/kafka"
	"github.com/millracedb/millrace/replication"
)

// setting is a setting of topics as Kafka's tools see it (Kafka documentation, "Topic Configs").
type setting struct {
	name  string
	value string // the default
	kind  kmsg.ConfigType
	// fixed settings can only be set to their default: clients such as Kafka Streams set them for every topic.
	fixed bool
}

// settings are all settings of topics, by name. Their defaults are those of package log.
var settings = []setting{
	{"cleanup.policy", "delete", kmsg.ConfigTypeList, false},
	{"compression.gzip.level", "-1", kmsg.ConfigTypeInt, true},
	{"compression.lz4.level", "9", kmsg.ConfigTypeInt, true},
	{"compression.type", "producer", kmsg.ConfigTypeString, true},
	{"compression.zstd.level", "3", kmsg.ConfigTypeInt, true},
	{"delete.retention.ms", "86400000", kmsg.ConfigTypeLong, false},
	{"file.delete.delay.ms", "60000", kmsg.ConfigTypeLong, true},
	{"flush.messages", "9223372036854775807", kmsg.ConfigTypeLong, true},
	{"flush.ms", "9223372036854775807", kmsg.ConfigTypeLong, false},
	{replication.SettingThrottledAtFollower, "", kmsg.ConfigTypeList, false},
	{"fsync", "commit", kmsg.ConfigTypeString, false},
	{"index.interval.bytes", "4096", kmsg.ConfigTypeInt, false},
	{replication.SettingThrottledAtLeader, "", kmsg.ConfigTypeList, false},
	{"local.retention.bytes", "-2", kmsg.ConfigTypeLong, true},
	{"local.retention.ms", "-2", kmsg.ConfigTypeLong, true},
	{"max.compaction.lag.ms", "9223372036854775807", kmsg.ConfigTypeLong, false},
	{"max.message.bytes", "1048588", kmsg.ConfigTypeInt, false},
	{"message.timestamp.after.max.ms", "9223372036854775807", kmsg.ConfigTypeLong, false},
	{"message.timestamp.before.max.ms", "9223372036854775807", kmsg.ConfigTypeLong, true},
	{"message.timestamp.type", "CreateTime", kmsg.ConfigTypeString, false},
	{"min.cleanable.dirty.ratio", "0.5", kmsg.ConfigTypeDouble, false},
	{"min.compaction.lag.ms", "0", kmsg.ConfigTypeLong, false},
	{"min.insync.replicas", "1", kmsg.ConfigTypeInt, false},
	{"preallocate", "false", kmsg.ConfigTypeBoolean, true},
	{"remote.log.copy.disable", "false", kmsg.ConfigTypeBoolean, true},
	{"remote.log.delete.on.disable", "false", kmsg.ConfigTypeBoolean, true},
	{"remote.storage.enable", "false", kmsg.ConfigTypeBoolean, true},
	{"retention.bytes", "-1", kmsg.ConfigTypeLong, false},
	{"retention.ms", "604800000", kmsg.ConfigTypeLong, false},
	{"segment.bytes", "1073741824", kmsg.ConfigTypeInt, false},
	{"segment.index.bytes", "10485760", kmsg.ConfigTypeInt, true},
	{"segment.jitter.ms", "0", kmsg.ConfigTypeLong, true},
	{"segment.ms", "604800000", kmsg.ConfigTypeLong, false},
	{"unclean.leader.election.enable", "false", kmsg.ConfigTypeBoolean, true},
}

// describe lists the effective settings of a topic.
func describe(configs map[string]string) []kafka.TopicConfig {
	out := make([]kafka.TopicConfig, 0, len(settings))
	for _, s := range settings {
		c := kafka.TopicConfig{Name: s.name, Value: s.value, Default: true, Type: s.kind}
		if v, ok := configs[s.name]; ok {
			c.Value, c.Default = v, false
		}
		out = append(out, c)
	}
	return out
}

// check refuses settings that are unknown or wrong, with INVALID_CONFIG.
func check(configs map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(configs)) {
		i := slices.IndexFunc(settings, func(s setting) bool { return s.name == name })
		switch {
		case i < 0:
			return fmt.Errorf("%w: there is no topic setting %q", kerr.InvalidConfig, name)
		case settings[i].fixed && configs[name] != settings[i].value:
			return fmt.Errorf("%w: %s = %q; allowed: %s", kerr.InvalidConfig, name, configs[name], settings[i].value)
		}
	}
	if v, ok := configs["min.insync.replicas"]; ok {
		if n, err := strconv.ParseInt(v, 10, 32); err != nil || n < 1 {
			return fmt.Errorf("%w: min.insync.replicas = %q; allowed: a number from 1", kerr.InvalidConfig, v)
		}
	}
	for _, name := range []string{replication.SettingThrottledAtFollower, replication.SettingThrottledAtLeader} {
		if v := configs[name]; !replication.ThrottledReplicas(v).Valid() {
			return fmt.Errorf("%w: %s = %q; allowed: * or a list of partition:broker", kerr.InvalidConfig, name, v)
		}
	}
	if _, err := replication.LogConfig(configs); err != nil {
		return fmt.Errorf("%w: %w", kerr.InvalidConfig, err)
	}
	return nil
}
