package kafka_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/node"
	"github.com/millracedb/millrace/internal/node/nodetest"
	"github.com/millracedb/millrace/kafka"
)

func entity(pairs ...string) (e kadm.ClientQuotaEntity) {
	for i := 0; i < len(pairs); i += 2 {
		part := kadm.ClientQuotaEntityComponent{Type: pairs[i]}
		if pairs[i+1] != "" {
			part.Name = &pairs[i+1]
		}
		e = append(e, part)
	}
	return e
}

func setQuota(t testing.TB, cl *kgo.Client, e kadm.ClientQuotaEntity, key string, value float64, remove bool) error {
	altered, err := kadm.NewClient(cl).AlterClientQuotas(t.Context(), []kadm.AlterClientQuotaEntry{{Entity: e, Ops: []kadm.AlterClientQuotaOp{{Key: key, Value: value, Remove: remove}}}})
	require.NoError(t, err)
	return altered[0].Err
}

func TestTheMostParticularQuotaHolds(t *testing.T) {
	user, client, whoever := "ann", "app", ""
	all := []kafka.Quota{ // from the most particular one on
		{Entity: kafka.QuotaEntity{User: &user, ClientID: &client}, Name: "producer_byte_rate", Value: 1},
		{Entity: kafka.QuotaEntity{User: &user, ClientID: &whoever}, Name: "producer_byte_rate", Value: 2},
		{Entity: kafka.QuotaEntity{User: &user}, Name: "producer_byte_rate", Value: 3},
		{Entity: kafka.QuotaEntity{User: &whoever, ClientID: &client}, Name: "producer_byte_rate", Value: 4},
		{Entity: kafka.QuotaEntity{User: &whoever, ClientID: &whoever}, Name: "producer_byte_rate", Value: 5},
		{Entity: kafka.QuotaEntity{User: &whoever}, Name: "producer_byte_rate", Value: 6},
		{Entity: kafka.QuotaEntity{ClientID: &client}, Name: "producer_byte_rate", Value: 7},
		{Entity: kafka.QuotaEntity{ClientID: &whoever}, Name: "producer_byte_rate", Value: 8},
	}
	for i := range all {
		limit, ok := kafka.Limit(kafka.NewQuotaTable(all[i:]), "producer_byte_rate", "ann", "app")
		require.True(t, ok)
		require.EqualValues(t, i+1, limit)
	}
	_, ok := kafka.Limit(kafka.NewQuotaTable(all[:4]), "producer_byte_rate", "eve", "other")
	require.False(t, ok)
	_, ok = kafka.Limit(kafka.NewQuotaTable(all), "consumer_byte_rate", "ann", "app")
	require.False(t, ok)
}

func TestQuotasAreSetListedRemovedAndOutliveARestart(t *testing.T) {
	fs := fsys.NewMem()
	n, err := nodetest.Open(t.Context(), node.Config{FS: fs, Kafka: "127.0.0.1:0"})
	require.NoError(t, err)
	cl, err := kgo.NewClient(kgo.SeedBrokers(n.KafkaAddr().String()))
	require.NoError(t, err)
	both, byDefault := entity("user", "ann & co", "client-id", "app"), entity("client-id", "")
	require.NoError(t, setQuota(t, cl, both, "producer_byte_rate", 1000, false))
	require.NoError(t, setQuota(t, cl, both, "request_percentage", 12.5, false))
	require.NoError(t, setQuota(t, cl, byDefault, "consumer_byte_rate", 2000, false))
	for name, e := range map[string]kadm.ClientQuotaEntity{"no_such": both, "controller_mutation_rate": both} {
		require.ErrorIs(t, setQuota(t, cl, e, name, 1, false), kerr.InvalidRequest, name)
	}
	require.ErrorIs(t, setQuota(t, cl, both, "producer_byte_rate", 0, false), kerr.InvalidRequest)
	require.ErrorIs(t, setQuota(t, cl, both, "producer_byte_rate", 1.5, false), kerr.InvalidRequest)
	require.ErrorIs(t, setQuota(t, cl, entity("ip", "127.0.0.1"), "producer_byte_rate", 1, false), kerr.InvalidRequest)
	require.ErrorIs(t, setQuota(t, cl, entity("user", "a", "user", "b"), "producer_byte_rate", 1, false), kerr.InvalidRequest)
	cl.Close()
	require.NoError(t, n.Close())

	n = nodetest.Start(t, node.Config{FS: fs, Kafka: "127.0.0.1:0"})
	cl = client(t, n)
	adm := kadm.NewClient(cl)
	listed, err := adm.DescribeClientQuotas(t.Context(), false, []kadm.DescribeClientQuotaComponent{{Type: "client-id", MatchType: kmsg.QuotasMatchTypeAny}})
	require.NoError(t, err)
	require.Len(t, listed, 2)
	listed, err = adm.DescribeClientQuotas(t.Context(), true, []kadm.DescribeClientQuotaComponent{{Type: "client-id", MatchType: kmsg.QuotasMatchTypeDefault}})
	require.NoError(t, err)
	require.Equal(t, "consumer_byte_rate", listed[0].Values[0].Key)
	require.EqualValues(t, 2000, listed[0].Values[0].Value)
	name := "ann & co"
	listed, err = adm.DescribeClientQuotas(t.Context(), false, []kadm.DescribeClientQuotaComponent{{Type: "user", MatchType: kmsg.QuotasMatchTypeExact, MatchName: &name}})
	require.NoError(t, err)
	require.Len(t, listed[0].Values, 2)
	rows, err := nodetest.Texts(t.Context(), nodetest.Connect(t, nodetest.ConnString(n)), "SHOW QUOTAS")
	require.NoError(t, err)
	require.ElementsMatch(t, [][]string{
		{"NULL", "<default>", "consumer_byte_rate", "2000"}, {"ann & co", "app", "producer_byte_rate", "1000"}, {"ann & co", "app", "request_percentage", "12.5"},
	}, rows)
	require.NoError(t, setQuota(t, cl, both, "producer_byte_rate", 0, true))
	require.NoError(t, setQuota(t, cl, both, "producer_byte_rate", 0, true), "what is not there can be removed")
	listed, err = adm.DescribeClientQuotas(t.Context(), false, nil)
	require.NoError(t, err)
	require.Len(t, listed, 2)
}

// A client that goes beyond its quota is answered at once, told of the pause, and not read from until it is over.
func TestAClientBeyondItsQuotaPauses(t *testing.T) {
	n := startNode(t)
	cl := client(t, n)
	createTopic(t, cl, "a", 1, nil)
	const rate = 20_000
	require.NoError(t, setQuota(t, cl, entity("client-id", "wire"), "producer_byte_rate", rate, false))
	require.NoError(t, setQuota(t, cl, entity("client-id", "wire"), "consumer_byte_rate", rate, false))
	w := dial(t, n)
	value := strings.Repeat("x", 3*rate/2)
	begin := time.Now()
	first := w.ask(produceRequest(t, 9, -1, "a", value)).(*kmsg.ProduceResponse)
	require.Zero(t, first.Topics[0].Partitions[0].ErrorCode)
	require.InDelta(t, 500, first.ThrottleMillis, 100, "half a second's worth is beyond what may be used at once")
	w.ask(plausible(t, kmsg.NewPtrApiVersionsRequest(), 0))
	require.GreaterOrEqual(t, time.Since(begin), 500*time.Millisecond, "the next request is read when the pause is over")

	fetched := w.ask(fetchRequest(9, "a", 0)).(*kmsg.FetchResponse)
	require.NotEmpty(t, fetched.Topics[0].Partitions[0].RecordBatches, "what is found is sent all the same")
	require.Positive(t, fetched.ThrottleMillis)
	other := client(t, n, kgo.ClientID("other"))
	produce(t, other, "a", []string{value})
	require.NoError(t, setQuota(t, cl, entity("client-id", "wire"), "producer_byte_rate", 0, true))
	require.NoError(t, setQuota(t, cl, entity("client-id", "wire"), "consumer_byte_rate", 0, true))
	require.Zero(t, w.ask(produceRequest(t, 9, -1, "a", value)).(*kmsg.ProduceResponse).ThrottleMillis)
}

func TestAShareOfTheNodesTimeIsAQuota(t *testing.T) {
	n := startNode(t)
	cl := client(t, n)
	require.NoError(t, setQuota(t, cl, entity("client-id", ""), "request_percentage", 0.000001, false))
	w := dial(t, n)
	require.Positive(t, w.ask(plausible(t, kmsg.NewPtrMetadataRequest(), 9)).(*kmsg.MetadataResponse).ThrottleMillis)
}

func TestPasswordsAreSetListedAndTakenAwayByKafkasTools(t *testing.T) {
	n := startLocked(t)
	root, ann := as(t, n, "root"), as(t, n, "ann")
	change := func(cl *kgo.Client, del []kadm.DeleteSCRAM, set []kadm.UpsertSCRAM) error {
		altered, err := kadm.NewClient(cl).AlterUserSCRAMs(t.Context(), del, set)
		for _, a := range altered {
			err = errors.Join(err, a.Err)
		}
		return err
	}
	fresh := kadm.UpsertSCRAM{User: "newcomer", Mechanism: kadm.ScramSha512, Iterations: 8192, Password: "fresh"}
	require.ErrorIs(t, change(ann, nil, []kadm.UpsertSCRAM{fresh}), kerr.ClusterAuthorizationFailed)
	require.NoError(t, change(root, nil, []kadm.UpsertSCRAM{fresh}))
	login := func(user, password string) error {
		return client(t, n, kgo.SASL(scram.Auth{User: user, Pass: password}.AsSha512Mechanism())).Ping(t.Context())
	}
	require.NoError(t, login("newcomer", "fresh"))
	require.ErrorIs(t, login("newcomer", "stale"), kerr.SaslAuthenticationFailed)
	described, err := kadm.NewClient(root).DescribeUserSCRAMs(t.Context(), "newcomer", "nobody")
	require.NoError(t, err)
	require.Equal(t, []kadm.CredInfo{{Mechanism: kadm.ScramSha512, Iterations: 8192}}, described["newcomer"].CredInfos)
	require.ErrorIs(t, described["nobody"].Err, kerr.ResourceNotFound)
	all, err := kadm.NewClient(root).DescribeUserSCRAMs(t.Context())
	require.NoError(t, err)
	require.Contains(t, all, "ann")
	weak := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	weak.Upsertions = []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{{Name: "newcomer", Mechanism: 2, Iterations: 100, Salt: []byte("salt"), SaltedPassword: make([]byte, 64)}}
	refused, err := weak.RequestWith(t.Context(), root)
	require.NoError(t, err)
	require.Equal(t, kerr.UnacceptableCredential.Code, refused.Results[0].ErrorCode)

	rule(t, root, kadm.NewACLs().Clusters().ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpAlter).Allow("User:ann").AllowHosts("*"))
	mine := kadm.UpsertSCRAM{User: "root", Mechanism: kadm.ScramSha256, Iterations: 4096, Password: "stolen"}
	require.ErrorIs(t, change(ann, nil, []kadm.UpsertSCRAM{mine}), kerr.ClusterAuthorizationFailed, "who may alter the cluster is no superuser yet")
	gone := []kadm.DeleteSCRAM{{User: "newcomer", Mechanism: kadm.ScramSha512}}
	require.NoError(t, change(ann, gone, nil))
	require.ErrorIs(t, login("newcomer", "fresh"), kerr.SaslAuthenticationFailed)
	require.ErrorIs(t, change(ann, gone, nil), kerr.ResourceNotFound)
}
