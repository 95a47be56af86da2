package fsys

import (
	"errors"
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
