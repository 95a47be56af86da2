package kafka

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// createPartitions answers key 37, versions 0 to 3. Where the new partitions are to be is not looked at: the cluster places them.
func createPartitions(c *conn, _ context.Context, req *kmsg.CreatePartitionsRequest) *kmsg.CreatePartitionsResponse {
	ctx, cancel := c.timeout(req.TimeoutMillis)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.CreatePartitionsResponse)
	resp.Topics = make([]kmsg.CreatePartitionsResponseTopic, 0, len(req.Topics))
	for _, rt := range req.Topics {
		err := error(kerr.TopicAuthorizationFailed)
		if t, ok := c.server.config.Cluster.Topic(rt.Topic); !c.mayTopic(kmsg.ACLOperationAlter, rt.Topic) {
			// as it is
		} else if added := int(rt.Count) - len(t.Partitions); ok && added > 0 && rt.Assignment != nil && len(rt.Assignment) != added {
			err = fmt.Errorf("%w: an assignment of %d partitions for %d new ones", kerr.InvalidReplicaAssignment, len(rt.Assignment), added)
		} else {
			err = c.server.config.Cluster.CreatePartitions(ctx, rt.Topic, rt.Count, req.ValidateOnly)
		}
		topic := kmsg.NewCreatePartitionsResponseTopic()
		topic.Topic, topic.ErrorCode, topic.ErrorMessage = rt.Topic, code(err), message(err)
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}
