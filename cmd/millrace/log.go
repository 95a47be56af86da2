package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/log"
)

func logCommand() *cobra.Command {
	c := &cobra.Command{Use: "log", Short: "Inspect and repair the files of the log; the node must be stopped"}
	c.AddCommand(&cobra.Command{
		Use: "dump FILE", Short: "Print the batches of a segment, or the entries of an index, snapshot or checkpoint", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return log.DumpFile(c.OutOrStdout(), fsys.OS, args[0], log.DumpOptions{})
		},
	}, &cobra.Command{
		Use: "repair DIR", Short: "Cut a damaged partition at the damage, and keep what was cut beside it", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := filepath.Clean(args[0])
			tp, ok := log.ParseTopicPartition(filepath.Base(dir))
			if !ok {
				return fmt.Errorf("%s is no partition's directory; allowed: DATA/TOPIC-NUMBER", dir)
			}
			return log.RepairPartition(c.OutOrStdout(), fsys.OS, filepath.Dir(dir), tp)
		},
	})
	return c
}
