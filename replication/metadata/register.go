package metadata

import (
	"context"
	"net"
	"strconv"
)

// queryNodeKey is the setting that names the node on which the queries run, and which therefore leads every partition that it can.
var queryNodeKey = SettingKey{Scope: "cluster", Name: "query.node"}

// QueryNode is the node on which the queries run; false if none was chosen yet.
func (img *Image) QueryNode() (int32, bool) {
	v, ok := img.Setting(queryNodeKey)
	n, err := strconv.ParseInt(v, 10, 32)
	return int32(n), ok && err == nil
}

// SetQueryNode chooses the node on which the queries run.
func (b *Batch) SetQueryNode(id int32) { b.SetSetting(queryNodeKey, strconv.Itoa(int(id))) }

// Register makes this node a broker, in place of the registration it had, and returns its new epoch. k's id and directory are those of the store's identity.
//
// The only broker is active at once, and every partition that it led or nobody does gets a leader and a new leader epoch. One of several begins fenced: the controller lets it
// in when it has heard from it (package controller).
func (s *Store) Register(ctx context.Context, k Broker) (epoch uint64, err error) {
	k.ID, k.Directory, k.Release = s.opts.Identity.NodeID, s.opts.Identity.Directory, s.opts.Release
	k.FeatureMin, k.FeatureMax = FeatureMin, s.opts.FeatureMax
	if k.Incarnation, err = NewUUID(s.opts.Rand); err != nil {
		return 0, err
	}
	b := s.NewBatch()
	var replaces uint64
	alone := true
	for old := range b.Image().Brokers() {
		if old.ID == k.ID {
			replaces = old.Epoch
		} else {
			alone = false
		}
	}
	k.Fenced = !alone || !s.Leads()
	ref := b.RegisterBroker(k, replaces)
	if _, ok := b.Image().QueryNode(); !ok && alone {
		b.SetQueryNode(k.ID)
	}
	r, err := s.Apply(ctx, b)
	if err != nil {
		return 0, err
	}
	if k.Fenced {
		return r.Epoch(ref), nil
	}
	for _, b := range elections(s.Image(), k.ID, s.NewBatch) {
		if _, err := s.Apply(ctx, b); err != nil {
			return 0, err
		}
	}
	return r.Epoch(ref), nil
}

// RaiseLevel raises the feature level, if it can be raised: on a node alone, which has no controller.
func (s *Store) RaiseLevel(ctx context.Context) error {
	b := s.NewBatch()
	b.RaiseLevel()
	if b.Len() == 0 {
		return nil
	}
	_, err := s.Apply(ctx, b)
	return err
}

// The names of endpoints.
const (
	EndpointPG    = "pg"
	EndpointHTTP  = "http"
	EndpointKafka = "kafka"
	EndpointPeer  = "peer" // the port for other nodes
)

// PeerAddr is the broker's node port, host:port; empty if it has none.
func (k *Broker) PeerAddr() string {
	for _, e := range k.Endpoints {
		if e.Name == EndpointPeer {
			return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
		}
	}
	return ""
}
