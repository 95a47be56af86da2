package types

import (
	"math"
	"sort"
	"sync/atomic"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// Enum is an enumerated type (PostgreSQL docs, chapter 8.7). A value is held as the Order of its label, so that values compare, hash and make keys
// as the integers that they are; records and clients see labels.
type Enum struct {
	OID, ArrayOID uint32
	Name          string // as SQL names it, qualified and quoted where need be
	TypeName      string // pg_type.typname
	Schema        string
	Labels        *EnumLabels
}

// EnumOf returns the type of an enumeration.
func EnumOf(e *Enum) Type { return Type{Kind: EnumKind, Mod: -1, Enum: e} }

// EnumLabel is one value. Its order never changes: values in state are held by it.
type EnumLabel struct {
	Name  string `json:"name"`
	Order int64  `json:"order"`
}

// EnumStep is the distance of the labels that a type is made with: what is added between two of them is put in the middle.
const EnumStep = 1 << 32

// MaxEnumLabel is the longest label, in bytes.
const MaxEnumLabel = 63

// EnumLabels are the labels of an enumerated type, shared by all that use it: what ALTER TYPE ADD VALUE adds reaches queries that run.
type EnumLabels struct {
	set     atomic.Pointer[enumSet]
	refresh func() []EnumLabel
}

type enumSet struct {
	list   []EnumLabel // ascending by Order
	byName map[string]int64
}

// NewEnumLabels makes a set of labels, which it keeps. refresh, if there is one, is asked for the list again when a label is
// missed.
func NewEnumLabels(list []EnumLabel, refresh func() []EnumLabel) *EnumLabels {
	l := &EnumLabels{refresh: refresh}
	l.Update(list)
	return l
}

// Update replaces the labels by the list, which it keeps.
func (l *EnumLabels) Update(list []EnumLabel) {
	s := &enumSet{list: list, byName: make(map[string]int64, len(list))}
	sort.Slice(list, func(i, j int) bool { return list[i].Order < list[j].Order })
	for _, x := range list {
		s.byName[x.Name] = x.Order
	}
	l.set.Store(s)
}

// All returns the labels in order, not to be changed.
func (l *EnumLabels) All() []EnumLabel { return l.set.Load().list }

// Find returns the order of a label.
func (l *EnumLabels) Find(name string) (order int64, ok bool) {
	if order, ok = l.set.Load().byName[name]; !ok && l.again() {
		order, ok = l.set.Load().byName[name]
	}
	return order, ok
}

// Label returns the label of an order, "" if there is none.
func (l *EnumLabels) Label(order int64) string {
	name, ok := l.set.Load().label(order)
	if !ok && l.again() {
		name, _ = l.set.Load().label(order)
	}
	return name
}

// again looks whether there are more labels by now. There are never fewer.
func (l *EnumLabels) again() bool {
	if l.refresh == nil {
		return false
	}
	list := l.refresh()
	if len(list) <= len(l.All()) {
		return false
	}
	l.Update(list)
	return true
}

func (s *enumSet) label(order int64) (string, bool) {
	i := sort.Search(len(s.list), func(i int) bool { return s.list[i].Order >= order })
	if i == len(s.list) || s.list[i].Order != order {
		return "", false
	}
	return s.list[i].Name, true
}

// EnumList makes the labels of a new type.
func EnumList(names []string) ([]EnumLabel, error) {
	list := make([]EnumLabel, 0, len(names))
	seen := map[string]bool{}
	for i, name := range names {
		if err := checkEnumLabel(name); err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, sqlerr.New(sqlerr.UniqueViolation, "enum label %q is named twice", name)
		}
		seen[name] = true
		list = append(list, EnumLabel{Name: name, Order: int64(i+1) * EnumStep})
	}
	return list, nil
}

func checkEnumLabel(name string) error {
	if len(name) > MaxEnumLabel {
		return sqlerr.New(sqlerr.InvalidName, "invalid enum label %q", name).WithDetail("Labels must be %d bytes or less.", MaxEnumLabel)
	}
	return nil
}

// AddEnumLabel returns the list, which it leaves as it is, with one label more: beside another one, before or after it, or at the end.
func AddEnumLabel(list []EnumLabel, name string, beside *string, before bool) ([]EnumLabel, error) {
	if err := checkEnumLabel(name); err != nil {
		return nil, err
	}
	at := len(list)
	if beside != nil {
		i := 0
		for ; i < len(list) && list[i].Name != *beside; i++ {
		}
		if i == len(list) {
			return nil, sqlerr.New(sqlerr.InvalidParameterValue, "%q is not an existing enum label", *beside)
		}
		if at = i; !before {
			at++
		}
	}
	low, high := int64(0), int64(0)
	if at > 0 {
		low = list[at-1].Order
	} else if len(list) > 0 {
		low = list[0].Order - 2*EnumStep
	}
	if at < len(list) {
		high = list[at].Order
	} else {
		high = low + 2*EnumStep
	}
	order := low + (high-low)/2
	if order == low || low > math.MaxInt64-4*EnumStep || low < math.MinInt64+4*EnumStep {
		return nil, sqlerr.New(sqlerr.ProgramLimitExceeded, "there is no room for another enum label between these two").
			WithHint("Add it elsewhere, or make a new type.")
	}
	out := make([]EnumLabel, 0, len(list)+1)
	out = append(out, list[:at]...)
	out = append(out, EnumLabel{Name: name, Order: order})
	return append(out, list[at:]...), nil
}

func parseEnum(t Type, s string) (Datum, error) {
	if t.Enum != nil {
		if order, ok := t.Enum.Labels.Find(s); ok {
			return IntDatum(order), nil
		}
	}
	return NullDatum, sqlerr.New(sqlerr.InvalidTextRepresentation, "invalid input value for enum %s: \"%s\"", t, clip(s))
}

// EnumLabelOf returns the label of a value of t.
func EnumLabelOf(t Type, d Datum) string {
	if t.Enum == nil {
		return ""
	}
	return t.Enum.Labels.Label(d.I)
}
