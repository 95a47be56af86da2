//go:build !linux

package fsys

import (
	"errors"
	"os"
)

// syncFS is not to be had outside Linux; the caller then syncs file by file.
func syncFS(path string) error {
	return &os.PathError{Op: "syncfs", Path: path, Err: errors.ErrUnsupported}
}

// OpenFileLimit is not known outside Linux.
func OpenFileLimit() int64 { return 0 }
