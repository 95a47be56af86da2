package kafkabackend

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millracedb/millrace/kafka"
	"github.com/millracedb/millrace/replication/metadata"
)

// maxQuotas bounds the limits that can be set.
const maxQuotas = 10_000

// Quotas implements kafka.Quotas over the metadata.
type Quotas struct {
	Cluster *Cluster
	last    atomic.Pointer[quotasAt]
}

// quotasAt is the table of an image.
type quotasAt struct {
	image *metadata.Image
	table *kafka.QuotaTable
}

// Table implements kafka.Quotas.
func (q *Quotas) Table() *kafka.QuotaTable {
	img := q.Cluster.Meta.Image()
	if at := q.last.Load(); at != nil && at.image == img {
		return at.table
	}
	var all []kafka.Quota
	for s := range img.Quotas() {
		all = append(all, kafka.Quota{Entity: kafka.QuotaEntity{User: s.User, ClientID: s.ClientID}, Name: s.Name, Value: s.Value})
	}
	table := kafka.NewQuotaTable(all)
	q.last.Store(&quotasAt{img, table})
	return table
}

// Change implements kafka.Quotas.
func (q *Quotas) Change(ctx context.Context, set, remove []kafka.Quota) error {
	if len(set)+len(remove) == 0 {
		return nil
	}
	return q.Cluster.apply(ctx, func(b *metadata.Batch) error {
		n := 0
		for range b.Image().Quotas() {
			n++
		}
		if len(set) > 0 && n >= maxQuotas {
			return fmt.Errorf("%w: there are %d quotas, as many as there can be", kerr.PolicyViolation, n)
		}
		for _, s := range set {
			b.SetQuota(metadata.Quota{User: s.Entity.User, ClientID: s.Entity.ClientID, Name: s.Name, Value: s.Value})
		}
		for _, s := range remove {
			b.UnsetQuota(metadata.Quota{User: s.Entity.User, ClientID: s.Entity.ClientID, Name: s.Name})
		}
		return nil
	})
}
