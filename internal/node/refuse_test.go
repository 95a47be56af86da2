package node_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
)

func TestADirectoryThatCannotBeStartedSaysWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*testing.T, *fsys.Mem)
		want  string
	}{
		"full disk": {func(t *testing.T, fs *fsys.Mem) {
			fs.SetDiskUsage(fsys.DiskUsage{TotalBytes: 1 << 30})
		}, "make room"},
		"meta.properties": {func(t *testing.T, fs *fsys.Mem) {
			require.NoError(t, fs.Remove("/data/meta.properties"))
		}, "restore that file"},
		"metadata": {func(t *testing.T, fs *fsys.Mem) {
			require.NoError(t, fs.RemoveAll("/data/meta"))
		}, "restore the whole data directory"},
	} {
		t.Run(name, func(t *testing.T) {
			fs := fsys.NewMem()
			n, conn := open(t, fs)
			shut(t, n, conn)
			c.spoil(t, fs)
			for range 2 { // the first try changes nothing
				_, err := nodetest.Open(t.Context(), node.Config{Dir: "/data", FS: fs})
				require.ErrorContains(t, err, c.want)
			}
		})
	}
}
