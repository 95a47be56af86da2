//go:build !linux

package proctest

import "syscall"

// EndWithTest can do nothing here: a process outlives a test that is killed.
func EndWithTest(attr *syscall.SysProcAttr, _ syscall.Signal) *syscall.SysProcAttr { return attr }
