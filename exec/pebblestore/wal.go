package pebblestore

import (
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// walSuffix ends the names of Pebble's write-ahead logs.
const walSuffix = ".log"

// walFS keeps Pebble from hearing that its write-ahead log cannot be written, on a full disk as a rule: it panics then, with a lock held that Close would need. Nothing waits for that log to be durable, so its end may
// be lost as in a power cut. What comes after the first failure is left out, of this log and those after it, for a gap would be worse; and the node is told to stop.
type walFS struct {
	vfs.FS
	failed *atomic.Bool
	on     func(error) // called at each failure
}

func (w *walFS) fail(name string, err error) {
	w.failed.Store(true)
	w.on(fmt.Errorf("%w: %s: %w", errFatal, name, err))
}

// Create implements vfs.FS.
func (w *walFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := w.FS.Create(name, c)
	return w.wrap(f, name, err)
}

// ReuseForWrite implements vfs.FS.
func (w *walFS) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := w.FS.ReuseForWrite(oldname, newname, c)
	return w.wrap(f, newname, err)
}

func (w *walFS) wrap(f vfs.File, name string, err error) (vfs.File, error) {
	if !strings.HasSuffix(name, walSuffix) {
		return f, err
	}
	if err != nil {
		w.fail(name, err)
		f, err = vfs.NewMem().Create(walSuffix, vfs.WriteCategoryUnspecified) // to be asked for its size
	}
	return &walFile{File: f, fs: w, name: name}, err
}

// walFile is a write-ahead log that takes everything.
type walFile struct {
	vfs.File
	fs   *walFS
	name string
}

// do runs a call on the file, unless the logs have failed.
func (f *walFile) do(call func() error) {
	if f.fs.failed.Load() {
		return
	}
	if err := call(); err != nil {
		f.fs.fail(f.name, err)
	}
}

func (f *walFile) Write(p []byte) (int, error) {
	f.do(func() error {
		_, err := f.File.Write(p)
		return err
	})
	return len(p), nil
}

func (f *walFile) Sync() error {
	f.do(func() error { return f.File.Sync() })
	return nil
}

func (f *walFile) SyncData() error {
	f.do(func() error { return f.File.SyncData() })
	return nil
}

func (f *walFile) SyncTo(length int64) (fullSync bool, err error) {
	f.do(func() (err error) {
		fullSync, err = f.File.SyncTo(length)
		return err
	})
	return fullSync, nil
}

func (f *walFile) Preallocate(offset, length int64) error {
	f.do(func() error { return f.File.Preallocate(offset, length) })
	return nil
}

// Fd has Pebble go through this file for everything.
func (f *walFile) Fd() uintptr { return vfs.InvalidFd }
