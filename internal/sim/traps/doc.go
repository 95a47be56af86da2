// Package traps holds the classic mistakes in replicated logs that others have made and that Millrace has a rule against: which rule, in which line of the source, and which test fails without it.
//
// The tests themselves are beside the code they are about, most of them in replication/traps_test.go. Here each rule is taken out of the source in turn, by an overlay that the compiler reads in place of the
// file, and the test is run and must fail. Start debugging with the name of the trap: MILLRACE_TRAPS="KIP-279" go test ./internal/sim/traps runs those whose name has it; "all" runs all.
//
// What the models of packages core and sim can switch off by themselves is not here.
package traps
