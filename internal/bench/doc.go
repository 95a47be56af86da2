// Package bench is what "millrace bench" runs: whole-system measurements, made as a client makes them, through the PostgreSQL protocol.
//
// A benchmark has a set-up and a measurement that is repeated for some rounds; of each number the median is told. With a peer, any
// PostgreSQL server, the benchmarks that it can do run on both sides in turn, with the same client code, and what counts is the ratio of
// the two numbers of one round: they were taken in the same minute under the same load.
//
// Run (bench.go) is the way in and does the rounds; a file per subject holds the benchmarks, process.go starts and stops nodes as processes of their own,
// report.go prints. To debug one benchmark: millrace bench --rounds 1 NAME.
package bench
