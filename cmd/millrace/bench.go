package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millracedb/millrace/internal/bench"
	"github.com/millracedb/millrace/internal/clock"
)

// benchFlags are the flags of "millrace bench".
type benchFlags struct {
	addr, peer      string
	seconds, rounds int
	millions        int
	json            bool
}

func benchCommand() *cobra.Command {
	var f benchFlags
	var names strings.Builder
	for _, n := range bench.Names() {
		fmt.Fprintf(&names, "\n  %-15s %s", n[0], n[1])
	}
	c := &cobra.Command{
		Use:   "bench [NAME...]",
		Short: "Measure a node, on its own or beside a PostgreSQL server",
		Long: "Measure a node that is started for it and thrown away, or a running one, on its own or beside a PostgreSQL server.\n" +
			"Without names all benchmarks run but queries, scans and growth, which take long:\n" + names.String(),
		RunE: func(c *cobra.Command, args []string) error { return runBench(c, &f, args) },
	}
	c.Flags().StringVar(&f.addr, "addr", "", "host:port of a running node; it keeps the relations bench_*")
	c.Flags().StringVar(&f.peer, "peer", "", "connection string of a PostgreSQL server that runs in turn what it can")
	c.Flags().IntVar(&f.seconds, "seconds", 5, "length of a measurement of a rate or a latency")
	c.Flags().IntVar(&f.rounds, "rounds", 5, "how often each measurement is made; the median counts")
	c.Flags().IntVar(&f.millions, "millions", 50, "how many million rows the benchmark growth goes up to")
	c.Flags().BoolVar(&f.json, "json", false, "print the results as JSON")
	return c
}

func runBench(c *cobra.Command, f *benchFlags, names []string) error {
	if f.seconds < 1 || f.rounds < 1 {
		return fmt.Errorf("--seconds %d, --rounds %d; allowed: 1 or more", f.seconds, f.rounds)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "millrace-bench-")
	if err != nil {
		return err
	}
	defer removeAll(dir)
	opts := bench.Options{
		Command: []string{self, "serve"}, Dir: dir, Peer: f.peer, Seconds: f.seconds, Rounds: f.rounds, Millions: f.millions, Names: names,
		Clock: clock.Real, Log: c.ErrOrStderr(),
	}
	if f.addr != "" {
		opts.Conn = fmt.Sprintf("postgres://millrace@%s/millrace?sslmode=disable", f.addr)
	}
	results, err := bench.Run(c.Context(), opts)
	if err != nil {
		return err
	}
	if f.json {
		return bench.WriteJSON(c.OutOrStdout(), results)
	}
	return bench.WriteTable(c.OutOrStdout(), results)
}
