// Package slt runs the scripts of sqllogictest/testdata against PostgreSQL, the oracle of what Millrace does as PostgreSQL does, and against a node in this
// process. It holds tests alone.
//
// postgres_test.go, millrace_test.go (a node alone) and cluster_test.go (three nodes) are the harnesses, slt_test.go what they share. Scripts in scalar/ and snapshot/ must give the same on both;
// those in stream/ run on Millrace only; pending/ has the same three folders again, of scripts that Millrace does not satisfy yet, so that only PostgreSQL runs them.
//
//	go test ./internal/slt                                  each script in one mode, chosen by hash
//	MILLRACE_SLT=all go test ./internal/slt                 each script in every mode
//	MILLRACE_SLT=cluster go test ./internal/slt -run ThreeNodes  each script on three nodes, with and without a kill
//	MILLRACE_SLT=pending go test ./internal/slt             those of pending/ as well: what passes can move
//	MILLRACE_SEED=7 go test ./internal/slt                  other choices of mode, and of the statement to restart at
//	go test ./internal/slt -run Postgres/scalar -rewrite    write what PostgreSQL gives into the scripts
package slt
