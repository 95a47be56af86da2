package pgtest

import "syscall"

// dieWithParent asks the kernel to stop the server when the test process ends without running its clean-ups.
func dieWithParent(attr *syscall.SysProcAttr) *syscall.SysProcAttr {
	attr.Pdeathsig = syscall.SIGINT
	return attr
}
