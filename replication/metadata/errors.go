package metadata

import (
	"errors"
	"fmt"
)

// What Apply answers. Those that the state machine answers come wrapped in *Error, which says what about which name; test with errors.Is.
var (
	// ErrExists: the name or id is taken.
	ErrExists = errors.New("already exists")
	// ErrNotFound: there is no such thing.
	ErrNotFound = errors.New("does not exist")
	// ErrVersionConflict: it changed since the version the change was made from.
	ErrVersionConflict = errors.New("was changed concurrently")
	// ErrStaleEpoch: a leader, partition or broker epoch has moved on.
	ErrStaleEpoch = errors.New("epoch is stale")
	// ErrIneligible: a broker that would join an ISR is fenced, draining or not the one that asked (KIP-841, KIP-903).
	ErrIneligible = errors.New("names a broker that may not be in sync")
	// ErrDependents: other objects depend on it.
	ErrDependents = errors.New("other objects depend on it")
	// ErrInvalid: the change contradicts itself or the state.
	ErrInvalid = errors.New("is not valid")

	// ErrFeatureLevel: not all nodes of the cluster are known to understand it. Nothing was proposed.
	ErrFeatureLevel = errors.New("metadata: the feature level of the cluster is too low")
	// ErrTooLarge: the batch exceeds MaxEntryBytes. Nothing was proposed.
	ErrTooLarge = errors.New("metadata: change is larger than an entry may be")
	// ErrNotLeader: this node does not lead the metadata quorum. Nothing was proposed.
	ErrNotLeader = errors.New("metadata: this node does not lead the metadata quorum")
	// ErrNoLeader: no majority of the metadata quorum could be reached in ApplyLimit.
	ErrNoLeader = errors.New("metadata: the metadata quorum has no leader: fewer than half of its voters can be reached")
	// ErrUnknownOutcome: the batch may or may not be applied; to find out, Apply the same Batch again.
	ErrUnknownOutcome = errors.New("metadata: the outcome of the change is not known")
	// ErrLost: the data directory holds partitions but no metadata. Nothing was founded in its place.
	ErrLost = errors.New("metadata: the metadata of the data directory is missing")
	// ErrClosed: the store is closed or closing.
	ErrClosed = errors.New("metadata: closed")
)

// Error is why the state machine refused a batch. It is remembered with the request id, so it is values only.
type Error struct {
	Err    error  // one of the sentinels
	What   string // "topic", "object", "user", ...
	Name   string // as the user knows it
	Detail string // may be empty
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s %q %v", e.What, e.Name, e.Err)
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// errCodes numbers the sentinels for snapshots. Numbers are for ever.
var errCodes = [...]error{
	1: ErrExists, 2: ErrNotFound, 3: ErrVersionConflict, 4: ErrStaleEpoch, 5: ErrDependents, 6: ErrInvalid,
	7: ErrIneligible,
}

func errCode(err error) uint64 {
	for i, e := range errCodes {
		if e != nil && errors.Is(err, e) {
			return uint64(i)
		}
	}
	panic("metadata: error without a code: " + err.Error())
}

// UnknownEntryError says that the log or a snapshot holds something that only a newer release understands. The node must stop: to go on
// would be to hold a state that differs from everyone else's.
type UnknownEntryError struct {
	Index   uint64 // raft index; 0 in a snapshot
	Kind    uint64
	Version uint64
	Release string // that wrote it, and so is new enough to read it
}

func (e *UnknownEntryError) Error() string {
	return fmt.Sprintf("metadata: entry at index %d has kind %d version %d, which this release does not know; start release %s or newer",
		e.Index, e.Kind, e.Version, e.Release)
}
