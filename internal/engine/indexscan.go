package engine

import (
	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/exec/bounded"
	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/sql/types"
)

// indexIter reads the rows of a table that have some values in an index: value by value, partition by partition, then the transaction's own rows.
type indexIter struct {
	tableIter
	readers []*exec.TableReader
	value   int // of keys
	scan    *exec.IndexScan
}

// openIndex reads by the index of the scan, or all rows if a partition does not have its entries yet: the filter decides anyway.
func (it *tableIter) openIndex(keys [][]types.Datum) (bounded.Iter, error) {
	x := &indexIter{tableIter: *it}
	for p := range it.rel.Partitions {
		r, ok, err := exec.NewTableReader(it.n.state, it.rel, p)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		built, err := r.HasIndex(it.sc.Index.OID)
		if err != nil {
			return nil, err
		}
		if !built {
			it.byKey, it.full = false, exec.NewRowBatch(it.rel, scanRows)
			return it, nil
		}
		x.readers = append(x.readers, r)
	}
	x.keys = keys[:0:0]
	for _, k := range keys {
		if !hasNull(k) {
			x.keys = append(x.keys, k)
		}
	}
	x.full = exec.NewRowBatch(it.rel, 0)
	return x, nil
}

// Next implements bounded.Iter.
func (it *indexIter) Next() (*vec.Batch, error) {
	for !it.done {
		resetRows(it.full)
		if err := it.fill(); err != nil {
			return nil, err
		}
		it.full = it.overlay.hide(it.rel, it.full)
		if it.done {
			it.overlay.appendInserted(it.rel, it.full)
		}
		if it.full.Len() > 0 {
			return it.project(), nil
		}
	}
	return nil, nil
}

// fill reads up to scanRows rows.
func (it *indexIter) fill() error {
	for it.full.Len() < scanRows {
		if it.scan == nil {
			if it.value == len(it.keys) || len(it.readers) == 0 {
				it.done = true
				return nil
			}
			var err error
			if it.scan, err = it.readers[it.part].ScanIndex(it.sc.Index, it.keys[it.value]); err != nil {
				return err
			}
			if it.part++; int(it.part) == len(it.readers) {
				it.part, it.value = 0, it.value+1
			}
		}
		n, err := it.scan.Next(it.full, scanRows-it.full.Len())
		if err != nil {
			return err
		}
		if n > 0 {
			continue
		}
		err = it.scan.Close()
		it.scan = nil
		if err != nil {
			return err
		}
	}
	return nil
}

// Close implements bounded.Iter.
func (it *indexIter) Close() {
	if it.scan != nil {
		if err := it.scan.Close(); err != nil {
			it.n.s.e.logger.Error("index scan is not closed", "err", err)
		}
	}
}
