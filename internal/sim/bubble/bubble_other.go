//go:build !mutexesblock || !(amd64 || arm64)

package bubble

import "errors"

// MutexesBlock would have synctest count goroutines that wait for a mutex as durably blocked. This program is not built for that.
func MutexesBlock() error {
	return errors.New("not built with -tags mutexesblock -ldflags=-checklinkname=0, or not for amd64 or arm64")
}
