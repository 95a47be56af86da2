// Package crashtest holds the tests that take a whole node down while clients write and persistent queries run, and then ask
// whether anything acknowledged is missing and anything is there twice.
//
// workload_test.go writes and checks; kill_test.go runs it against a real process that is killed (the page cache survives that), crash_test.go against
// a node in this process on the crashable file system, which forgets what was not synced. MILLRACE_KILL_ROUNDS and MILLRACE_CRASH_SEEDS
// say how often; the defaults keep "go test" short.
//
// The files that begin with fault, behind the build tag faults, do what only root may: three processes in network namespaces, each with a disk of its own, under real faults. faults_test.go has the
// faults and a cycle, faultnet_test.go the network, faultnode_test.go the nodes and disks, faultload_test.go the clients, faultforeign_test.go those of other libraries, faultupgrade_test.go older programs, faultcheck_test.go compares, faultleft_test.go takes away
// what a killed run has left. The logs of the nodes, in the directory that the first line names, are where to start when a cycle is wrong: the seed fixes what is done to which node, not what the clients get through.
//
// partitions_test.go, behind the build tag scale, kills one of three nodes that hold thousands of partitions, and tells what that and what they cost; traffic_test.go writes to them, procstat_test.go asks the
// system; queries_test.go has a third node join two that run hundreds of queries. MILLRACE_PROFILE_PORT=17000 has the nodes show their profiles there and on the next two ports.
package crashtest
