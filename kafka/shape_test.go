package kafka

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fill gives every list of a message two elements and every string something.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && v.Type().Field(i).Name != "Version" {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.String:
		v.SetString("text")
	}
}

func TestShapesAreThoseOfTheMessages(t *testing.T) {
	for key, a := range apis {
		for version := a.min; version <= a.max; version++ {
			req := kmsg.RequestForKey(key)
			req.SetVersion(version)
			if !req.IsFlexible() {
				continue
			}
			for _, full := range []bool{false, true} {
				if full {
					fill(reflect.ValueOf(req).Elem())
				}
				b := req.AppendTo(nil)
				name := kmsg.NameForKey(key)
				require.NoError(t, checkShape(b, key, version), "%s v%d %v", name, version, full)
				require.ErrorIs(t, checkShape(b[:len(b)-1], key, version), errMalformed, "%s v%d does not reach the end", name, version)
			}
		}
	}
}

func TestACountOfTagsThatAreNotThereIsRefusedAtOnce(t *testing.T) {
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 12
	b := []byte{0, 3, 0, 12, 0, 0, 0, 1, 0xff, 0xff, 0}
	b = req.AppendTo(b)
	b = append(b[:len(b)-1], 0xff, 0xff, 0xff, 0xff, 0x0f)
	_, _, err := parseRequest(b)
	require.ErrorIs(t, err, errMalformed)
	var r kbin.Reader
	r.Src = []byte{0xff, 0xff, 0xff, 0xff, 0x0f}
	skipTags(&r)
	require.False(t, r.Ok())
}
