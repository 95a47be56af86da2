package metadata

import (
	crand "crypto/rand"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/fsys"
)

func TestIdentityIsMadeOnceAndCheckedAfter(t *testing.T) {
	fs := fsys.NewMem()
	require.NoError(t, fsys.MkdirAllSync(fs, "d"))
	made, fresh, err := FormatOrCheck(fs, "d", Identity{NodeID: 3}, crand.Reader)
	require.NoError(t, err)
	require.True(t, fresh)
	require.EqualValues(t, 3, made.NodeID)
	require.Len(t, made.ClusterID, 22)

	found, fresh, err := FormatOrCheck(fs, "d", Identity{}, crand.Reader)
	require.NoError(t, err)
	require.False(t, fresh)
	require.Equal(t, made, found)

	_, _, err = FormatOrCheck(fs, "d", Identity{NodeID: 4}, crand.Reader)
	require.ErrorIs(t, err, ErrForeignData)
	require.ErrorContains(t, err, "node 3, not 4")
	_, _, err = FormatOrCheck(fs, "d", Identity{ClusterID: "elsewhere"}, crand.Reader)
	require.ErrorIs(t, err, ErrForeignData)
}

func TestIdentityFilesThatCannotBeTrustedAreRefused(t *testing.T) {
	good := string((&Identity{ClusterID: "c", NodeID: 1, Directory: UUID{1}}).properties())
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"empty":            {"", ErrBrokenIdentity},
		"garbage":          {"\x00\xff", ErrBrokenIdentity},
		"a newer format":   {strings.Replace(good, "format=1", "format=2", 1), ErrNewerFormat},
		"no directory":     {strings.Replace(good, "directory.id", "x", 1), ErrBrokenIdentity},
		"no cluster":       {strings.Replace(good, "cluster.id", "x", 1), ErrBrokenIdentity},
		"a negative node":  {strings.Replace(good, "node.id=1", "node.id=-1", 1), ErrBrokenIdentity},
		"an enormous file": {strings.Repeat(good, 1000), ErrBrokenIdentity},
	} {
		t.Run(name, func(t *testing.T) {
			fs := fsys.NewMem()
			require.NoError(t, fsys.MkdirAllSync(fs, "d"))
			require.NoError(t, fsys.WriteFileAtomic(fs, "d/meta.properties", []byte(c.text)))
			_, _, err := FormatOrCheck(fs, "d", Identity{}, crand.Reader)
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestIdentityTakesNoClusterIDThatWouldNotComeBack(t *testing.T) {
	for _, id := range []string{"two words", "line\nbreak", strings.Repeat("x", 65), "back\\slash"} {
		fs := fsys.NewMem()
		require.NoError(t, fsys.MkdirAllSync(fs, "d"))
		_, _, err := FormatOrCheck(fs, "d", Identity{ClusterID: id}, crand.Reader)
		require.ErrorIs(t, err, ErrInvalid)
	}
}
