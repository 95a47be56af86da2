package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupVersion is the level of Kafka's feature group.version: at 1 there are groups whose coordinator assigns (KIP-848).
const groupVersion = 1

// ConsumerCaller is who sends a heartbeat of the consumer protocol.
type ConsumerCaller struct {
	ClientID, Host string
	// Visible reports whether the caller may know of a topic: patterns of subscriptions do not mean others. It may be called after the request has ended.
	Visible func(topic string) bool
}

// startConsumerHeartbeat answers key 68, versions 0 and 1 (KIP-848): joining, leaving and staying in a group whose coordinator assigns. In version 1 clients make their
// own member ids (KIP-1082) and may subscribe to a pattern.
func startConsumerHeartbeat(c *conn, ctx context.Context, req *kmsg.ConsumerGroupHeartbeatRequest) func() response {
	finish := c.server.config.Groups.StartConsumerHeartbeat(ctx, req, ConsumerCaller{c.clientID, "/" + c.host(), c.visible()})
	return func() response { return finish() }
}

// visible returns a function that says which topics the client may know of, and that outlives the connection.
func (c *conn) visible() func(topic string) bool {
	access, user, host := c.server.config.Access, c.user, c.host()
	return func(topic string) bool {
		return may(access, user, func() string { return host }, kmsg.ACLOperationDescribe, kmsg.ACLResourceTypeTopic, topic)
	}
}

// consumerGroupDescribe answers key 69, versions 0 and 1, which adds the protocol of each member.
func consumerGroupDescribe(c *conn, _ context.Context, req *kmsg.ConsumerGroupDescribeRequest) *kmsg.ConsumerGroupDescribeResponse {
	denied := c.takeOutGroups(&req.Groups, kmsg.ACLOperationDescribe)
	resp := c.server.config.Groups.ConsumerGroupDescribe(req)
	for _, id := range denied {
		group := kmsg.NewConsumerGroupDescribeResponseGroup()
		group.Group, group.ErrorCode = id, kerr.GroupAuthorizationFailed.Code
		resp.Groups = append(resp.Groups, group)
	}
	return resp
}

// forbiddenConsumer is the error of a heartbeat that the client may not send, 0 if it may: it must be allowed to read as the group and to know of the topics it names.
func (c *conn) forbiddenConsumer(req *kmsg.ConsumerGroupHeartbeatRequest) int16 {
	if !c.mayGroup(kmsg.ACLOperationRead, req.Group) {
		return kerr.GroupAuthorizationFailed.Code
	}
	for _, topic := range req.SubscribedTopicNames {
		if !c.mayTopic(kmsg.ACLOperationDescribe, topic) {
			return kerr.TopicAuthorizationFailed.Code
		}
	}
	return 0
}
