package fsys

import (
	"io"
	"os"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Op names a call on a [Mem] or on a file of it, for fault predicates.
type Op string

// The calls a fault predicate can see. Both Sync and SyncData of a file are OpSync, of a directory OpSyncDir.
const (
	OpCreate   Op = "create" // Create, and OpenReadWrite and Lock, which may create
	OpOpen     Op = "open"   // Open, OpenDir
	OpRead     Op = "read"   // Read, ReadAt
	OpWrite    Op = "write"  // Write, WriteAt
	OpSync     Op = "sync"
	OpSyncDir  Op = "syncdir"
	OpSyncFS   Op = "syncfs"
	OpTruncate Op = "truncate"
	OpLink     Op = "link"
	OpRename   Op = "rename" // path is the old name; ReuseForWrite too
	OpRemove   Op = "remove" // Remove, RemoveAll
	OpMkdir    Op = "mkdir"
	OpList     Op = "list"
	OpStat     Op = "stat"
)

// Fault decides about one call before it is made: nil lets it pass, an error is returned in its stead (syscall.ENOSPC,
// syscall.EIO). It may be called from several goroutines at once. It may block, which stalls that call.
type Fault func(op Op, path string) error

// memDiskBytes is the size a Mem claims to have until SetDiskUsage says otherwise.
const memDiskBytes = 1 << 40

// Mem is a file system in memory that can crash. It wraps Pebble's crashable MemFS. Safe for concurrent use.
type Mem struct {
	*vfs.MemFS
	mu struct {
		sync.RWMutex
		fault Fault
		skip  func(op Op, path string) bool
		usage DiskUsage
	}
}

var _ FS = (*Mem)(nil)

// NewMem returns an empty Mem.
func NewMem() *Mem { return newMem(vfs.NewCrashableMem()) }

func newMem(inner *vfs.MemFS) *Mem {
	m := &Mem{MemFS: inner}
	m.mu.usage = DiskUsage{AvailBytes: memDiskBytes, TotalBytes: memDiskBytes}
	return m
}

// CrashClone returns the file system as a crash at this moment might leave it: cfg says how much of what was not synced
// survives. The clone has no faults and skips no syncs; m itself goes on.
func (m *Mem) CrashClone(cfg vfs.CrashCloneCfg) *Mem { return newMem(m.MemFS.CrashClone(cfg)) }

// Inject makes f decide about every call from now on; nil takes it out.
func (m *Mem) Inject(f Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.fault = f
}

// SkipSyncs turns every sync (OpSync, OpSyncDir, OpSyncFS) for which match answers true into a no-op that reports success;
// nil ends that. To skip one call and not a call site, let match count.
func (m *Mem) SkipSyncs(match func(op Op, path string) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.skip = match
}

// SetDiskUsage sets what GetDiskUsage answers. It limits nothing: to have writes fail, Inject syscall.ENOSPC.
func (m *Mem) SetDiskUsage(u DiskUsage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.usage = u
}

// check asks the fault predicate.
func (m *Mem) check(op Op, path string) error {
	m.mu.RLock()
	fault := m.mu.fault
	m.mu.RUnlock()
	if fault == nil {
		return nil
	}
	if err := fault(op, path); err != nil {
		return &os.PathError{Op: string(op), Path: path, Err: err}
	}
	return nil
}

// sync asks the predicates and then runs do.
func (m *Mem) sync(op Op, path string, do func() error) error {
	if err := m.check(op, path); err != nil {
		return err
	}
	m.mu.RLock()
	skip := m.mu.skip
	m.mu.RUnlock()
	if skip != nil && skip(op, path) {
		return nil
	}
	return do()
}

// wrap returns f as a file of m, or err.
func (m *Mem) wrap(f vfs.File, err error, path string, dir bool) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &memFile{File: f, fs: m, path: path, dir: dir}, nil
}

// Create implements vfs.FS.
func (m *Mem) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := m.check(OpCreate, name); err != nil {
		return nil, err
	}
	f, err := m.MemFS.Create(name, c)
	return m.wrap(f, err, name, false)
}

// Open implements vfs.FS.
func (m *Mem) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	if err := m.check(OpOpen, name); err != nil {
		return nil, err
	}
	f, err := m.MemFS.Open(name, opts...)
	return m.wrap(f, err, name, false)
}

// OpenReadWrite implements vfs.FS.
func (m *Mem) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	if err := m.check(OpCreate, name); err != nil {
		return nil, err
	}
	f, err := m.MemFS.OpenReadWrite(name, c, opts...)
	return m.wrap(f, err, name, false)
}

// OpenDir implements vfs.FS.
func (m *Mem) OpenDir(name string) (vfs.File, error) {
	if err := m.check(OpOpen, name); err != nil {
		return nil, err
	}
	f, err := m.MemFS.OpenDir(name)
	return m.wrap(f, err, name, true)
}

// Link implements vfs.FS.
func (m *Mem) Link(oldname, newname string) error {
	if err := m.check(OpLink, oldname); err != nil {
		return err
	}
	return m.MemFS.Link(oldname, newname)
}

// Remove implements vfs.FS.
func (m *Mem) Remove(name string) error {
	if err := m.check(OpRemove, name); err != nil {
		return err
	}
	return m.MemFS.Remove(name)
}

// RemoveAll implements vfs.FS.
func (m *Mem) RemoveAll(name string) error {
	if err := m.check(OpRemove, name); err != nil {
		return err
	}
	return m.MemFS.RemoveAll(name)
}

// Rename implements vfs.FS.
func (m *Mem) Rename(oldname, newname string) error {
	if err := m.check(OpRename, oldname); err != nil {
		return err
	}
	return m.MemFS.Rename(oldname, newname)
}

// ReuseForWrite implements vfs.FS.
func (m *Mem) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := m.check(OpRename, oldname); err != nil {
		return nil, err
	}
	f, err := m.MemFS.ReuseForWrite(oldname, newname, c)
	return m.wrap(f, err, newname, false)
}

// MkdirAll implements vfs.FS.
func (m *Mem) MkdirAll(dir string, perm os.FileMode) error {
	if err := m.check(OpMkdir, dir); err != nil {
		return err
	}
	return m.MemFS.MkdirAll(dir, perm)
}

// Lock implements vfs.FS.
func (m *Mem) Lock(name string) (io.Closer, error) {
	if err := m.check(OpCreate, name); err != nil {
		return nil, err
	}
	return m.MemFS.Lock(name)
}

// List implements vfs.FS.
func (m *Mem) List(dir string) ([]string, error) {
	if err := m.check(OpList, dir); err != nil {
		return nil, err
	}
	return m.MemFS.List(dir)
}

// Stat implements vfs.FS.
func (m *Mem) Stat(name string) (vfs.FileInfo, error) {
	if err := m.check(OpStat, name); err != nil {
		return nil, err
	}
	return m.MemFS.Stat(name)
}

// GetDiskUsage implements vfs.FS.
func (m *Mem) GetDiskUsage(string) (DiskUsage, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.mu.usage, nil
}

// Unwrap implements vfs.FS.
func (m *Mem) Unwrap() vfs.FS { return m.MemFS }

// Truncate implements FS. The MemFS beneath cannot shorten a file, so a shorter copy takes its name. As with a real file
// system, a crash may bring the longer file back until the directory is synced. What remains counts as synced, which is kinder
// than a real one to bytes that were not, but a cut must not lose those that were.
func (m *Mem) Truncate(name string, size int64) error {
	if err := m.check(OpTruncate, name); err != nil {
		return err
	}
	from, err := m.MemFS.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // closing a memory file cannot fail
	tmp := name + ".truncate"
	to, err := m.MemFS.Create(tmp, Category)
	if err != nil {
		return err
	}
	defer func() { _ = to.Close() }()
	if _, err := io.CopyN(to, from, size); err != nil {
		return err
	}
	if err := to.Sync(); err != nil {
		return err
	}
	return m.MemFS.Rename(tmp, name)
}

// SyncFS implements FS.
func (m *Mem) SyncFS(path string) error {
	return m.sync(OpSyncFS, path, func() error { return m.syncTree("/") })
}

// syncTree syncs dir and all below it. A name that goes away meanwhile needs no sync.
func (m *Mem) syncTree(dir string) error {
	names, err := m.MemFS.List(dir)
	if err != nil {
		return ignoreNotExist(err)
	}
	for _, name := range names {
		path := m.PathJoin(dir, name)
		st, err := m.MemFS.Stat(path)
		if err != nil {
			if err = ignoreNotExist(err); err != nil {
				return err
			}
			continue
		}
		if st.IsDir() {
			err = m.syncTree(path)
		} else {
			err = m.syncOne(path)
		}
		if err != nil {
			return err
		}
	}
	return m.syncOne(dir)
}

func (m *Mem) syncOne(path string) error {
	f, err := m.MemFS.Open(path)
	if err != nil {
		return ignoreNotExist(err)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

func ignoreNotExist(err error) error {
	if IsNotExist(err) {
		return nil
	}
	return err
}
