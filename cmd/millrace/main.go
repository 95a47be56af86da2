// Command millrace is the server and its tools: serve, demo, bench, log, version. It turns flags into a node.Config and holds no logic of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// release is set by the linker for releases.
var release = "0.1.0-dev"

func main() {
	// The first signal asks for an orderly stop; a second one, after stop has been called, ends the process at once.
	stops := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // by nohup
		stops = append(stops, syscall.SIGHUP) // there is nothing to be read again: a terminal that is closed ends the process, in order
	}
	ctx, stop := signal.NotifyContext(context.Background(), stops...)
	context.AfterFunc(ctx, stop)
	err := root().ExecuteContext(ctx)
	signalled := ctx.Err() != nil
	stop()
	if err != nil && !(signalled && errors.Is(err, context.Canceled)) {
		fmt.Fprintln(os.Stderr, "millrace:", err)
		os.Exit(1)
	}
}

func root() *cobra.Command {
	c := &cobra.Command{
		Use:           "millrace",
		Short:         "A Kafka-compatible log and a streaming SQL database in one binary",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.AddCommand(serveCommand(), demoCommand(), benchCommand(), logCommand(), versionCommand())
	return c
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the release", Args: cobra.NoArgs,
		Run: func(c *cobra.Command, _ []string) { fmt.Fprintln(c.OutOrStdout(), "millrace", release) },
	}
}
