package exec

import (
	"bytes"
	"encoding/binary"
)

// multiset counts equal rows of each group of an aggregate, in an order: what the aggregates keep that cannot undo a row from their running
// value alone. A state key is the aggregate's ordinal and the slot's key, which make the group, and then the row's key; a state value is the
// count and what the aggregate keeps with the row.
type multiset struct {
	table   *orderedTable
	slotKey func(slot int32) []byte
	group   []byte
	val     []byte
}

func (m *multiset) groupOf(ordinal int, slotKey []byte) []byte {
	m.group = binary.BigEndian.AppendUint32(m.group[:0], uint32(ordinal))
	m.group = append(m.group, slotKey...)
	return m.group
}

// add changes the count of the row key by sign and returns the counts before and after. payload is kept with the row when it is new. A count
// never falls below zero.
func (m *multiset) add(ordinal int, slot int32, key, payload []byte, sign int64) (before, after int64, err error) {
	group := m.groupOf(ordinal, m.slotKey(slot))
	old, ok, err := m.table.get(group, key)
	if err != nil {
		return 0, 0, err
	}
	if ok {
		if before, payload, err = takeVarint(old); err != nil {
			return 0, 0, err
		}
	}
	after = max(0, before+sign)
	if after == 0 {
		return before, after, m.table.del(group, key)
	}
	m.val = append(binary.AppendVarint(m.val[:0], after), payload...)
	return before, after, m.table.put(group, key, m.val)
}

// walk calls f with the rows of a slot in the order of their keys until it returns false.
func (m *multiset) walk(ordinal int, slot int32, f func(key []byte, count int64, payload []byte) (more bool, err error)) error {
	return m.table.walk(m.groupOf(ordinal, m.slotKey(slot)), func(key, val []byte) (bool, error) {
		count, payload, err := takeVarint(val)
		if err != nil {
			return false, err
		}
		return f(key, count, payload)
	})
}

// keepLeast keeps the row key with the least payload of all that come.
func (m *multiset) keepLeast(ordinal int, slot int32, key, payload []byte) error {
	group := m.groupOf(ordinal, m.slotKey(slot))
	old, ok, err := m.table.get(group, key)
	if err != nil {
		return err
	}
	if ok {
		_, had, err := takeVarint(old)
		if err != nil || bytes.Compare(had, payload) <= 0 {
			return err
		}
	}
	m.val = append(binary.AppendVarint(m.val[:0], 1), payload...)
	return m.table.put(group, key, m.val)
}

// cut deletes what comes after the first n rows of a slot. Equal rows count one by one, or with once together.
func (m *multiset) cut(ordinal int, slot int32, n int64, once bool) error {
	var gone [][]byte
	var kept int64
	err := m.walk(ordinal, slot, func(key []byte, count int64, _ []byte) (bool, error) {
		if kept >= n {
			gone = append(gone, bytes.Clone(key))
			return true, nil
		}
		if once {
			count = 1
		}
		kept += count
		return true, nil
	})
	if err != nil {
		return err
	}
	return m.delete(m.groupOf(ordinal, m.slotKey(slot)), gone)
}

// forget deletes all rows of a slot, of the given aggregates.
func (m *multiset) forget(ordinals []int, slotKey []byte) error {
	for _, ordinal := range ordinals {
		group := m.groupOf(ordinal, slotKey)
		var gone [][]byte
		err := m.table.walk(group, func(key, _ []byte) (bool, error) {
			gone = append(gone, bytes.Clone(key))
			return true, nil
		})
		if err != nil {
			return err
		}
		if err := m.delete(group, gone); err != nil {
			return err
		}
	}
	return nil
}

func (m *multiset) delete(group []byte, keys [][]byte) error {
	for _, key := range keys {
		if err := m.table.del(group, key); err != nil {
			return err
		}
	}
	return nil
}
