package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeLogDirs answers key 35, versions 1 to 4: the one directory, and how much of it each partition takes. Version 4 adds the size of its disk (KIP-827).
func describeLogDirs(c *conn, _ context.Context, req *kmsg.DescribeLogDirsRequest) *kmsg.DescribeLogDirsResponse {
	resp := req.ResponseKind().(*kmsg.DescribeLogDirsResponse)
	dir := kmsg.NewDescribeLogDirsResponseDir()
	var err error
	dir.Dir, dir.TotalBytes, dir.UsableBytes, err = c.server.config.Cluster.LogDir()
	dir.ErrorCode = code(err)
	dir.Topics = []kmsg.DescribeLogDirsResponseDirTopic{}
	add := func(name string, partitions []int32) {
		topic := kmsg.NewDescribeLogDirsResponseDirTopic()
		topic.Topic = name
		for _, id := range partitions {
			if p, err := c.server.config.Partitions.Partition(name, id); err == nil {
				part := kmsg.NewDescribeLogDirsResponseDirTopicPartition()
				part.Partition, part.Size = id, p.Size()
				topic.Partitions = append(topic.Partitions, part)
			}
		}
		if len(topic.Partitions) > 0 {
			dir.Topics = append(dir.Topics, topic)
		}
	}
	if req.Topics == nil {
		for _, t := range c.server.config.Cluster.Topics() {
			add(t.Name, partitionIDs(t))
		}
	}
	for _, rt := range req.Topics {
		add(rt.Topic, rt.Partitions)
	}
	resp.Dirs = append(resp.Dirs, dir)
	return resp
}

func partitionIDs(t Topic) []int32 {
	ids := make([]int32, len(t.Partitions))
	for i := range ids {
		ids[i] = int32(i)
	}
	return ids
}
