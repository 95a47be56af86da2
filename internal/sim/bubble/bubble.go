//go:build mutexesblock && (amd64 || arm64)

package bubble

import (
	"errors"
	"fmt"
	"unsafe"
)

// reasons are those that come to count as idle, as the runtime calls them in the dump of a goroutine.
var reasons = []string{"sync.Mutex.Lock", "sync.RWMutex.RLock", "sync.RWMutex.Lock"}

const (
	// maxReasons bounds the table that is looked through, maxName the length of a name in it.
	maxReasons = 256
	maxName    = 64
)

// idleTable returns the runtime's table of what is idle in a bubble, and nameTable that of the names of the same reasons.
func idleTable() *[maxReasons]bool
func nameTable() *[maxReasons]string

// MutexesBlock has synctest count goroutines that wait for a mutex as durably blocked, in this process from now on. Call it before the bubble is made. An error says that the program is not built for
// that, or that the runtime is not as expected; nothing has been changed then.
func MutexesBlock() error {
	names, idle := nameTable(), idleTable()
	var at []int
	for _, r := range reasons {
		i := find(names, r)
		if i < 0 || idle[i] {
			return fmt.Errorf("this runtime's reason to wait %q is not found, or idle already", r)
		}
		at = append(at, i)
	}
	if i := find(names, "sleep"); i < 0 || !idle[i] {
		return errors.New("this runtime does not call sleeping idle")
	}
	for _, i := range at {
		idle[i] = true
	}
	return nil
}

// find looks for a name; the table ends at the first entry that is no short text.
func find(names *[maxReasons]string, name string) int {
	for i := range names {
		h := (*stringHeader)(unsafe.Pointer(&names[i]))
		if i > 0 && (h.data == nil || h.len <= 0 || h.len > maxName) {
			return -1
		}
		if names[i] == name {
			return i
		}
	}
	return -1
}

type stringHeader struct {
	data unsafe.Pointer
	len  int
}
