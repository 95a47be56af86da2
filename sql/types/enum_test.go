package types

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func enumOf(labels ...string) Type {
	list, err := EnumList(labels)
	if err != nil {
		panic(err)
	}
	return EnumOf(&Enum{OID: 20000, ArrayOID: 20001, Name: "mood", TypeName: "mood", Schema: "public", Labels: NewEnumLabels(list, nil)})
}

func TestEnumValuesGoThroughEveryForm(t *testing.T) {
	mood := enumOf("sad", "it's \"ok\"", "")
	for _, label := range []string{"sad", "it's \"ok\"", ""} {
		d, err := ParseText(mood, label, nil)
		require.NoError(t, err)
		require.Equal(t, label, FormatText(mood, d, nil))
		for name, again := range map[string]func() (Datum, error){
			"binary": func() (Datum, error) { return ParseBinary(mood, AppendBinary(nil, mood, d)) },
			"json":   func() (Datum, error) { return DatumFromJSON(mood, AppendJSON(nil, mood, d)) },
			"key": func() (Datum, error) {
				back, rest, err := DecodeKey(mood, AppendKey(nil, mood, d))
				require.Empty(t, rest)
				return back, err
			},
			"array": func() (Datum, error) {
				array := ArrayOf(mood)
				a, err := ParseText(array, FormatText(array, ArrayDatum(mood, []Datum{d, NullDatum}), nil), nil)
				require.NoError(t, err)
				a, err = ParseBinary(array, AppendBinary(nil, array, a))
				it := NewElements(a.S)
				require.True(t, it.Next(mood))
				return it.Value, err
			},
		} {
			back, err := again()
			require.NoError(t, err, name)
			require.Equal(t, d, back, name)
		}
	}
	_, err := ParseText(mood, "SAD", nil)
	require.ErrorContains(t, err, `invalid input value for enum mood: "SAD"`)
}

func TestAddedEnumLabelsStandWhereTheyAreWantedAndOthersStay(t *testing.T) {
	list, err := EnumList([]string{"b", "d"})
	require.NoError(t, err)
	held := map[string]int64{"b": list[0].Order, "d": list[1].Order}
	beside := func(s string) *string { return &s }
	for _, add := range []struct {
		name   string
		beside *string
		before bool
	}{{"e", nil, false}, {"a", beside("b"), true}, {"c", beside("b"), false}, {"f", beside("e"), false}, {"0", beside("a"), true}} {
		list, err = AddEnumLabel(list, add.name, add.beside, add.before)
		require.NoError(t, err)
	}
	labels := NewEnumLabels(list, nil)
	var names []string
	for _, l := range labels.All() {
		names = append(names, l.Name)
	}
	require.Equal(t, "0 a b c d e f", strings.Join(names, " "))
	for name, order := range held {
		now, ok := labels.Find(name)
		require.True(t, ok)
		require.Equal(t, order, now, "values in state are held by their order")
	}
}

func TestThereIsRoomForThirtyEnumLabelsAtOnePlaceAndThenAnError(t *testing.T) {
	list, err := EnumList([]string{"a", "z"})
	require.NoError(t, err)
	first := "a"
	n := 0
	for ; err == nil && n < 100; n++ {
		list, err = AddEnumLabel(list, strings.Repeat("x", n+1), &first, false)
		require.True(t, err != nil || list[0].Order < list[1].Order)
	}
	require.ErrorContains(t, err, "no room")
	require.Greater(t, n, 30)
}

func TestEnumLabelsThatAreMissedAreLookedUpAgain(t *testing.T) {
	list, err := EnumList([]string{"a"})
	require.NoError(t, err)
	more, err := AddEnumLabel(list, "b", nil, false)
	require.NoError(t, err)
	labels := NewEnumLabels(list, func() []EnumLabel { return more })
	order, ok := labels.Find("b")
	require.True(t, ok)
	require.Equal(t, "b", labels.Label(order))
	_, ok = labels.Find("c")
	require.False(t, ok)
}
