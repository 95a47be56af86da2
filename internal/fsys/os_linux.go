package fsys

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// syncFS calls syncfs(2), which since Linux 5.8 also reports write errors of the file system.
func syncFS(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	if err = unix.Syncfs(int(f.Fd())); err != nil {
		err = &os.PathError{Op: "syncfs", Path: path, Err: err}
	}
	return errors.Join(err, f.Close())
}

// OpenFileLimit is how many files the process may have open at a time (RLIMIT_NOFILE of getrlimit(2); Go raises the soft limit to the hard one as it starts); 0 if nobody knows.
func OpenFileLimit() int64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil || l.Cur > math.MaxInt32 {
		return 0
	}
	return int64(l.Cur)
}
