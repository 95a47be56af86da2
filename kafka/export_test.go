package kafka

import "github.com/twmb/franz-go/pkg/kmsg"

// Served calls f for every key that is served, with its versions.
func Served(f func(key, low, high int16)) {
	for key, a := range apis {
		f(key, a.min, a.max)
	}
}

// Decode decodes a request that is served, as a connection does.
func Decode(b []byte) (kmsg.Request, error) {
	h, err := parsePrefix(b)
	if err != nil {
		return nil, err
	}
	if a, ok := apis[h.key]; !ok || h.version < a.min || h.version > a.max {
		return nil, errMalformed
	}
	_, req, err := parseRequest(b)
	return req, err
}

// Limit is the limit that a table has for a client.
func Limit(t *QuotaTable, name, user, clientID string) (float64, bool) {
	limit, _, ok := t.find(name, user, clientID)
	return limit, ok
}
