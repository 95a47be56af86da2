package fsys

import (
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ForPebble returns fs for a Pebble store. Pebble makes a manifest, and then a marker file that names it, and syncs their directory once, after
// both: it counts on a crash not to keep the later name without the earlier. No standard promises that, so here the names that are there
// become durable before a marker is made.
func ForPebble(fs FS) vfs.FS { return pebbleFS{fs} }

// markerPrefix begins the names of Pebble's marker files (its package vfs/atomicfs).
const markerPrefix = "marker."

type pebbleFS struct{ FS }

// Create implements vfs.FS.
func (p pebbleFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasPrefix(p.PathBase(name), markerPrefix) {
		if err := SyncDir(p.FS, p.PathDir(name)); err != nil {
			return nil, err
		}
	}
	return p.FS.Create(name, c)
}
