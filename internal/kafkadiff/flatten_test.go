package kafkadiff

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/record"
)

func asTimeout(err error, to *net.Error) bool { return errors.As(err, to) && (*to).Timeout() }

// names gives ids that each broker chooses a name by the order in which they first come up, so that two transcripts say the same if they mean the same.
type names map[string]string

func (n names) of(kind string, id any) string {
	key := fmt.Sprint(kind, id)
	if _, ok := n[key]; !ok {
		count := 0
		for k := range n {
			if strings.HasPrefix(k, kind) {
				count++
			}
		}
		n[key] = fmt.Sprintf("%s%d", kind, count+1)
	}
	return n[key]
}

// left out: what is different everywhere, and texts.
var leftOut = map[string]bool{
	"Version": true, "UnknownTags": true, "ThrottleMillis": true, "ErrorMessage": true, "ClusterID": true, "Host": true, "Port": true, "Rack": true, "ClientHost": true,
	"Documentation": true, "LogDir": true, "Dir": true, "TotalBytes": true, "UsableBytes": true, "SessionID": true, "FinalizedFeaturesEpoch": true, "Size": true, "OffsetLag": true,
}

// keys are the fields by which the elements of a list are told apart, the first that an element has.
var keys = []string{"Topic", "Partition", "ResourceName", "Group", "Name", "TransactionalID", "MemberID", "ProducerID", "User", "ApiKey", "Key"}

// flatten is a message as a list of fields with their paths. Lists whose elements have names are in the order of nothing.
func (n names) flatten(resp kmsg.Response) map[string]string {
	out := map[string]string{}
	if created, ok := resp.(*kmsg.CreateTopicsResponse); ok {
		for i := range created.Topics { // the settings are compared where they are described
			created.Topics[i].Configs = created.Topics[i].Configs[:0]
		}
	}
	n.walk(out, "", reflect.ValueOf(resp).Elem())
	return out
}

func (n names) walk(out map[string]string, path string, v reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() || leftOut[f.Name] {
			continue
		}
		n.field(out, path+f.Name, f.Name, v.Field(i))
	}
}

func (n names) field(out map[string]string, path, name string, v reflect.Value) {
	if text, ok := n.known(name, v); ok {
		out[path] = text
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		n.walk(out, path+".", v)
	case reflect.Pointer:
		if v.IsNil() {
			out[path] = "null"
			return
		}
		n.field(out, path, name, v.Elem())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			out[path] = fmt.Sprintf("%q", v.Bytes())
			return
		}
		out[path] = fmt.Sprintf("%d elements", v.Len())
		for i := range v.Len() {
			at := fmt.Sprintf("%s[%s]", path, n.elementName(v.Index(i), i))
			for k := 2; out[at+"#"] != ""; k++ {
				at = fmt.Sprintf("%s[%s~%d]", path, n.elementName(v.Index(i), i), k)
			}
			out[at+"#"] = "there"
			n.field(out, at, name, v.Index(i))
		}
	default:
		out[path] = fmt.Sprint(v.Interface())
	}
}

func (n names) elementName(v reflect.Value, i int) string {
	if v.Kind() == reflect.String {
		return v.String()
	}
	if v.Kind() != reflect.Struct {
		return fmt.Sprint(i)
	}
	if kind := v.FieldByName("Type"); kind.IsValid() && kind.Kind() == reflect.String { // a part of whom a quota is about
		if name := v.FieldByName("Name"); !name.IsNil() {
			return kind.String() + "=" + name.Elem().String()
		}
		return kind.String()
	}
	if entity := v.FieldByName("Entity"); entity.IsValid() {
		var parts []string
		for i := range entity.Len() {
			parts = append(parts, n.elementName(entity.Index(i), i))
		}
		slices.Sort(parts)
		return strings.Join(parts, " ")
	}
	for _, k := range keys {
		f := v.FieldByName(k)
		if !f.IsValid() || f.Kind() == reflect.Slice || f.Kind() == reflect.Struct {
			continue
		}
		if f.Kind() == reflect.Pointer {
			if f.IsNil() {
				continue
			}
			f = f.Elem()
		}
		if text, ok := n.known(k, f); ok {
			return text
		}
		return fmt.Sprint(f.Interface())
	}
	return fmt.Sprint(i)
}

// known renders the fields whose values need it.
func (n names) known(name string, v reflect.Value) (string, bool) {
	switch name {
	case "ErrorCode":
		if err := kerr.TypedErrorForCode(int16(v.Int())); err != nil {
			return err.Message, true
		}
		return "none", true
	case "TopicID":
		if v.IsZero() {
			return "zero", true
		}
		return "set", true
	case "ProducerID":
		if v.Int() > 0 {
			return n.of("P", v.Int()), true
		}
	case "MemberID", "LeaderID":
		if v.Kind() == reflect.String && v.String() != "" {
			return n.of("M", v.String()), true
		}
	case "NodeID", "Leader", "ControllerID", "BrokerID":
		if v.Kind() == reflect.Int32 && v.Int() >= 0 {
			return "a node", true
		}
	case "Replicas", "ISR", "EligibleLeaderReplicas", "LastKnownELR", "OfflineReplicas":
		if v.Kind() == reflect.Slice {
			return fmt.Sprintf("%d nodes", v.Len()), true
		}
	case "LogAppendTime", "LastTimestamp", "StartTimestamp":
		if v.Int() > 0 {
			return "a time", true
		}
	case "RecordBatches", "Records":
		if v.Kind() == reflect.Slice {
			return records(v.Bytes()), true
		}
	}
	return "", false
}

// records is what batches hold.
func records(b []byte) string {
	var out []string
	var it record.Iterator
	for len(b) > 0 {
		h, frame, rest, err := record.Next(b)
		if err != nil {
			return strings.Join(append(out, "and "+err.Error()), "; ")
		}
		b = rest
		if err := it.Reset(frame); err != nil {
			return strings.Join(append(out, err.Error()), "; ")
		}
		line := fmt.Sprintf("batch %d %s", h.BaseOffset, h.Attributes.Codec())
		if h.IsControl() {
			line += " marker"
		}
		for it.Next() {
			if !h.IsControl() {
				line += fmt.Sprintf(" %q=%q", it.Record.Key, it.Record.Value)
			}
		}
		out = append(out, line)
	}
	return strings.Join(out, "; ")
}
