package engine

import (
	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/bounded"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql/types"
)

// scanTemp is scanTable for a temporary table.
func (n *snapshot) scanTemp(sc *planner.Scan, keys [][]types.Datum) (bounded.Iter, error) {
	t, ok := n.temp[metadata.OID(sc.Rel.OID)]
	if !ok {
		return nil, sqlerr.New(sqlerr.UndefinedTable, "relation %q does not exist", sc.Rel.Name)
	}
	it := &tempIter{tableIter: tableIter{n: n, sc: sc, rel: sc.Rel, keys: keys, byKey: keys != nil, full: exec.NewRowBatch(sc.Rel, scanRows)}, rows: t.rows}
	it.scan = it.rows.Scan(sc.Rel)
	return it, nil
}

// tempIter walks a temporary table.
type tempIter struct {
	tableIter
	rows exec.TempRows
	scan *exec.TempScan
}

// Next implements bounded.Iter.
func (it *tempIter) Next() (*vec.Batch, error) {
	if it.done {
		return nil, nil
	}
	resetRows(it.full)
	if it.byKey {
		it.done = true
		for _, key := range it.keys {
			if err := it.get(key); err != nil {
				return nil, err
			}
		}
	} else if _, err := it.scan.Next(it.full, scanRows); err != nil {
		return nil, err
	}
	if it.full.Len() == 0 {
		return nil, nil
	}
	return it.project(), nil
}

// get looks up a key, or a value of the scan's index.
func (it *tempIter) get(key []types.Datum) error {
	if it.sc.Index == nil {
		_, err := it.rows.Get(it.full, it.rel, key)
		return err
	}
	if hasNull(key) {
		return nil
	}
	return it.rows.GetByIndex(it.full, it.rel, it.sc.Index, key)
}

// Close implements bounded.Iter.
func (it *tempIter) Close() {}
