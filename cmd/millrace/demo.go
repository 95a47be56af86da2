package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/demo"
	"github.com/millracedb/millrace/internal/node"
)

func demoCommand() *cobra.Command {
	var exit bool
	var pg string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show the main job on 20,000 real flights, on a node that is thrown away",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return runDemo(c, pg, exit) },
	}
	c.Flags().BoolVar(&exit, "exit", false, "stop when the results are printed")
	c.Flags().StringVar(&pg, "pg", "127.0.0.1:0", "address for PostgreSQL clients; port 0 takes a free one")
	return c
}

func runDemo(c *cobra.Command, pg string, exit bool) error {
	dir, err := os.MkdirTemp("", "millrace-demo-")
	if err != nil {
		return err
	}
	defer removeAll(dir)
	start := time.Now()
	logger, err := newLogger("warn", "text")
	if err != nil {
		return err
	}
	n, err := node.Open(c.Context(), node.Config{Dir: dir, PG: pg, HTTP: node.Off, Raft: node.Off, Kafka: node.Off, Release: release, Logger: logger})
	if err != nil {
		return err
	}
	out := c.OutOrStdout()
	fmt.Fprintf(out, "A node with an empty directory, ready after %d ms.\n", time.Since(start).Milliseconds())
	host, port, err := net.SplitHostPort(n.PGAddr().String())
	if err != nil {
		return errors.Join(err, n.Close())
	}
	err = demo.Run(c.Context(), demo.Options{
		Conn: fmt.Sprintf("postgres://millrace@%s/millrace?sslmode=disable", net.JoinHostPort(host, port)),
		Out:  out, Terminal: isTerminal(os.Stdout), Clock: clock.Real,
	})
	if err != nil || exit {
		return errors.Join(err, n.Close())
	}
	fmt.Fprintf(out, "\nThe node goes on until Ctrl-C. To continue:\n\n    psql -h %s -p %s -U millrace millrace\n\n", host, port)
	return waitForEnd(c.Context(), n)
}

func waitForEnd(ctx context.Context, n *node.Node) error {
	select {
	case <-ctx.Done():
		return n.Close()
	case err := <-n.Fatal():
		return errors.Join(err, closeWithin(failedStop, n.Close))
	}
}

func isTerminal(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// removeAll deletes a throw-away directory. What cannot be deleted is said, for nobody else will find it.
func removeAll(dir string) {
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "millrace:", err)
	}
}
