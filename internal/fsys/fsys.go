// Package fsys is the seam for files: all of Millrace's durable state, Pebble's included, is read and written through an
// [FS] that the node is given. There are two implementations:
//
//   - [OS] is the machine's file system;
//   - [Mem] lives in memory and can crash: [Mem.CrashClone] returns what a power cut would have left, which is what was
//     synced and any part of what was not. It also fails calls on demand ([Mem.Inject]) and can turn chosen syncs into
//     no-ops ([Mem.SkipSyncs]), so that a test can prove that each sync matters.
//
// An FS is Pebble's vfs.FS with a few methods more, so it goes into pebble.Options.FS as it is.
//
// # Files
//
// Millrace writes files in two ways only. Small ones (checkpoints, properties) are replaced whole with [WriteFileAtomic].
// Logs are opened with OpenReadWrite and written with WriteAt by one writer, while at most one Sync or SyncData runs beside
// it: an FS of this package allows WriteAt and ReadAt during a sync, and the sync covers every WriteAt that had returned
// before it began. A file must not be closed while a sync of it runs.
//
// A new, renamed or removed name is durable once its directory is synced: [SyncDir].
package fsys

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// FS is a file system. Names are paths, separated as the implementation's PathJoin does it.
type FS interface {
	vfs.FS
	// Truncate sets the size of the named file, which must not be larger than it is now. The new size is durable once
	// the file and its directory have been synced. A handle opened before the call may still see the old file: reopen it.
	Truncate(name string, size int64) error
	// SyncFS makes everything written so far to the file system that holds path durable, files and directories alike.
	// It is syncfs(2): one call for many files.
	SyncFS(path string) error
}

// File is an open file. Fd gives its descriptor, or vfs.InvalidFd: see [Fd].
type File = vfs.File

// DiskUsage is the answer of FS.GetDiskUsage, in bytes.
type DiskUsage = vfs.DiskUsage

// Category is the write category for the files of the log, which Pebble's disk statistics ask for.
const Category = vfs.WriteCategoryUnspecified

// dirPerm is the mode of directories made by MkdirAllSync: data is its owner's alone.
const dirPerm os.FileMode = 0o750

// Fd returns the descriptor of f, for sendfile, and whether there is one. The descriptor belongs to f: it must not be used
// after f is closed.
func Fd(f File) (uintptr, bool) {
	fd := f.Fd()
	return fd, fd != vfs.InvalidFd
}

// IsNotExist reports whether err says that a file or directory does not exist.
func IsNotExist(err error) bool { return errors.Is(err, os.ErrNotExist) }

// SyncDir makes the names in dir durable.
func SyncDir(fs FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// MkdirAllSync makes dir and its missing parents, and makes their names durable.
func MkdirAllSync(fs FS, dir string) error {
	var missing []string
	for d := dir; ; d = fs.PathDir(d) {
		if _, err := fs.Stat(d); err == nil {
			break
		} else if !IsNotExist(err) {
			return err
		}
		missing = append(missing, d)
		if fs.PathDir(d) == d {
			break
		}
	}
	if err := fs.MkdirAll(dir, dirPerm); err != nil {
		return err
	}
	for _, d := range missing {
		if err := SyncDir(fs, fs.PathDir(d)); err != nil {
			return err
		}
	}
	return nil
}

// ReadFile returns the content of the named file. A file of more than limit bytes is an error.
func ReadFile(fs FS, name string, limit int64) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // opened for reading: nothing is lost
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that are sensible", name, st.Size(), limit)
	}
	data := make([]byte, st.Size())
	if n, err := f.ReadAt(data, 0); err != nil && (n < len(data) || !errors.Is(err, io.EOF)) {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}

// WriteFileAtomic replaces the named file by data: it writes a temporary file beside it, syncs that, renames it into place
// and syncs the directory. After a crash at any moment the file holds either what it held before or data, and once the
// call has returned nil it holds data. Callers must not run two of these on one name at the same time.
func WriteFileAtomic(fs FS, name string, data []byte) error {
	tmp := name + ".tmp"
	f, err := fs.Create(tmp, Category)
	if err != nil {
		return err
	}
	// vfs.File.Write may change the slice it is given, so it gets a copy.
	_, err = f.Write(append([]byte(nil), data...))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, fs.Remove(tmp))
	}
	if err := fs.Rename(tmp, name); err != nil {
		return err
	}
	return SyncDir(fs, fs.PathDir(name))
}
