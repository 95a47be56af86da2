package log

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
)

// Fsync is a topic's promise about the disk.
type Fsync uint8

// The values of the topic setting fsync.
const (
	// FsyncCommit makes the durable end follow completed syncs: what is acknowledged is on disk.
	FsyncCommit Fsync = iota
	// FsyncInterval makes the durable end the log end: files are synced at roll, at an orderly stop and every flush.ms.
	FsyncInterval
)

// Config are the settings of a topic that its logs need. The zero value of a field means its default, which is Kafka's.
type Config struct {
	Fsync         Fsync
	FlushInterval time.Duration // flush.ms; 0 is never, only for FsyncInterval

	SegmentBytes       int64         // segment.bytes; default 1 GiB, at most 2^31-1
	SegmentAge         time.Duration // segment.ms; default 7 days
	IndexIntervalBytes int64         // index.interval.bytes; default 4096

	Compact         bool          // cleanup.policy has compact
	Delete          bool          // cleanup.policy has delete; with neither, nothing is ever removed
	RetentionAge    time.Duration // retention.ms; 0 is 7 days, negative is for ever
	RetentionBytes  int64         // retention.bytes; 0 or less is no limit
	DirtyRatioMin   float64       // min.cleanable.dirty.ratio; default 0.5
	CompactionLag   time.Duration // min.compaction.lag.ms
	CompactionForce time.Duration // max.compaction.lag.ms; 0 is never
	TombstoneAge    time.Duration // delete.retention.ms; default 24 h

	BatchBytesMax  int           // max.message.bytes; default 1 MiB and 12 bytes
	LogAppendTime  bool          // message.timestamp.type
	TimestampAhead time.Duration // message.timestamp.after.max.ms; 0 or negative is no limit

	ProducerExpiry time.Duration // producer.id.expiration.ms; default 1 day
}

const (
	day               = 24 * time.Hour
	segmentBytesMax   = 1<<31 - 1
	segmentBytesMin   = 1 << 10
	batchBytesDefault = 1<<20 + 12
)

// WithDefaults returns c with defaults for the fields that are zero.
func (c Config) WithDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.SegmentAge, 7*day)
	def(&c.RetentionAge, 7*day)
	def(&c.TombstoneAge, day)
	def(&c.ProducerExpiry, day)
	if c.SegmentBytes == 0 {
		c.SegmentBytes = 1 << 30
	}
	if c.IndexIntervalBytes == 0 {
		c.IndexIntervalBytes = 4096
	}
	if c.DirtyRatioMin == 0 {
		c.DirtyRatioMin = 0.5
	}
	if c.BatchBytesMax == 0 {
		c.BatchBytesMax = batchBytesDefault
	}
	return c
}

// Validate lists everything that is wrong with c, whose defaults are filled in.
func (c *Config) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(c.SegmentBytes >= segmentBytesMin && c.SegmentBytes <= segmentBytesMax,
		"segment.bytes %d is not within %d and %d", c.SegmentBytes, segmentBytesMin, segmentBytesMax)
	check(c.SegmentAge > 0, "segment.ms %s is not positive", c.SegmentAge)
	check(c.IndexIntervalBytes > 0, "index.interval.bytes %d is not positive", c.IndexIntervalBytes)
	check(c.DirtyRatioMin >= 0 && c.DirtyRatioMin <= 1, "min.cleanable.dirty.ratio %g is not within 0 and 1", c.DirtyRatioMin)
	check(c.BatchBytesMax > 0 && c.BatchBytesMax <= record.BatchSizeMax,
		"max.message.bytes %d is not within 1 and %d", c.BatchBytesMax, record.BatchSizeMax)
	check(c.Fsync == FsyncCommit || c.Fsync == FsyncInterval, "fsync %d is neither commit nor interval", c.Fsync)
	return errors.Join(errs...)
}

// Options say how to open a log. Manager fills them in for its partitions.
type Options struct {
	Dir    string       // the partition's directory; it is made if it does not exist
	FS     fsys.FS      // default fsys.OS
	Clock  clock.Clock  // default clock.Real
	Logger *slog.Logger // default slog.Default()
	Sync   *SyncService // required
	Cache  *TailCache   // nil: no tail cache
	Config Config

	// Clean says that the last stop was orderly, so that segments need no scan.
	Clean bool
	// RecoveryPoint is the checkpointed end of the last sync: below it bad bytes are damage.
	RecoveryPoint int64
	// LogStart is the checkpointed log start offset.
	LogStart int64
	// CleanPoint is the checkpointed offset up to which the log has been compacted.
	CleanPoint int64

	// OnDurable is called after the durable end has moved, by the goroutine of the sync or of the append, with no lock held;
	// calls of one log may overlap. It must be quick, and must not write to the log. May be nil.
	OnDurable func(end int64)
	// OnDamage is called when a reader has met damage (Damage.Within), by its goroutine. It must be quick, and must not use the log. May be nil.
	OnDamage func()
	// BeforeCut must make RecoveryPoint and LogStart, which have just changed, durable before files are cut or removed: else
	// a crash between the two would look like damage. May be nil.
	BeforeCut func() error
	// MayWrite is asked before each append of a client; its error is returned. It is how a full disk refuses writes. May be
	// nil.
	MayWrite func() error
	// OnDiskFull is called when the disk turned out to be full in the middle of a write. May be nil.
	OnDiskFull func()
}

func (o *Options) withDefaults() error {
	if o.FS == nil {
		o.FS = fsys.OS
	}
	if o.Clock == nil {
		o.Clock = clock.Real
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	o.Config = o.Config.WithDefaults()
	if o.Sync == nil {
		return errors.New("log: Options.Sync is required")
	}
	return o.Config.Validate()
}
