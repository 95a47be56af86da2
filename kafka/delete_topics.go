package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// deleteTopics answers key 20, versions 1 to 6. From 6 on topics may be named by id.
func deleteTopics(c *conn, _ context.Context, req *kmsg.DeleteTopicsRequest) *kmsg.DeleteTopicsResponse {
	ctx, cancel := c.timeout(req.TimeoutMillis)
	defer cancel()
	cluster := c.server.config.Cluster
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	remove := func(name *string, id [16]byte, err error) {
		topic := kmsg.NewDeleteTopicsResponseTopic()
		if err == nil && !c.mayTopic(kmsg.ACLOperationDelete, *name) {
			err = kerr.TopicAuthorizationFailed
		}
		if err == nil {
			if t, ok := cluster.Topic(*name); ok {
				id = t.ID
			}
			err = cluster.DeleteTopic(ctx, *name)
		}
		topic.Topic, topic.TopicID, topic.ErrorCode, topic.ErrorMessage = name, id, code(err), message(err)
		resp.Topics = append(resp.Topics, topic)
	}
	for _, name := range req.TopicNames {
		remove(kmsg.StringPtr(name), [16]byte{}, nil)
	}
	for _, rt := range req.Topics {
		switch t, ok := cluster.TopicByID(rt.TopicID); {
		case (rt.Topic != nil) == (rt.TopicID != [16]byte{}):
			remove(rt.Topic, rt.TopicID, fmt.Errorf("%w: a topic is named either by its name or by its id", kerr.InvalidRequest))
		case rt.Topic != nil:
			remove(rt.Topic, [16]byte{}, nil)
		case ok:
			remove(kmsg.StringPtr(t.Name), rt.TopicID, nil)
		default:
			remove(nil, rt.TopicID, kerr.UnknownTopicID)
		}
	}
	return resp
}
