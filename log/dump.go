package log

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/millracedb/millrace/internal/fsys"
	"github.com/millracedb/millrace/internal/record"
)

// DumpOptions say how much DumpFile prints.
type DumpOptions struct {
	Records bool // the records of each batch too
}

// DumpFile prints a file of a partition to w, one line for each batch or entry: a segment (also .torn, .deleted, .cleaned and
// .swap files), an index, a producer snapshot, or a checkpoint. It goes on as far as the bytes make sense, and then returns
// what is wrong with the rest.
func DumpFile(w io.Writer, fs fsys.FS, path string, opts DumpOptions) error {
	name := fs.PathBase(path)
	for _, suffix := range []string{deletedSuffix, cleanedSuffix, swapSuffix, tornSuffix} {
		name = strings.TrimSuffix(name, suffix)
	}
	switch {
	case strings.HasSuffix(name, logSuffix):
		return dumpSegment(w, fs, path, opts)
	case strings.HasSuffix(name, offsetSuffix):
		return dumpIndex(w, fs, path, name, offsetSuffix, offsetEntrySize, func(base int64, e []byte) string {
			rel, pos := offsetEntry(e)
			return fmt.Sprintf("offset: %d position: %d", base+rel, pos)
		})
	case strings.HasSuffix(name, timeSuffix):
		return dumpIndex(w, fs, path, name, timeSuffix, timeEntrySize, func(base int64, e []byte) string {
			ms, rel := timeEntry(e)
			return fmt.Sprintf("timestamp: %d offset: %d", ms, base+rel)
		})
	case strings.HasSuffix(name, txnSuffix):
		return dumpIndex(w, fs, path, name, txnSuffix, txnEntrySize, func(_ int64, e []byte) string {
			t := txnEntry(e)
			return fmt.Sprintf("producerId: %d firstOffset: %d lastOffset: %d lastStableOffset: %d", t.producerID, t.first, t.last, t.lastStable)
		})
	case strings.HasSuffix(name, snapshotSuffix):
		return dumpSnapshot(w, fs, path)
	default:
		return dumpText(w, fs, path)
	}
}

func dumpSegment(w io.Writer, fs fsys.FS, path string, opts DumpOptions) error {
	f, err := fs.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // opened for reading
	st, err := f.Stat()
	if err != nil {
		return err
	}
	sc := scanner{file: f, size: st.Size(), window: scanWindow}
	var it record.Iterator
	for ; ; sc.skip() {
		more, err := sc.header()
		if err == nil && !more {
			return nil
		}
		var frame []byte
		if err == nil {
			frame, err = sc.frame()
		}
		if err != nil {
			return fmt.Errorf("%s, byte %d: %w", path, sc.pos, err)
		}
		crc := record.Check(&sc.h, frame)
		if err := dumpBatch(w, &sc.h, sc.pos, crc == nil); err != nil {
			return err
		}
		if crc != nil {
			return fmt.Errorf("%s, byte %d: %w", path, sc.pos, crc)
		}
		if sc.h.IsControl() {
			err = dumpMarker(w, frame)
		} else if opts.Records {
			err = dumpRecords(w, &it, frame)
		}
		if err != nil {
			return fmt.Errorf("%s, byte %d: %w", path, sc.pos, err)
		}
	}
}

func dumpBatch(w io.Writer, h *record.Header, pos int64, valid bool) error {
	_, err := fmt.Fprintf(w, "baseOffset: %d lastOffset: %d count: %d baseSequence: %d lastSequence: %d producerId: %d producerEpoch: %d "+
		"partitionLeaderEpoch: %d isTransactional: %t isControl: %t position: %d maxTimestamp: %d size: %d magic: %d compresscodec: %s crc: %d isvalid: %t\n",
		h.BaseOffset, h.LastOffset(), h.Count, h.BaseSequence, h.LastSequence(), h.ProducerID, h.ProducerEpoch,
		h.LeaderEpoch, h.IsTransactional(), h.IsControl(), pos, h.MaxTimestamp, h.Size(), h.Magic, h.Attributes.Codec(), h.CRC, valid)
	return err
}

func dumpMarker(w io.Writer, frame []byte) error {
	m, ok, err := record.ParseControl(frame)
	if err != nil || !ok {
		return err
	}
	kind := "ABORT"
	if m.Commit {
		kind = "COMMIT"
	}
	_, err = fmt.Fprintf(w, "| endTxnMarker: %s coordinatorEpoch: %d\n", kind, m.CoordinatorEpoch)
	return err
}

func dumpRecords(w io.Writer, it *record.Iterator, frame []byte) error {
	for _ = it.Reset(frame); it.Next(); {
		r := &it.Record
		var headers []string
		for _, p := range r.Headers(nil) {
			headers = append(headers, fmt.Sprintf("%q=%s", p.Key, printable(p.Value)))
		}
		if _, err := fmt.Fprintf(w, "| offset: %d timestamp: %d key: %s payload: %s headers: [%s]\n",
			r.Offset, r.Timestamp, printable(r.Key), printable(r.Value), strings.Join(headers, " ")); err != nil {
			return err
		}
	}
	return it.Err()
}

// printable shows text as a quoted string, other bytes in hexadecimal, and null as null.
func printable(b []byte) string {
	switch {
	case b == nil:
		return "null"
	case strings.ToValidUTF8(string(b), "") == string(b):
		return fmt.Sprintf("%q", b)
	default:
		return "0x" + hex.EncodeToString(b)
	}
}

func dumpIndex(w io.Writer, fs fsys.FS, path, name, suffix string, width int, line func(base int64, entry []byte) string) error {
	base, ok := parseSegmentFile(name, suffix)
	if !ok {
		return fmt.Errorf("%s is not named for a base offset", path)
	}
	data, err := fsys.ReadFile(fs, path, indexSizeMax)
	if err != nil {
		return err
	}
	for ; len(data) >= width; data = data[width:] {
		if _, err := fmt.Fprintln(w, line(base, data[:width])); err != nil {
			return err
		}
	}
	if len(data) > 0 {
		return fmt.Errorf("%s ends with %d bytes of an entry of %d", path, len(data), width)
	}
	return nil
}

func dumpSnapshot(w io.Writer, fs fsys.FS, path string) error {
	table, err := loadSnapshot(fs, path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, p := range table.sorted() {
		offset := int64(-1)
		if p.n > 0 {
			offset = p.batches[p.n-1].lastOffset
		}
		if _, err := fmt.Fprintf(w, "producerId: %d producerEpoch: %d lastSequence: %d lastOffset: %d coordinatorEpoch: %d currentTxnFirstOffset: %d lastTimestamp: %d\n",
			p.id, p.epoch, p.lastSeq(), offset, p.coordinatorEpoch, p.txnFirst, p.lastTime); err != nil {
			return err
		}
	}
	return nil
}

// dumpText prints a text checkpoint as it is.
func dumpText(w io.Writer, fs fsys.FS, path string) error {
	data, err := fsys.ReadFile(fs, path, checkpointSizeMax)
	if err != nil {
		return err
	}
	if strings.ContainsRune(string(data), 0) {
		return errors.Join(fmt.Errorf("%s is no file of a partition", path), errors.ErrUnsupported)
	}
	_, err = w.Write(data)
	return err
}
