package exec

import (
	"encoding/binary"

	"github.com/millracedb/millrace/exec/vec"
	"github.com/millracedb/millrace/planner"
)

// Tags of a materialize operator's key spaces.
const (
	matRows byte = 0
	matLast byte = 1
)

// materializeOp stands before a sink whose key does not contain the change key, so that several live rows may share a sink
// key. It keeps all of them: the latest is the one that shows, a delete removes its own row, and the key is deleted when no
// row is left. It emits upserts by sink key, one for each key that changed, when it is flushed.
type materializeOp struct {
	rows    *stateTable // group: sink key; rest: change key; value: sequence number, rowtime and row
	last    *stateTable // the last sequence number given
	seq     uint64
	loaded  bool
	sinkKey []int
	key     []int
	touched keyIndex
	keyRows *vec.Batch // for each touched key, a row that has its sink key
	out     outBatch
	cols    []*vec.Vector
	gbuf    []byte
	kbuf    []byte
	vbuf    []byte
	latest  []byte
}

func newMaterialize(cx *opContext, n *planner.Materialize, to edge) *materializeOp {
	schema := schemaOf(n)
	return &materializeOp{
		rows: newStateTable(cx.state, n.P.OpID, matRows), last: newStateTable(cx.state, n.P.OpID, matLast),
		sinkKey: n.SinkKey, key: n.In.Props().ChangeKey, keyRows: vec.NewBatch(schema, 0),
		out: outBatch{Batch: vec.NewBatch(schema, 0), to: to},
	}
}

func (o *materializeOp) push(in chunk, _ int) error {
	if err := o.loadSeq(); err != nil {
		return err
	}
	for i := range in.Len() {
		o.cols = pick(o.cols, in.Cols, o.sinkKey)
		o.gbuf = appendKeyCols(o.gbuf[:0], o.cols, i)
		o.cols = pick(o.cols, in.Cols, o.key)
		o.kbuf = appendKeyCols(o.kbuf[:0], o.cols, i)
		if _, fresh := o.touched.add(o.gbuf); fresh {
			o.keyRows.AppendRow(&vec.Batch{Cols: in.Cols, Rowtime: in.Rowtime}, i, vec.Insert)
		}
		if err := o.apply(in.Batch, i); err != nil {
			return err
		}
	}
	return nil
}

func (o *materializeOp) apply(in *vec.Batch, i int) error {
	if !in.Op(i).Adds() {
		return o.rows.del(o.gbuf, o.kbuf)
	}
	o.seq++
	o.vbuf = binary.BigEndian.AppendUint64(o.vbuf[:0], o.seq)
	o.vbuf = appendRowValue(o.vbuf, in, i)
	return o.rows.put(o.gbuf, o.kbuf, o.vbuf)
}

func (o *materializeOp) loadSeq() error {
	if o.loaded {
		return nil
	}
	val, ok, err := o.last.get(nil, nil)
	if err != nil {
		return err
	}
	if ok {
		o.seq = binary.BigEndian.Uint64(val)
	}
	o.loaded = true
	return nil
}

func (o *materializeOp) flush(int64) error {
	for n := range o.touched.len() {
		if err := o.emit(n); err != nil {
			return err
		}
	}
	if o.touched.len() > 0 {
		if err := o.last.put(nil, nil, binary.BigEndian.AppendUint64(nil, o.seq)); err != nil {
			return err
		}
	}
	o.touched.empty()
	o.keyRows.Reset()
	o.rows.flush()
	o.last.flush()
	return o.out.sendAll()
}

// emit sends what shows under touched key n now.
func (o *materializeOp) emit(n int) error {
	latest := o.latest[:0]
	err := o.rows.each(o.touched.key(int32(n)), func(_ int32, _, val []byte) error {
		if len(latest) == 0 || string(val[:8]) > string(latest[:8]) {
			latest = append(latest[:0], val...)
		}
		return nil
	})
	o.latest = latest
	if err != nil {
		return err
	}
	if len(latest) == 0 {
		o.out.appendRow(o.keyRows, n, vec.Delete)
	} else if err := appendFromRowValue(o.out.Batch, latest[8:], vec.UpdateInsert); err != nil {
		return err
	}
	return o.out.room()
}
