// Package bubble has whole nodes live in a bubble of testing/synctest.
//
// In a bubble time passes when all goroutines are durably blocked, and a goroutine that waits for a mutex is not: the mutex may be held outside. In a node, and in the libraries that it uses, some mutexes are held
// while something is waited for that takes virtual time, a sync of a slow disk as a rule. As soon as another goroutine wants such a mutex, time would stop for ever. In a process in which nothing runs but
// one bubble no mutex is held outside, and a goroutine that waits for one is as idle as one that waits for a channel. MutexesBlock makes it count so.
//
// The runtime has no switch for that. It has a table of the reasons for which goroutines wait, which says of each whether it is idle; this package finds the table by its symbol, which the linker allows
// with -checklinkname=0 only. So it is for processes of their own, whose program is built with the tag mutexesblock and that flag; package nodes starts them. Start debugging, after an update of Go, with the
// error of MutexesBlock.
package bubble
