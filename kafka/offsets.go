package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// offsetCommit answers key 8, versions 0 to 9. Version 0 once meant ZooKeeper; here it is like the others.
func offsetCommit(c *conn, _ context.Context, req *kmsg.OffsetCommitRequest) *kmsg.OffsetCommitResponse {
	ctx, cancel := c.timeout(maxWaitMillis)
	defer cancel()
	return c.server.config.Groups.OffsetCommit(ctx, req)
}

// offsetFetch answers key 9, versions 0 to 9. From 2 on null asks for all of a group's offsets, from 7 on a client can insist on those of no open transaction
// (KIP-447), from 8 on it can ask for several groups (KIP-709).
func offsetFetch(c *conn, ctx context.Context, req *kmsg.OffsetFetchRequest) *kmsg.OffsetFetchResponse {
	return c.server.config.Broker.OffsetFetch(ctx, req)
}
