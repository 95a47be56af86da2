package proctest

import "syscall"

// EndWithTest asks the kernel to send a process s when the process of the test ends without running its clean-ups: a time limit of go test, a kill. It returns attr.
func EndWithTest(attr *syscall.SysProcAttr, s syscall.Signal) *syscall.SysProcAttr {
	attr.Pdeathsig = s
	return attr
}
