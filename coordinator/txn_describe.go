package coordinator

import (
	"regexp"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// stateNames are the states as Kafka's tools show them.
var stateNames = map[kmsg.TransactionState]string{
	stateEmpty: "Empty", stateOngoing: "Ongoing", statePrepareCommit: "PrepareCommit", statePrepareAbort: "PrepareAbort",
	stateCompleteCommit: "CompleteCommit", stateCompleteAbort: "CompleteAbort",
}

// otherStates are states of Kafka that no transaction is in here.
var otherStates = []string{"Dead", "PrepareEpochFence"}

// DescribeTransactions answers key 65 (KIP-664).
func (c *Transactions) DescribeTransactions(req *kmsg.DescribeTransactionsRequest) *kmsg.DescribeTransactionsResponse {
	resp := req.ResponseKind().(*kmsg.DescribeTransactionsResponse)
	resp.TransactionStates = make([]kmsg.DescribeTransactionsResponseTransactionState, 0, len(req.TransactionalIDs))
	for _, id := range req.TransactionalIDs {
		resp.TransactionStates = append(resp.TransactionStates, c.describe(id))
	}
	return resp
}

func (c *Transactions) describe(id string) kmsg.DescribeTransactionsResponseTransactionState {
	out := kmsg.NewDescribeTransactionsResponseTransactionState()
	out.TransactionalID, out.StartTimestamp, out.ProducerID, out.ProducerEpoch = id, -1, noProducerID, noProducerEpoch
	out.Topics = []kmsg.DescribeTransactionsResponseTransactionStateTopic{}
	l, kerror := c.lease(id)
	if kerror != nil {
		out.ErrorCode = kerror.Code
		return out
	}
	e := l.find(id)
	if e == nil {
		out.ErrorCode = kerr.TransactionalIDNotFound.Code
		return out
	}
	t := e.value.Load()
	out.State, out.TimeoutMillis, out.StartTimestamp = stateNames[t.state], t.timeoutMillis, t.startMillis
	out.ProducerID, out.ProducerEpoch = t.producerID, t.epoch
	for _, tp := range t.parts {
		if n := len(out.Topics); n == 0 || out.Topics[n-1].Topic != tp.Topic {
			topic := kmsg.NewDescribeTransactionsResponseTransactionStateTopic()
			topic.Topic = tp.Topic
			out.Topics = append(out.Topics, topic)
		}
		topic := &out.Topics[len(out.Topics)-1]
		topic.Partitions = append(topic.Partitions, tp.Partition)
	}
	return out
}

// ListTransactions answers key 66 (KIP-664; KIP-994: duration; KIP-1152: pattern).
func (c *Transactions) ListTransactions(req *kmsg.ListTransactionsRequest) *kmsg.ListTransactionsResponse {
	resp := req.ResponseKind().(*kmsg.ListTransactionsResponse)
	resp.UnknownStateFilters, resp.TransactionStates = []string{}, []kmsg.ListTransactionsResponseTransactionState{}
	var pattern *regexp.Regexp
	if p := req.TransactionalIDPattern; p != nil && *p != "" {
		var err error
		if pattern, err = regexp.Compile("^(?:" + *p + ")$"); err != nil {
			resp.ErrorCode = kerr.InvalidRegularExpression.Code
			return resp
		}
	}
	resp.UnknownStateFilters = append(resp.UnknownStateFilters, unknownStates(req.StateFilters)...)
	now := c.nowMillis()
	for l := range c.leases.all() {
		if !l.ready.Load() {
			resp.ErrorCode = kerr.CoordinatorLoadInProgress.Code
			return resp
		}
		for _, e := range l.snapshot() {
			t := e.value.Load()
			if !t.listed(req, now) || pattern != nil && !pattern.MatchString(t.id) {
				continue
			}
			out := kmsg.NewListTransactionsResponseTransactionState()
			out.TransactionalID, out.ProducerID, out.TransactionState = t.id, t.producerID, stateNames[t.state]
			resp.TransactionStates = append(resp.TransactionStates, out)
		}
	}
	slices.SortFunc(resp.TransactionStates, func(a, b kmsg.ListTransactionsResponseTransactionState) int {
		return strings.Compare(a.TransactionalID, b.TransactionalID)
	})
	return resp
}

// unknownStates are the names that no transaction can have.
func unknownStates(filters []string) (unknown []string) {
	for _, f := range filters {
		known := slices.Contains(otherStates, f)
		for _, name := range stateNames {
			known = known || name == f
		}
		if !known {
			unknown = append(unknown, f)
		}
	}
	return unknown
}

// listed reports whether a request asks for t.
func (t *txn) listed(req *kmsg.ListTransactionsRequest, now int64) bool {
	if t.epoch == noProducerEpoch { // not initialized yet
		return false
	}
	if len(req.StateFilters) > 0 && !slices.Contains(req.StateFilters, stateNames[t.state]) {
		return false
	}
	if len(req.ProducerIDFilters) > 0 && !slices.Contains(req.ProducerIDFilters, t.producerID) {
		return false
	}
	return req.DurationFilterMillis < 0 || t.startMillis >= 0 && now-t.startMillis > req.DurationFilterMillis
}
