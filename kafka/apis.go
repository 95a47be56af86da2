package kafka

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// response is what is sent: kmsg's structs are, and what is encoded by hand.
type response interface {
	Key() int16
	IsFlexible() bool
}

// api is one key as it is served.
type api struct {
	min, max int16
	// start begins a request and returns what waits for its response. The request's byte slices are good until start returns.
	start func(*conn, context.Context, kmsg.Request) func() response
}

// apis is what is served, and so what is advertised.
var apis map[int16]api

func init() {
	apis = map[int16]api{
		int16(kmsg.Produce):                      {0, 13, started(startProduce)},
		int16(kmsg.Fetch):                        {4, 17, answered(fetch)},
		int16(kmsg.ListOffsets):                  {1, 10, answered(listOffsets)},
		int16(kmsg.Metadata):                     {0, 13, started(startMetadata)},
		int16(kmsg.OffsetCommit):                 {0, 9, answered(offsetCommit)},
		int16(kmsg.OffsetFetch):                  {0, 9, answered(offsetFetch)},
		int16(kmsg.FindCoordinator):              {0, 6, started(startFindCoordinator)},
		int16(kmsg.JoinGroup):                    {0, 9, started(startJoin)},
		int16(kmsg.Heartbeat):                    {0, 4, answered(heartbeat)},
		int16(kmsg.LeaveGroup):                   {0, 5, answered(leaveGroup)},
		int16(kmsg.SyncGroup):                    {0, 5, started(startSync)},
		int16(kmsg.DescribeGroups):               {0, 6, answered(describeGroups)},
		int16(kmsg.ListGroups):                   {0, 5, answered(listGroups)},
		int16(kmsg.ApiVersions):                  {0, 4, answered(apiVersions)},
		int16(kmsg.CreateTopics):                 {2, 7, answered(createTopics)},
		int16(kmsg.DeleteTopics):                 {1, 6, answered(deleteTopics)},
		int16(kmsg.InitProducerID):               {0, 5, answered(initProducerID)},
		int16(kmsg.AddPartitionsToTxn):           {0, 3, answered(addPartitionsToTxn)},
		int16(kmsg.AddOffsetsToTxn):              {0, 4, answered(addOffsetsToTxn)},
		int16(kmsg.EndTxn):                       {0, 5, answered(endTxn)},
		int16(kmsg.TxnOffsetCommit):              {0, 5, answered(txnOffsetCommit)},
		int16(kmsg.DeleteGroups):                 {0, 2, answered(deleteGroups)},
		int16(kmsg.OffsetDelete):                 {0, 0, answered(offsetDelete)},
		int16(kmsg.DeleteRecords):                {0, 2, answered(deleteRecords)},
		int16(kmsg.OffsetForLeaderEpoch):         {2, 4, answered(offsetForLeaderEpoch)},
		int16(kmsg.DescribeConfigs):              {1, 4, answered(describeConfigs)},
		int16(kmsg.AlterConfigs):                 {0, 2, answered(alterConfigs)},
		int16(kmsg.CreatePartitions):             {0, 3, answered(createPartitions)},
		int16(kmsg.IncrementalAlterConfigs):      {0, 1, answered(incrementalAlterConfigs)},
		int16(kmsg.SASLHandshake):                {0, 1, answered(saslHandshake)},
		int16(kmsg.SASLAuthenticate):             {0, 2, answered(saslAuthenticate)},
		int16(kmsg.DescribeCluster):              {0, 1, answered(describeCluster)},
		int16(kmsg.DescribeACLs):                 {1, 3, answered(describeACLs)},
		int16(kmsg.CreateACLs):                   {1, 3, answered(createACLs)},
		int16(kmsg.DeleteACLs):                   {1, 3, answered(deleteACLs)},
		int16(kmsg.WriteTxnMarkers):              {1, 1, answered(writeTxnMarkers)},
		int16(kmsg.DescribeLogDirs):              {1, 4, answered(describeLogDirs)},
		int16(kmsg.ElectLeaders):                 {0, 2, answered(electLeaders)},
		int16(kmsg.AlterPartitionAssignments):    {0, 1, answered(alterPartitionAssignments)},
		int16(kmsg.ListPartitionReassignments):   {0, 0, answered(listPartitionReassignments)},
		int16(kmsg.DescribeProducers):            {0, 0, answered(describeProducers)},
		int16(kmsg.DescribeTransactions):         {0, 0, answered(describeTransactions)},
		int16(kmsg.ListTransactions):             {0, 2, answered(listTransactions)},
		int16(kmsg.DescribeClientQuotas):         {0, 1, answered(describeClientQuotas)},
		int16(kmsg.AlterClientQuotas):            {0, 1, answered(alterClientQuotas)},
		int16(kmsg.DescribeUserSCRAMCredentials): {0, 0, answered(describeUserScramCredentials)},
		int16(kmsg.AlterUserSCRAMCredentials):    {0, 0, answered(alterUserScramCredentials)},
		int16(kmsg.ListConfigResources):          {0, 1, answered(listConfigResources)},
		int16(kmsg.ConsumerGroupHeartbeat):       {0, 1, started(startConsumerHeartbeat)},
		int16(kmsg.ConsumerGroupDescribe):        {0, 1, answered(consumerGroupDescribe)},
		int16(kmsg.DescribeTopicPartitions):      {0, 0, answered(describeTopicPartitions)},
	}
}

// answered is the start of an api that answers at once or waits in the reader: the client's next request waits behind it.
func answered[Q kmsg.Request, R response](f func(*conn, context.Context, Q) R) func(*conn, context.Context, kmsg.Request) func() response {
	return func(c *conn, ctx context.Context, req kmsg.Request) func() response {
		resp := f(c, ctx, req.(Q))
		return func() response { return resp }
	}
}

// started is the start of an api whose answer is waited for in the writer.
func started[Q kmsg.Request](f func(*conn, context.Context, Q) func() response) func(*conn, context.Context, kmsg.Request) func() response {
	return func(c *conn, ctx context.Context, req kmsg.Request) func() response { return f(c, ctx, req.(Q)) }
}

// start decodes a request and starts it.
func (c *conn) start(body []byte) (answer, error) {
	h, err := parsePrefix(body)
	if err != nil {
		return answer{}, err
	}
	a, ok := apis[h.key]
	if !ok || h.version < a.min || h.version > a.max {
		if h.key == keyApiVersions {
			return answer{correlation: h.correlation, finish: unsupportedApiVersions}, nil
		}
		return answer{}, fmt.Errorf("%w: %s version %d is not served", errMalformed, kmsg.NameForKey(h.key), h.version)
	}
	if err := c.allowed(h.key); err != nil {
		return answer{}, err
	}
	h, req, err := parseRequest(body)
	if err != nil {
		return answer{}, err
	}
	c.clientID = h.clientID
	c.asks(h.key)
	if resp := c.forbidden(req); resp != nil {
		return answer{correlation: h.correlation, finish: func() response { return resp }}, nil
	}
	if c.server.config.Quotas.Table() == nil {
		return answer{correlation: h.correlation, finish: a.start(c, c.ctx, req)}, nil
	}
	return answer{correlation: h.correlation, finish: c.limited(a, req, len(body))}, nil
}

// asks notes when the client asks for something, and not only who does what.
func (c *conn) asks(key int16) {
	switch kmsg.Key(key) {
	case kmsg.ApiVersions, kmsg.Metadata, kmsg.FindCoordinator, kmsg.DescribeCluster:
	default:
		c.asked.Store(c.server.config.Clock.Now().UnixNano())
	}
}

// advertisedKeys lists apis by key.
func advertisedKeys() []kmsg.ApiVersionsResponseApiKey {
	keys := make([]kmsg.ApiVersionsResponseApiKey, 0, len(apis))
	for key, a := range apis {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = key, a.min, a.max
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b kmsg.ApiVersionsResponseApiKey) int { return int(a.ApiKey) - int(b.ApiKey) })
	return keys
}
