//go:build faults

package fsys

import (
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millracedb/millrace/internal/clock"
)

// slowFlag names the environment variable of test builds that makes the disk slow: it names a file that holds how much longer each sync takes, such as 300ms. It is
// read at each sync, so that a test can change it; a file that is not there, or empty, means no longer.
const slowFlag = "MILLRACE_FAULT_SYNC_DELAY"

// slowFlagLimit bounds the size of that file.
const slowFlagLimit = 64

func init() {
	if file := os.Getenv(slowFlag); file != "" {
		OS = slowFS{OS, OS, file}
	}
}

// slowFS is a file system whose syncs take longer.
type slowFS struct {
	FS
	fast FS
	file string
}

// wait passes the time that a sync takes longer.
func (s slowFS) wait() {
	text, err := ReadFile(s.fast, s.file, slowFlagLimit)
	if err != nil {
		return
	}
	if d, err := time.ParseDuration(string(text)); err == nil && d > 0 {
		<-clock.Real.NewTimer(d).C()
	}
}

func (s slowFS) slow(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return slowFile{f, s}, nil
}

// Create implements vfs.FS.
func (s slowFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return s.slow(s.FS.Create(name, c))
}

// OpenReadWrite implements vfs.FS.
func (s slowFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return s.slow(s.FS.OpenReadWrite(name, c, opts...))
}

// ReuseForWrite implements vfs.FS.
func (s slowFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return s.slow(s.FS.ReuseForWrite(old, name, c))
}

// OpenDir implements vfs.FS.
func (s slowFS) OpenDir(name string) (vfs.File, error) { return s.slow(s.FS.OpenDir(name)) }

// SyncFS implements FS.
func (s slowFS) SyncFS(path string) error {
	s.wait()
	return s.FS.SyncFS(path)
}

// slowFile is a file of a slowFS.
type slowFile struct {
	vfs.File
	fs slowFS
}

// Sync implements vfs.File.
func (f slowFile) Sync() error {
	f.fs.wait()
	return f.File.Sync()
}

// SyncData implements vfs.File.
func (f slowFile) SyncData() error {
	f.fs.wait()
	return f.File.SyncData()
}

// SyncTo implements vfs.File. It syncs the whole file, as vfs.File allows.
func (f slowFile) SyncTo(int64) (bool, error) { return true, f.SyncData() }
