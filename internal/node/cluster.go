package node

import (
	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/millracedb/millrace/replication/metadata"
)

// ClusterHealth says how much the cluster could lose, as this node knows it.
type ClusterHealth struct {
	Voters          int // of the metadata group
	UnderReplicated int // partitions with fewer replicas in sync than they have or want and nodes allow
	Offline         int // partitions without a leader
}

// ClusterHealth counts over the newest metadata of this node.
func (n *Node) ClusterHealth() ClusterHealth {
	var h ClusterHealth
	if members, err := n.meta.Members(); err == nil {
		for _, m := range members {
			if m.Suffrage == raft.Voter {
				h.Voters++
			}
		}
	}
	img := n.meta.Image()
	active := 0
	for k := range img.Brokers() {
		if !k.Fenced {
			active++
		}
	}
	for t := range img.Topics() {
		for i := range t.Partitions {
			p := &t.Partitions[i]
			if len(p.ISR) < max(len(p.Replicas), min(t.Wants(p), active)) {
				h.UnderReplicated++
			}
			if p.Leader == metadata.NoLeader {
				h.Offline++
			}
		}
	}
	return h
}

// clusterGauges are the metrics of the cluster's health.
func (n *Node) clusterGauges() []prometheus.Collector {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "millrace_" + name, Help: help}, value)
	}
	return []prometheus.Collector{
		gauge("metadata_voters", "Nodes that vote in the metadata group.", func() float64 { return float64(n.ClusterHealth().Voters) }),
		gauge("feature_level", "What all nodes of the cluster understand.", func() float64 { return float64(n.FeatureLevel()) }),
		gauge("under_replicated_partitions", "Partitions with fewer replicas in sync than they should have.", func() float64 { return float64(n.ClusterHealth().UnderReplicated) }),
		gauge("offline_partitions", "Partitions without a leader.", func() float64 { return float64(n.ClusterHealth().Offline) }),
	}
}
