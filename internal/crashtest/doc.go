// Package crashtest holds the tests that take a whole node down while clients write and persistent queries run, and then ask
// whether anything acknowledged is missing and anything is there twice.
//
// workload_test.go writes and checks; kill_test.go runs it against a real process that is killed (the page cache survives that), crash_test.go against
// a node in this process on the crashable file system, which forgets what was not synced. MILLRACE_KILL_ROUNDS and MILLRACE_CRASH_SEEDS
// say how often; the defaults keep "go test" short.
package crashtest
