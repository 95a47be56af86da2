package exec

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRangeTableWalksWhatWasPut compares an range table with a map, over a store and without one, in ranges and from any place.
func TestRangeTableWalksWhatWasPut(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 3))
		store := memState{}
		st := &taskState{limit: 1 << 20}
		if seed%2 == 0 {
			st.committed = store
		}
		table, model := newRangeTable(st, 7, 1), map[string]string{}
		key := func() []byte { return fmt.Appendf(nil, "%03d", rng.IntN(300)) }
		for range 40 {
			for range rng.IntN(60) {
				k := key()
				_, there := model[string(k)]
				switch {
				case there && rng.IntN(2) == 0:
					table.del(k)
					delete(model, string(k))
				case there || rng.IntN(2) == 0:
					v := fmt.Sprint(rng.IntN(1000))
					table.put(k, []byte(v))
					model[string(k)] = v
				}
			}
			requireRange(t, table, model, key(), key())
			requireRange(t, table, model, nil, nil)
			k := key()
			v, ok, err := table.get(nil, k)
			require.NoError(t, err)
			want, there := model[string(k)]
			require.Equal(t, there, ok)
			if ok {
				require.Equal(t, want, string(v))
			}
			table.flush()
			require.NoError(t, st.endReads())
			store.take(st)
			st.commit()
		}
	}
}

func requireRange(t *testing.T, table *rangeTable, model map[string]string, lower, upper []byte) {
	t.Helper()
	var want, have []string
	for k, v := range model {
		if k >= string(lower) && (upper == nil || k < string(upper)) {
			want = append(want, k+"="+v)
		}
	}
	slices.Sort(want)
	require.NoError(t, table.scan(lower, upper, func(key, val []byte) (bool, error) {
		have = append(have, string(key)+"="+string(val))
		return true, nil
	}))
	require.Equal(t, want, have)
}

// memState is a committed state of one operator.
type memState map[string]string

func (s memState) take(st *taskState) {
	for _, w := range st.writes {
		if w.deleted {
			delete(s, string(st.key(w)))
		} else {
			s[string(st.key(w))] = string(st.val(w))
		}
	}
}

func (s memState) Get(dst []byte, _ uint32, key []byte) ([]byte, bool, error) {
	v, ok := s[string(key)]
	return append(dst, v...), ok, nil
}

func (s memState) Iter(_ uint32, lower, upper []byte) (StateIter, error) {
	it := &memIter{state: s, at: -1}
	for k := range s {
		if k >= string(lower) && k < string(upper) {
			it.keys = append(it.keys, k)
		}
	}
	slices.Sort(it.keys)
	return it, nil
}

type memIter struct {
	state memState
	keys  []string
	at    int
}

func (i *memIter) Next() bool {
	i.at++
	return i.at < len(i.keys)
}

func (i *memIter) SeekGE(key []byte) bool {
	i.at, _ = slices.BinarySearch(i.keys, string(key))
	return i.at < len(i.keys)
}

func (i *memIter) SeekLT(key []byte) bool {
	i.at, _ = slices.BinarySearch(i.keys, string(key))
	i.at--
	return i.at >= 0
}

func (i *memIter) Key() []byte   { return []byte(i.keys[i.at]) }
func (i *memIter) Value() []byte { return []byte(i.state[i.keys[i.at]]) }
func (i *memIter) Err() error    { return nil }
func (i *memIter) Close() error  { return nil }
