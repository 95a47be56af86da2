package kafka

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// forbidden answers requests about one group, one transactional id or the cluster that the client may not make; nil for all others. Requests about many things are answered
// for each, where they are carried out.
func (c *conn) forbidden(req kmsg.Request) response {
	if c.server.config.Access == nil {
		return nil
	}
	if resp := c.forbiddenGroup(req); resp != nil {
		return resp
	}
	if resp := c.forbiddenTxn(req); resp != nil {
		return resp
	}
	return c.forbiddenCluster(req)
}

func (c *conn) forbiddenGroup(req kmsg.Request) response {
	denied := kerr.GroupAuthorizationFailed.Code
	read, describe := kmsg.ACLOperationRead, kmsg.ACLOperationDescribe
	switch r := req.(type) {
	case *kmsg.JoinGroupRequest:
		if !c.mayGroup(read, r.Group) {
			resp := r.ResponseKind().(*kmsg.JoinGroupResponse)
			resp.ErrorCode = denied
			return resp
		}
	case *kmsg.SyncGroupRequest:
		if !c.mayGroup(read, r.Group) {
			resp := r.ResponseKind().(*kmsg.SyncGroupResponse)
			resp.ErrorCode, resp.MemberAssignment = denied, []byte{}
			return resp
		}
	case *kmsg.HeartbeatRequest:
		if !c.mayGroup(read, r.Group) {
			resp := r.ResponseKind().(*kmsg.HeartbeatResponse)
			resp.ErrorCode = denied
			return resp
		}
	case *kmsg.LeaveGroupRequest:
		if !c.mayGroup(read, r.Group) {
			resp := r.ResponseKind().(*kmsg.LeaveGroupResponse)
			resp.ErrorCode = denied
			return resp
		}
	case *kmsg.ConsumerGroupHeartbeatRequest:
		if code := c.forbiddenConsumer(r); code != 0 {
			resp := r.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
			resp.ErrorCode = code
			return resp
		}
	case *kmsg.OffsetDeleteRequest:
		if !c.mayGroup(kmsg.ACLOperationDelete, r.Group) {
			resp := r.ResponseKind().(*kmsg.OffsetDeleteResponse)
			resp.ErrorCode = denied
			return resp
		}
	case *kmsg.OffsetCommitRequest:
		if code := c.forbiddenCommit(r.Group, func(yield func(string) bool) {
			for i := range r.Topics {
				if !yield(r.Topics[i].Topic) {
					return
				}
			}
		}); code != 0 {
			return refuseOffsetCommit(r, code)
		}
	case *kmsg.OffsetFetchRequest:
		return c.forbiddenOffsetFetch(r, describe)
	}
	return nil
}

// forbiddenCommit is the error of a commit of offsets of topics for a group, 0 if it is allowed. One topic that the client may not read is enough to refuse it all.
func (c *conn) forbiddenCommit(group string, topics func(func(string) bool)) int16 {
	if !c.mayGroup(kmsg.ACLOperationRead, group) {
		return kerr.GroupAuthorizationFailed.Code
	}
	for topic := range topics {
		if !c.mayTopic(kmsg.ACLOperationRead, topic) {
			return kerr.TopicAuthorizationFailed.Code
		}
	}
	return 0
}

func refuseOffsetCommit(r *kmsg.OffsetCommitRequest, code int16) response {
	resp := r.ResponseKind().(*kmsg.OffsetCommitResponse)
	for _, rt := range r.Topics {
		topic := kmsg.NewOffsetCommitResponseTopic()
		topic.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			part := kmsg.NewOffsetCommitResponseTopicPartition()
			part.Partition, part.ErrorCode = rp.Partition, code
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (c *conn) forbiddenOffsetFetch(r *kmsg.OffsetFetchRequest, op kmsg.ACLOperation) response {
	resp := r.ResponseKind().(*kmsg.OffsetFetchResponse)
	denied := kerr.GroupAuthorizationFailed.Code
	if r.Version < 8 {
		if c.mayGroup(op, r.Group) {
			return nil
		}
		resp.ErrorCode = denied
		return resp
	}
	refused := false
	for _, rg := range r.Groups {
		group := kmsg.NewOffsetFetchResponseGroup()
		group.Group = rg.Group
		if !c.mayGroup(op, rg.Group) {
			group.ErrorCode, refused = denied, true
		}
		resp.Groups = append(resp.Groups, group)
	}
	if !refused {
		return nil
	}
	return resp
}

func (c *conn) forbiddenTxn(req kmsg.Request) response {
	denied := kerr.TransactionalIDAuthorizationFailed.Code
	write := kmsg.ACLOperationWrite
	switch r := req.(type) {
	case *kmsg.InitProducerIDRequest:
		if r.TransactionalID != nil && !c.mayTxn(write, *r.TransactionalID) {
			resp := r.ResponseKind().(*kmsg.InitProducerIDResponse)
			resp.ErrorCode, resp.ProducerID, resp.ProducerEpoch = denied, -1, -1
			return resp
		}
	case *kmsg.AddOffsetsToTxnRequest:
		resp := r.ResponseKind().(*kmsg.AddOffsetsToTxnResponse)
		switch {
		case !c.mayTxn(write, r.TransactionalID):
			resp.ErrorCode = denied
			return resp
		case !c.mayGroup(kmsg.ACLOperationRead, r.Group):
			resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
			return resp
		}
	case *kmsg.EndTxnRequest:
		if !c.mayTxn(write, r.TransactionalID) {
			resp := r.ResponseKind().(*kmsg.EndTxnResponse)
			resp.ErrorCode = denied
			return resp
		}
	case *kmsg.AddPartitionsToTxnRequest:
		return c.forbiddenAddPartitions(r)
	case *kmsg.TxnOffsetCommitRequest:
		code := c.forbiddenCommit(r.Group, func(yield func(string) bool) {
			for i := range r.Topics {
				if !yield(r.Topics[i].Topic) {
					return
				}
			}
		})
		if !c.mayTxn(write, r.TransactionalID) {
			code = denied
		}
		if code != 0 {
			return refuseTxnOffsetCommit(r, code)
		}
	}
	return nil
}

func (c *conn) forbiddenAddPartitions(r *kmsg.AddPartitionsToTxnRequest) response {
	refused := int16(0)
	if !c.mayTxn(kmsg.ACLOperationWrite, r.TransactionalID) {
		refused = kerr.TransactionalIDAuthorizationFailed.Code
	}
	resp := r.ResponseKind().(*kmsg.AddPartitionsToTxnResponse)
	denied := refused != 0
	for _, rt := range r.Topics {
		code := refused
		if code == 0 && !c.mayTopic(kmsg.ACLOperationWrite, rt.Topic) {
			code, denied = kerr.TopicAuthorizationFailed.Code, true
		}
		topic := kmsg.NewAddPartitionsToTxnResponseTopic()
		topic.Topic = rt.Topic
		for _, id := range rt.Partitions {
			part := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
			if part.Partition, part.ErrorCode = id, code; code == 0 {
				part.ErrorCode = kerr.OperationNotAttempted.Code
			}
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	if !denied {
		return nil
	}
	return resp
}

func refuseTxnOffsetCommit(r *kmsg.TxnOffsetCommitRequest, code int16) response {
	resp := r.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
	for _, rt := range r.Topics {
		topic := kmsg.NewTxnOffsetCommitResponseTopic()
		topic.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			part := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			part.Partition, part.ErrorCode = rp.Partition, code
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func (c *conn) forbiddenCluster(req kmsg.Request) response {
	denied, text := kerr.ClusterAuthorizationFailed.Code, kmsg.StringPtr("only superusers, and those whom a rule on the cluster allows, may do this")
	alter := kmsg.ACLOperationAlter
	switch r := req.(type) {
	case *kmsg.WriteTxnMarkersRequest:
		if !c.mayCluster(alter) {
			return refuseAllMarkers(r, denied)
		}
	case *kmsg.ElectLeadersRequest:
		if !c.mayCluster(alter) {
			resp := r.ResponseKind().(*kmsg.ElectLeadersResponse)
			resp.ErrorCode = denied
			return resp
		}
	case *kmsg.AlterPartitionAssignmentsRequest:
		if !c.mayCluster(alter) {
			resp := r.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
			resp.ErrorCode, resp.ErrorMessage = denied, text
			return resp
		}
	case *kmsg.ListPartitionReassignmentsRequest:
		if !c.mayCluster(kmsg.ACLOperationDescribe) {
			resp := r.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
			resp.ErrorCode, resp.ErrorMessage, resp.Topics = denied, text, []kmsg.ListPartitionReassignmentsResponseTopic{}
			return resp
		}
	case *kmsg.DescribeLogDirsRequest:
		if !c.mayCluster(kmsg.ACLOperationDescribe) {
			resp := r.ResponseKind().(*kmsg.DescribeLogDirsResponse)
			resp.ErrorCode, resp.Dirs = denied, []kmsg.DescribeLogDirsResponseDir{}
			return resp
		}
	case *kmsg.DescribeACLsRequest:
		if !c.mayCluster(kmsg.ACLOperationDescribe) {
			resp := r.ResponseKind().(*kmsg.DescribeACLsResponse)
			resp.ErrorCode, resp.ErrorMessage, resp.Resources = denied, text, []kmsg.DescribeACLsResponseResource{}
			return resp
		}
	case *kmsg.CreateACLsRequest:
		if !c.mayCluster(alter) {
			resp := r.ResponseKind().(*kmsg.CreateACLsResponse)
			for range r.Creations {
				result := kmsg.NewCreateACLsResponseResult()
				result.ErrorCode, result.ErrorMessage = denied, text
				resp.Results = append(resp.Results, result)
			}
			return resp
		}
	case *kmsg.DeleteACLsRequest:
		if !c.mayCluster(alter) {
			resp := r.ResponseKind().(*kmsg.DeleteACLsResponse)
			for range r.Filters {
				result := kmsg.NewDeleteACLsResponseResult()
				result.ErrorCode, result.ErrorMessage, result.MatchingACLs = denied, text, []kmsg.DeleteACLsResponseResultMatchingACL{}
				resp.Results = append(resp.Results, result)
			}
			return resp
		}
	}
	return nil
}

func refuseAllMarkers(r *kmsg.WriteTxnMarkersRequest, code int16) response {
	resp := r.ResponseKind().(*kmsg.WriteTxnMarkersResponse)
	for _, rm := range r.Markers {
		m := kmsg.NewWriteTxnMarkersResponseMarker()
		m.ProducerID = rm.ProducerID
		for _, rt := range rm.Topics {
			m.Topics = append(m.Topics, refuseMarkers(rt, code))
		}
		resp.Markers = append(resp.Markers, m)
	}
	return resp
}
