package kafka_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millracedb/millrace/internal/node"
)

// as connects as a role with the password "secret".
func as(t testing.TB, n *node.Node, role string, opts ...kgo.Opt) *kgo.Client {
	return client(t, n, append(opts, kgo.SASL(scram.Auth{User: role, Pass: "secret"}.AsSha256Mechanism()))...)
}

// rule makes rules as kafka-acls does.
func rule(t testing.TB, root *kgo.Client, b *kadm.ACLBuilder) {
	results, err := kadm.NewClient(root).CreateACLs(t.Context(), b)
	require.NoError(t, err)
	for _, r := range results {
		require.NoError(t, r.Err)
	}
}

func tryProduce(t testing.TB, cl *kgo.Client, topic string) error {
	return cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("v")}).FirstErr()
}

func TestAResourceThatRulesNameIsForThoseWhomTheyAllow(t *testing.T) {
	n := startLocked(t)
	root, ann, eve := as(t, n, "root"), as(t, n, "ann"), as(t, n, "eve")
	for _, topic := range []string{"open", "pay-1", "secrets"} {
		createTopic(t, root, topic, 1, nil)
	}
	rule(t, root, kadm.NewACLs().Topics("pay-").ResourcePatternType(kadm.ACLPatternPrefixed).Operations(kadm.OpWrite, kadm.OpRead).Allow("User:ann").AllowHosts("*"))
	rule(t, root, kadm.NewACLs().Topics("secrets").ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpRead).Allow("User:ann").AllowHosts("127.0.0.1"))
	rule(t, root, kadm.NewACLs().Groups("*").ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpAll).Allow("User:*").AllowHosts("*").
		Deny("User:eve").DenyHosts("*"))
	for _, c := range []struct {
		role  string
		cl    *kgo.Client
		topic string
		want  error
	}{
		{"root", root, "pay-1", nil},
		{"ann", ann, "pay-1", nil},
		{"eve", eve, "pay-1", kerr.TopicAuthorizationFailed},
		{"ann", ann, "secrets", kerr.TopicAuthorizationFailed},
		{"root", root, "secrets", nil},
		{"eve", eve, "open", nil},
	} {
		err := tryProduce(t, c.cl, c.topic)
		if c.want == nil {
			require.NoError(t, err, "%s writes %s", c.role, c.topic)
		} else {
			require.ErrorIs(t, err, c.want, "%s writes %s", c.role, c.topic)
		}
	}
	// Who may read may see that it is there; who may not, not even that.
	seen, err := kadm.NewClient(eve).ListTopics(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"open"}, seen.Names())
	seen, err = kadm.NewClient(ann).ListTopics(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"open", "pay-1", "secrets"}, seen.Names())
	require.Equal(t, []string{"v"}, consume(t.Context(), t, as(t, n, "ann", kgo.ConsumeTopics("secrets"), kgo.ConsumerGroup("g")), 1))
	offsets, err := kadm.NewClient(eve).FetchOffsets(t.Context(), "g")
	require.ErrorIs(t, err, kerr.GroupAuthorizationFailed, "%v", offsets)
	_, err = kadm.NewClient(eve).DeleteTopic(t.Context(), "pay-1")
	require.ErrorIs(t, err, kerr.TopicAuthorizationFailed)
}

func TestOnlySuperusersChangeRulesUntilARuleSaysOtherwise(t *testing.T) {
	n := startLocked(t)
	root, ann := as(t, n, "root"), as(t, n, "ann")
	any := kadm.NewACLs().AnyResource().ResourcePatternType(kadm.ACLPatternAny).Operations(kadm.OpAny).Allow().AllowHosts().Deny().DenyHosts()
	allow := kadm.NewACLs().Clusters().ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpAlter).Allow("User:ann").AllowHosts("*")
	results, err := kadm.NewClient(ann).CreateACLs(t.Context(), allow)
	require.NoError(t, err)
	require.ErrorIs(t, results[0].Err, kerr.ClusterAuthorizationFailed)
	rule(t, root, allow)
	rule(t, ann, kadm.NewACLs().Topics("a").ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpWrite).Allow("User:ann").AllowHosts("*"))
	described, err := kadm.NewClient(ann).DescribeACLs(t.Context(), any)
	require.NoError(t, err)
	require.Len(t, described[0].Described, 2)
	deleted, err := kadm.NewClient(root).DeleteACLs(t.Context(), any)
	require.NoError(t, err)
	require.Len(t, deleted[0].Deleted, 2)
	described, err = kadm.NewClient(root).DescribeACLs(t.Context(), any)
	require.NoError(t, err)
	require.Empty(t, described[0].Described)
}

func TestWithoutPasswordsThereAreNoRules(t *testing.T) {
	resp := dial(t, startNode(t)).ask(plausible(t, kmsg.NewPtrDescribeACLsRequest(), 3)).(*kmsg.DescribeACLsResponse)
	require.Equal(t, kerr.SecurityDisabled.Code, resp.ErrorCode)
}

func TestTransactionsOfAnotherRoleAreNotTouched(t *testing.T) {
	n := startLocked(t)
	root := as(t, n, "root")
	createTopic(t, root, "a", 1, nil)
	rule(t, root, kadm.NewACLs().TransactionalIDs("tx").ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpWrite).Allow("User:ann").AllowHosts("*"))
	begin := func(role string) error {
		cl := as(t, n, role, kgo.TransactionalID("tx"), kgo.RecordRetries(1))
		if err := cl.BeginTransaction(); err != nil {
			return err
		}
		if err := tryProduce(t, cl, "a"); err != nil {
			return err
		}
		return cl.EndTransaction(t.Context(), kgo.TryCommit)
	}
	require.NoError(t, begin("ann"))
	require.ErrorIs(t, begin("eve"), kerr.TransactionalIDAuthorizationFailed)
	listed, err := kadm.NewClient(as(t, n, "eve")).ListTransactions(t.Context(), nil, nil)
	require.NoError(t, err)
	require.NotContains(t, listed.TransactionalIDs(), "tx")
}
