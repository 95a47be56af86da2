package replication

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
	"github.com/millracedb/millrace/replication/metadata"
)

func TestAPartitionThatCannotBeOpenedSaysWhyAndIsTriedAgain(t *testing.T) {
	n := start(t)
	n.fs.Inject(func(op fsys.Op, path string) error {
		if op == fsys.OpMkdir && strings.Contains(path, "a-1") {
			return syscall.EACCES
		}
		return nil
	})
	n.apply(func(b *metadata.Batch) { b.CreateTopic(metadata.TopicSpec{Name: "a", Partitions: 2}) })
	n.partition("a", 0)
	_, err := n.Partition("a", 1)
	require.ErrorIs(t, err, kerr.KafkaStorageError)
	require.ErrorContains(t, err, "permission denied")
	n.fs.Inject(nil)
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	limit := time.After(time.Minute)
	for err != nil {
		select {
		case <-look.C:
			_, err = n.Partition("a", 1)
		case <-limit:
			t.Fatal("it is not tried again")
		}
	}
	_, err = n.partition("a", 1).Append(t.Context(), batch(t, record.BatchOptions{}, "x"), AppendOptions{Acks: AcksAll})
	require.NoError(t, err)
}
