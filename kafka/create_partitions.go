package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// createPartitions answers key 37, versions 0 to 3. Placement by hand is not looked at: there is one node.
func createPartitions(c *conn, _ context.Context, req *kmsg.CreatePartitionsRequest) *kmsg.CreatePartitionsResponse {
	ctx, cancel := c.timeout(req.TimeoutMillis)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	resp.Topics = make([]kmsg.CreatePartitionsResponseTopic, 0, len(req.Topics))
	for _, rt := range req.Topics {
		err := error(kerr.TopicAuthorizationFailed)
		if c.mayTopic(kmsg.ACLOperationAlter, rt.Topic) {
			err = c.server.config.Cluster.CreatePartitions(ctx, rt.Topic, rt.Count, req.ValidateOnly)
		}
		topic := kmsg.NewCreatePartitionsResponseTopic()
		topic.Topic, topic.ErrorCode, topic.ErrorMessage = rt.Topic, code(err), message(err)
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}
