package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func FuzzParseRequest(f *testing.F) {
	for key, a := range apis {
		req := kmsg.RequestForKey(key)
		req.SetVersion(a.max)
		b := []byte{byte(key >> 8), byte(key), 0, byte(a.max), 0, 0, 0, 1, 0xff, 0xff}
		if req.IsFlexible() {
			b = append(b, 0)
		}
		f.Add(req.AppendTo(b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<12 {
			return
		}
		h, err := parsePrefix(b)
		if err != nil {
			return
		}
		if a, ok := apis[h.key]; !ok || h.version < a.min || h.version > a.max {
			return
		}
		h, req, err := parseRequest(b)
		if err == nil && (req.Key() != h.key || req.GetVersion() != h.version) {
			t.Fatalf("%s v%d for key %d v%d", kmsg.NameForKey(req.Key()), req.GetVersion(), h.key, h.version)
		}
	})
}
