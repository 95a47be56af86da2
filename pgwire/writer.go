package pgwire

import (
	"encoding/binary"
	"io"
	"math"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// writer collects messages to the client in one reused buffer. Its error is sticky: after it nothing is written, and the
// connection ends. A message is written to the network only when it is complete.
type writer struct {
	w        io.Writer
	maxWrite int // bytes in one Write: flushBytes under TLS, so that no record is larger
	buf      []byte
	start    int // of the message being built; -1 when there is none
	err      error
}

func newWriter(w io.Writer, maxWrite int) *writer {
	return &writer{w: w, maxWrite: maxWrite, buf: make([]byte, 0, 2*flushBytes), start: -1}
}

// begin starts a message; its length is filled in by finish.
func (w *writer) begin(typ byte) {
	w.start = len(w.buf)
	w.buf = append(w.buf, typ, 0, 0, 0, 0)
}

// finish ends the message and flushes when there is enough.
func (w *writer) finish() {
	binary.BigEndian.PutUint32(w.buf[w.start+1:], uint32(len(w.buf)-w.start-1))
	w.start = -1
	if len(w.buf) >= flushBytes {
		w.flush()
	}
}

// abandon drops the message being built, if any.
func (w *writer) abandon() {
	if w.start >= 0 {
		w.buf = w.buf[:w.start]
		w.start = -1
	}
}

// tooLong drops the message being built if the protocol cannot carry it, and says so.
func (w *writer) tooLong() error {
	size := len(w.buf) - w.start
	if size <= maxOutputMessageBytes {
		return nil
	}
	w.abandon()
	return sqlerr.New(sqlerr.ProgramLimitExceeded, "row of %d bytes is too large to send: a message holds at most %d bytes", size, maxOutputMessageBytes)
}

func (w *writer) int16(v int) { w.buf = binary.BigEndian.AppendUint16(w.buf, uint16(v)) }
func (w *writer) int32(v int) { w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(v)) }
func (w *writer) byte(b byte) { w.buf = append(w.buf, b) }

// string appends s with a terminating zero.
func (w *writer) string(s string) {
	w.buf = append(w.buf, s...)
	w.buf = append(w.buf, 0)
}

// empty writes a message without a body.
func (w *writer) empty(typ byte) {
	w.begin(typ)
	w.finish()
}

// flush writes out what is complete. It blocks while the client does not read: that is the back-pressure on queries.
func (w *writer) flush() {
	if w.err == nil {
		for out := w.buf; len(out) > 0 && w.err == nil; {
			n := min(len(out), w.maxWrite)
			_, w.err = w.w.Write(out[:n])
			out = out[n:]
		}
	}
	if cap(w.buf) > maxRetainedOutput {
		w.buf = make([]byte, 0, 2*flushBytes)
	}
	w.buf = w.buf[:0]
}

// dataRow writes one row; formats has an element for each column.
func (w *writer) dataRow(batch RowBatch, row int, formats []Format) error {
	w.begin('D')
	w.int16(len(formats))
	for col, format := range formats {
		at := len(w.buf)
		w.int32(-1)
		out, null := batch.AppendValue(w.buf, row, col, format)
		if null {
			w.buf = out[:at+4]
			continue
		}
		w.buf = out
		if size := len(out) - at - 4; size <= math.MaxInt32 {
			binary.BigEndian.PutUint32(out[at:], uint32(size))
		}
	}
	if err := w.tooLong(); err != nil {
		return err
	}
	w.finish()
	return w.err
}

// copyData writes one row of a COPY TO STDOUT.
func (w *writer) copyData(batch CopyBatch, row int) error {
	w.begin('d')
	w.buf = batch.AppendRow(w.buf, row)
	if err := w.tooLong(); err != nil {
		return err
	}
	w.finish()
	return w.err
}

// rowDescription describes columns with the formats of Bind.
func (w *writer) rowDescription(columns []Column, formats []Format) {
	w.begin('T')
	w.int16(len(columns))
	for i := range columns {
		c := &columns[i]
		w.string(c.Name)
		w.int32(int(c.TableOID))
		w.int16(int(c.AttNum))
		w.int32(int(c.TypeOID))
		w.int16(int(c.TypeLen))
		w.int32(int(c.TypeMod))
		w.int16(int(formatOf(formats, i)))
	}
	w.finish()
}

// copyResponse writes CopyInResponse ('G') or CopyOutResponse ('H').
func (w *writer) copyResponse(typ byte, formats []Format) {
	overall := TextFormat
	if len(formats) > 0 {
		overall = formats[0]
	}
	w.begin(typ)
	w.byte(byte(overall))
	w.int16(len(formats))
	for _, f := range formats {
		w.int16(int(f))
	}
	w.finish()
}

func (w *writer) parameterStatus(name, value string) {
	w.begin('S')
	w.string(name)
	w.string(value)
	w.finish()
}

func (w *writer) notification(n Notification) {
	w.begin('A')
	w.int32(int(n.PID))
	w.string(n.Channel)
	w.string(n.Payload)
	w.finish()
}

// problem writes an ErrorResponse ('E') or NoticeResponse ('N'). text is what e.Position refers to.
func (w *writer) problem(typ byte, e *sqlerr.Error, severity, text string) {
	w.begin(typ)
	field := func(code byte, value string) {
		if value != "" {
			w.byte(code)
			w.string(value)
		}
	}
	field('S', severity)
	field('V', severity)
	field('C', string(e.Code))
	field('M', e.Message)
	field('D', e.Detail)
	field('H', e.Hint)
	field('P', position(text, e.Position))
	field('s', e.Schema)
	field('t', e.Table)
	field('c', e.Column)
	field('n', e.Constraint)
	w.byte(0)
	w.finish()
}
