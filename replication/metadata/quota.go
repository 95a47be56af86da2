package metadata

import (
	"iter"
	"net/url"
	"strconv"
)

// Quota is a limit of Kafka clients: of a user, a client id, or both together. An empty name is whoever has no limit of its own; nil is anybody. It is kept as a setting of the scope
// "quota", whose entity is the two names in the form of a query string.
type Quota struct {
	User, ClientID *string
	Name           string
	Value          float64
}

const (
	quotaScope  = "quota"
	quotaUser   = "user"
	quotaClient = "client-id"
)

func (q *Quota) key() SettingKey {
	v := url.Values{}
	if q.User != nil {
		v.Set(quotaUser, *q.User)
	}
	if q.ClientID != nil {
		v.Set(quotaClient, *q.ClientID)
	}
	return SettingKey{Scope: quotaScope, Entity: v.Encode(), Name: q.Name}
}

// SetQuota sets a quota; the last writer wins.
func (b *Batch) SetQuota(q Quota) { b.SetSetting(q.key(), strconv.FormatFloat(q.Value, 'g', -1, 64)) }

// UnsetQuota removes a quota, if it is there. Its value does not matter.
func (b *Batch) UnsetQuota(q Quota) { b.UnsetSetting(q.key()) }

// Quotas visits the quotas, those of an entity together.
func (img *Image) Quotas() iter.Seq[Quota] {
	return func(yield func(Quota) bool) {
		for k, text := range img.Settings(quotaScope) {
			v, err := url.ParseQuery(k.Entity)
			value, numErr := strconv.ParseFloat(text, 64)
			if err != nil || numErr != nil {
				continue // a later release wrote it in another form
			}
			q := Quota{Name: k.Name, Value: value}
			if v.Has(quotaUser) {
				user := v.Get(quotaUser)
				q.User = &user
			}
			if v.Has(quotaClient) {
				client := v.Get(quotaClient)
				q.ClientID = &client
			}
			if !yield(q) {
				return
			}
		}
	}
}
