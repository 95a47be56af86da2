package log

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Sentinels beside the Kafka errors. Each comes together with kerr.KafkaStorageError.
var (
	// ErrClosed is returned by a log after Close.
	ErrClosed = errors.New("log is closed")
	// ErrOffline is returned by every write after a write or sync has failed: what the disk holds is not known any more.
	ErrOffline = errors.New("log is offline after a disk error")
	// ErrDamaged is returned by reads of bytes that are not those that were written, and by writes to a log that was found to lack some when it was opened.
	ErrDamaged = errors.New("log is damaged")
	// ErrDiskFull is returned by writes while the disk has less room than disk.min_free.
	ErrDiskFull = errors.New("disk is full")
	// ErrTooManyLogs is returned for a log that would have more open than ManagerOptions.MaxLogs.
	ErrTooManyLogs = errors.New("no more logs can be open than the limit of open files (ulimit -n) has room for: raise it and start the node again")
)

// storageError returns an error that is err and sentinel and kerr.KafkaStorageError to errors.Is.
func storageError(sentinel, err error) error {
	if err == nil {
		return fmt.Errorf("%w: %w", sentinel, kerr.KafkaStorageError)
	}
	return fmt.Errorf("%w: %w: %w", sentinel, err, kerr.KafkaStorageError)
}

// Damage says where a log has lost bytes that had been synced. It is an error that is ErrDamaged.
type Damage struct {
	File   string // path of the segment
	Pos    int64  // position of the first bad batch
	Offset int64  // offset of the first record that cannot be read
	Cause  error
	// Within says that what follows the damage is there, so that the log can be used but for that: a reader met it, or the log's beginning is missing. Otherwise the log ends here, and takes no writes.
	Within bool
}

// Error implements error.
func (d *Damage) Error() string {
	return fmt.Sprintf("%s is damaged at byte %d, offset %d: %s", d.File, d.Pos, d.Offset, d.Cause)
}

// Unwrap makes d an ErrDamaged and a kerr.KafkaStorageError.
func (d *Damage) Unwrap() []error { return []error{ErrDamaged, kerr.KafkaStorageError, d.Cause} }
