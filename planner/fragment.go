package planner

import (
	"strconv"
)

// fragment cuts a plan at its exchanges. Upstream fragments come first; numbers count from 1 in that order. Topic names are
// _millrace_<query>_<n>_repartition and _changelog, n the fragment that writes them.
func fragment(out *Persistent, root Node, query string, partitions int32, replicas int16) {
	var cut func(n Node)
	cut = func(root Node) {
		f := &Fragment{Root: root}
		var walk func(n Node) Node
		walk = func(n Node) Node {
			if x, ok := n.(*Exchange); ok {
				cut(x)
				leaf := &Exchange{P: x.P, By: x.By, Broadcast: x.Broadcast, Topic: x.Topic, Closing: x.Closing}
				f.Sources = append(f.Sources, leaf)
				return leaf
			}
			if s, ok := n.(*Scan); ok {
				f.Sources = append(f.Sources, s)
				return n
			}
			setInputs(n, walk)
			f.Stateful = f.Stateful || n.Props().OpID != 0
			return n
		}
		if x, ok := root.(*Exchange); ok {
			x.In = walk(x.In)
		} else {
			walk(root)
		}
		f.ID = uint32(len(out.Fragments) + 1)
		f.Partitions = sourcePartitions(f.Sources, partitions)
		prefix := "_millrace_" + query + "_" + strconv.Itoa(int(f.ID))
		if x, ok := root.(*Exchange); ok {
			x.Topic = prefix + "_repartition"
			out.Topics = append(out.Topics, TopicSpec{
				Name: x.Topic, Partitions: partitions, Replicas: replicas,
				Configs: map[string]string{"cleanup.policy": "delete", "retention.ms": "-1"},
			})
		}
		if f.Stateful {
			f.Changelog = prefix + "_changelog"
			out.Topics = append(out.Topics, TopicSpec{
				Name: f.Changelog, Partitions: f.Partitions, Replicas: replicas,
				Configs: map[string]string{"cleanup.policy": "compact", "retention.ms": "-1"},
			})
		}
		out.Fragments = append(out.Fragments, f)
	}
	cut(root)
}

// sourcePartitions is the number of tasks of a fragment: that of its topics, which the planner made equal.
func sourcePartitions(sources []Node, exchange int32) int32 {
	for _, s := range sources {
		if scan, ok := s.(*Scan); ok {
			return scan.Rel.Partitions
		}
	}
	return exchange
}
