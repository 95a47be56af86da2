package fsys

import "github.com/cockroachdb/pebble/v2/vfs"

// memFile is an open file or directory of a Mem: it asks the Mem's predicates before each call.
type memFile struct {
	vfs.File
	fs   *Mem
	path string
	dir  bool
}

// Read implements vfs.File.
func (f *memFile) Read(p []byte) (int, error) {
	if err := f.fs.check(OpRead, f.path); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

// ReadAt implements vfs.File.
func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.check(OpRead, f.path); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

// Write implements vfs.File.
func (f *memFile) Write(p []byte) (int, error) {
	if err := f.fs.check(OpWrite, f.path); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

// WriteAt implements vfs.File.
func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.check(OpWrite, f.path); err != nil {
		return 0, err
	}
	return f.File.WriteAt(p, off)
}

// Sync implements vfs.File.
func (f *memFile) Sync() error {
	op := OpSync
	if f.dir {
		op = OpSyncDir
	}
	return f.fs.sync(op, f.path, f.File.Sync)
}

// SyncData implements vfs.File.
func (f *memFile) SyncData() error { return f.Sync() }
