package fsys

import (
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// OS is the machine's file system.
var OS FS = osFS{vfs.Default}

type osFS struct{ vfs.FS }

// Truncate implements FS.
func (osFS) Truncate(name string, size int64) error { return os.Truncate(name, size) }

// SyncFS implements FS.
func (osFS) SyncFS(path string) error { return syncFS(path) }

// Unwrap implements vfs.FS.
func (o osFS) Unwrap() vfs.FS { return o.FS }
