package replication

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/millracedb/millrace/log"
	"github.com/millracedb/millrace/replication/metadata"
)

// Settings of a topic that replication reads; the others are those of topicSettings.
const settingMinISR = "min.insync.replicas"

// topicSettings are the settings of a topic's log by their Kafka names (Kafka documentation, "Topic Configs"), and fsync, which is ours.
var topicSettings = map[string]func(c *log.Config, v string) error{
	"fsync": func(c *log.Config, v string) error {
		switch v {
		case "commit":
			c.Fsync = log.FsyncCommit
		case "interval":
			c.Fsync = log.FsyncInterval
		default:
			return fmt.Errorf("it is neither commit nor interval")
		}
		return nil
	},
	"cleanup.policy": func(c *log.Config, v string) error {
		c.Compact, c.Delete = false, false
		for word := range strings.SplitSeq(v, ",") {
			switch strings.TrimSpace(word) {
			case "compact":
				c.Compact = true
			case "delete":
				c.Delete = true
			case "":
			default:
				return fmt.Errorf("it is not a list of compact and delete")
			}
		}
		return nil
	},
	"message.timestamp.type": func(c *log.Config, v string) error {
		switch v {
		case "CreateTime":
			c.LogAppendTime = false
		case "LogAppendTime":
			c.LogAppendTime = true
		default:
			return fmt.Errorf("it is neither CreateTime nor LogAppendTime")
		}
		return nil
	},
	"min.cleanable.dirty.ratio": func(c *log.Config, v string) error {
		f, err := strconv.ParseFloat(v, 64)
		if err != nil || !(f >= 0 && f <= 1) {
			return fmt.Errorf("it is not a number between 0 and 1")
		}
		c.DirtyRatioMin = f
		return nil
	},
	"max.message.bytes": func(c *log.Config, v string) error {
		n, err := number(v, 1, math.MaxInt32)
		c.BatchBytesMax = int(n)
		return err
	},
	"flush.ms":                       duration(func(c *log.Config) *time.Duration { return &c.FlushInterval }),
	"segment.ms":                     duration(func(c *log.Config) *time.Duration { return &c.SegmentAge }),
	"retention.ms":                   duration(func(c *log.Config) *time.Duration { return &c.RetentionAge }),
	"min.compaction.lag.ms":          duration(func(c *log.Config) *time.Duration { return &c.CompactionLag }),
	"max.compaction.lag.ms":          duration(func(c *log.Config) *time.Duration { return &c.CompactionForce }),
	"delete.retention.ms":            duration(func(c *log.Config) *time.Duration { return &c.TombstoneAge }),
	"message.timestamp.after.max.ms": duration(func(c *log.Config) *time.Duration { return &c.TimestampAhead }),
	"producer.id.expiration.ms":      duration(func(c *log.Config) *time.Duration { return &c.ProducerExpiry }),
	"segment.bytes":                  bytes(func(c *log.Config) *int64 { return &c.SegmentBytes }),
	"index.interval.bytes":           bytes(func(c *log.Config) *int64 { return &c.IndexIntervalBytes }),
	"retention.bytes":                bytes(func(c *log.Config) *int64 { return &c.RetentionBytes }),
}

// duration sets a field given in milliseconds. What does not fit is as good as for ever; -1 stays negative.
func duration(field func(*log.Config) *time.Duration) func(*log.Config, string) error {
	return func(c *log.Config, v string) error {
		n, err := number(v, -1, math.MaxInt64)
		n = min(n, math.MaxInt64/int64(time.Millisecond))
		*field(c) = time.Duration(n) * time.Millisecond
		return err
	}
}

func bytes(field func(*log.Config) *int64) func(*log.Config, string) error {
	return func(c *log.Config, v string) (err error) {
		*field(c), err = number(v, -1, math.MaxInt64)
		return err
	}
}

func number(v string, low, high int64) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("it is not a number from %d to %d", low, high)
	}
	return n, nil
}

// LogConfig turns a topic's settings into a log's. Settings it does not know are left to others; a bad value is an error that names it. A topic that sets no
// cleanup.policy has its old records deleted, as in Kafka.
func LogConfig(settings map[string]string) (log.Config, error) {
	c := log.Config{Delete: true}
	for name, value := range settings {
		set, ok := topicSettings[name]
		if !ok {
			continue
		}
		if err := set(&c, value); err != nil {
			return log.Config{}, fmt.Errorf("topic setting %s = %q: %w", name, value, err)
		}
	}
	c = c.WithDefaults()
	return c, c.Validate()
}

// MinISR is how many replicas must be in sync for an acks=all append: the topic's min.insync.replicas, or by default a majority of those
// placed, at most 2. Replicas that are being added do not count until they are in sync.
func MinISR(t *metadata.Topic, p metadata.Partition) int {
	if v, ok := t.Configs[settingMinISR]; ok {
		if n, err := number(v, 1, math.MaxInt32); err == nil {
			return int(n)
		}
	}
	return min((len(p.Replicas)-len(p.Adding))/2+1, 2)
}
