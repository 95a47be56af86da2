package log

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
)

// TestEpochCache runs the truth tables in testdata/epochs. Commands, each on the cache the ones before have left:
//
//	assign epoch=E start=S    note an epoch
//	end leo=L                 endOffset of every epoch of interest
//	at                        epochAt of every offset of interest
//	cut-end leo=L             truncateFromEnd
//	cut-start start=S         truncateFromStart
func TestEpochCache(t *testing.T) {
	datadriven.Walk(t, "testdata/epochs", func(t *testing.T, path string) {
		var c epochCache
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			var n, start int64
			d.MaybeScanArgs(t, "epoch", &n)
			d.MaybeScanArgs(t, "leo", &n)
			d.MaybeScanArgs(t, "start", &start)
			var out strings.Builder
			switch d.Cmd {
			case "assign":
				fmt.Fprintf(&out, "changed %t ", c.assign(int32(n), start))
			case "cut-end":
				fmt.Fprintf(&out, "changed %t ", c.truncateFromEnd(n))
			case "cut-start":
				fmt.Fprintf(&out, "changed %t ", c.truncateFromStart(start))
			case "end":
				for epoch := range int32(8) {
					e, end := c.endOffset(epoch, n)
					fmt.Fprintf(&out, "%d: epoch %d ends at %d\n", epoch, e, end)
				}
				return out.String()
			case "at":
				for offset := int64(0); offset <= 40; offset += 10 {
					fmt.Fprintf(&out, "%d: epoch %d\n", offset, c.epochAt(offset))
				}
				return out.String()
			default:
				d.Fatalf(t, "unknown command %s", d.Cmd)
			}
			fmt.Fprintf(&out, "%v\n", c.entries)
			return out.String()
		})
	})
}

func TestEpochsSurviveARestart(t *testing.T) {
	fs := fsys.NewMem()
	opts := testOptions(t, fs)
	l := mustOpen(t, opts)
	require.NoError(t, l.AssignEpoch(3))
	_, err := l.Append(plain(t, "x"), AppendInfo{LeaderEpoch: 3})
	require.NoError(t, err)
	require.NoError(t, l.AssignEpoch(5))
	_, err = l.Append(plain(t, "y"), AppendInfo{LeaderEpoch: 5})
	require.NoError(t, err)
	require.NoError(t, l.Close())
	check := func() {
		l := mustOpen(t, opts)
		epoch, end := l.EndOffsetForEpoch(4)
		require.Equal(t, int32(3), epoch)
		require.Equal(t, int64(1), end)
		require.Equal(t, int32(5), l.LatestEpoch())
		require.Equal(t, int32(3), l.EpochAt(0))
		require.NoError(t, l.Close())
	}
	opts.Clean = true
	check()
	require.NoError(t, fsys.WriteFileAtomic(fs, testDir+"/"+epochFile, []byte("garbage")))
	check()
}
