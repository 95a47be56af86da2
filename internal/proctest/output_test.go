package proctest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/internal/proctest"
)

func TestAProcessIsReadyWhenItHasSaidSoInPieces(t *testing.T) {
	o := proctest.NewOutput("msg=ready")
	write := func(s string) {
		n, err := o.Write([]byte(s))
		require.NoError(t, err)
		require.Equal(t, len(s), n)
	}
	write("level=INFO msg=re")
	select {
	case <-o.Ready():
		t.Fatal("ready too early")
	default:
	}
	write("ady\n")
	<-o.Ready()
	write("and msg=ready again\n")
	require.Equal(t, "level=INFO msg=ready\nand msg=ready again\n", o.String())
}

func TestTheLastThatAProcessSaysIsKept(t *testing.T) {
	o := proctest.NewOutput("never")
	line := strings.Repeat("x", 999) + "\n"
	for range 1000 {
		_, _ = o.Write([]byte(line))
	}
	_, _ = o.Write([]byte("panic: the end\n"))
	require.Len(t, o.String(), proctest.OutputLimit)
	require.True(t, strings.HasSuffix(o.String(), "panic: the end\n"))
}
