package node_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/internal/node/nodetest"
)

// TestWithoutAQuorumKafkaClientsAreToldSo: of three nodes one is left.
func TestWithoutAQuorumKafkaClientsAreToldSo(t *testing.T) {
	t.Parallel() // it waits more than it works
	c := nodetest.StartCluster(t, 3)
	replicated(t, c[1])
	c[0].Kill()
	c[2].Kill()
	admin := kadm.NewClient(kafkaClient(t, c[1:2]))
	require.Eventually(t, func() bool { // what the node led as the others went has an unknown outcome, and says so
		made, err := admin.CreateTopic(t.Context(), 1, -1, nil, "t")
		return errors.Is(err, kerr.RequestTimedOut) && strings.Contains(made.ErrMessage, "the metadata quorum has no leader")
	}, 3*time.Minute, time.Millisecond)
}
