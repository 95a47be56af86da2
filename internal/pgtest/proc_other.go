//go:build !linux

package pgtest

import "syscall"

// dieWithParent can do nothing here: a server outlives a test process that is killed.
func dieWithParent(attr *syscall.SysProcAttr) *syscall.SysProcAttr { return attr }
