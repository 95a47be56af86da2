package metadata

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"github.com/hashicorp/raft"
)

// A snapshot is a stream of items: kind (uvarint), length (uvarint), bytes. The first is the header, the last the end, which carries a CRC-32C of
// all before it. Between them stand the things of the image, each as it is written in entries.

type itemKind uint64

const (
	itemHeader  itemKind = 1
	itemBroker  itemKind = 2
	itemTopic   itemKind = 3
	itemObject  itemKind = 4
	itemUser    itemKind = 5
	itemACL     itemKind = 6
	itemSetting itemKind = 7
	itemRequest itemKind = 8
	itemEnd     itemKind = 9
)

const (
	snapshotVersion = 1
	// maxItemBytes bounds what a reader allocates for one item: a topic or object came in an entry, to which others may have added.
	maxItemBytes = 16 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// snapshot is the state at one index, captured by pointer.
type snapshot struct {
	release  string
	image    *Image
	requests []*outcome
}

func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	w := bufio.NewWriterSize(sink, 64<<10)
	if err := errors.Join(s.write(w), w.Flush()); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

func (s *snapshot) Release() {}

// itemWriter writes items and sums them; the first error sticks.
type itemWriter struct {
	w   io.Writer
	crc hash.Hash32
	err error
}

func (w *itemWriter) item(kind itemKind, body []byte) {
	head := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(kind)), uint64(len(body)))
	for _, b := range [][]byte{head, body} {
		if w.err != nil {
			return
		}
		if kind != itemEnd {
			_, _ = w.crc.Write(b) // hash.Hash never fails
		}
		_, w.err = w.w.Write(b)
	}
}

func (s *snapshot) write(out io.Writer) error {
	w := &itemWriter{w: out, crc: crc32.New(castagnoli)}
	img := s.image
	head := appendUint(nil, 1, snapshotVersion)
	head = appendString(head, 2, s.release)
	head = appendUint(head, 3, img.index)
	head = appendUint(head, 4, uint64(img.featureLevel))
	head = appendUint(head, 5, uint64(img.nextOID))
	head = appendUint(head, 6, uint64(img.nextProducer))
	w.item(itemHeader, head)
	for k := range img.Brokers() {
		w.item(itemBroker, k.append(nil))
	}
	for t := range img.Topics() {
		w.item(itemTopic, t.append(nil))
	}
	for o := range img.Objects() {
		w.item(itemObject, o.append(nil))
	}
	for u := range img.Users() {
		w.item(itemUser, u.append(nil))
	}
	for a := range img.ACLs() {
		w.item(itemACL, a.append(nil))
	}
	for v := range img.settings.values(nil) {
		w.item(itemSetting, v.append(nil))
	}
	for _, o := range s.requests {
		w.item(itemRequest, o.append(nil))
	}
	w.item(itemEnd, binary.BigEndian.AppendUint32(nil, w.crc.Sum32()))
	return w.err
}

// sumReader sums what is read through it.
type sumReader struct {
	r   *bufio.Reader
	crc hash.Hash32
}

func (s *sumReader) ReadByte() (byte, error) {
	c, err := s.r.ReadByte()
	if err == nil {
		_, _ = s.crc.Write([]byte{c}) // hash.Hash never fails
	}
	return c, err
}

// item reads the next item. The sum it returns is of everything before the item.
func (s *sumReader) item() (kind itemKind, body []byte, sum uint32, err error) {
	sum = s.crc.Sum32()
	k, err := binary.ReadUvarint(s)
	if err != nil {
		return 0, nil, 0, err
	}
	n, err := binary.ReadUvarint(s)
	if err != nil {
		return 0, nil, 0, err
	}
	if n > maxItemBytes {
		return 0, nil, 0, fmt.Errorf("item of %d bytes", n)
	}
	body = make([]byte, n)
	if _, err := io.ReadFull(s.r, body); err != nil {
		return 0, nil, 0, err
	}
	_, _ = s.crc.Write(body) // hash.Hash never fails
	return itemKind(k), body, sum, nil
}

func readSnapshot(in io.Reader, level uint32) (*Image, *requests, error) {
	r := &sumReader{r: bufio.NewReaderSize(in, 64<<10), crc: crc32.New(castagnoli)}
	kind, body, _, err := r.item()
	if err != nil || kind != itemHeader {
		return nil, nil, fmt.Errorf("metadata: snapshot: no header: %w", errors.Join(errMalformed, err))
	}
	tx, release, err := readSnapshotHeader(body)
	if err != nil {
		return nil, nil, err
	}
	if tx.featureLevel > level {
		return nil, nil, &UnknownLevelError{tx.featureLevel, level, release}
	}
	reqs := newRequests()
	for {
		kind, body, sum, err := r.item()
		if err != nil {
			return nil, nil, fmt.Errorf("metadata: snapshot: %w", err)
		}
		if kind == itemEnd {
			if len(body) != 4 || binary.BigEndian.Uint32(body) != sum {
				return nil, nil, fmt.Errorf("metadata: snapshot: checksum differs: %w", errMalformed)
			}
			return tx.commit(), reqs, nil
		}
		if err := tx.restoreItem(kind, body, release, reqs); err != nil {
			return nil, nil, err
		}
	}
}

func readSnapshotHeader(b []byte) (*imageTx, string, error) {
	tx, version, release := newImage().begin(0), uint64(0), ""
	r := read(b)
	for r.next() {
		switch r.num {
		case 1:
			version = r.uint()
		case 2:
			release = r.string()
		case 3:
			tx.index = r.uint()
		case 4:
			tx.featureLevel = r.uint32()
		case 5:
			tx.nextOID = OID(r.uint32())
		case 6:
			tx.nextProducer = int64(r.uint())
		}
	}
	if err := r.done("snapshot"); err != nil {
		return nil, "", err
	}
	if version != snapshotVersion {
		return nil, "", &UnknownEntryError{Kind: uint64(itemHeader), Version: version, Release: release}
	}
	return tx, release, nil
}

func (tx *imageTx) restoreItem(kind itemKind, body []byte, release string, reqs *requests) error {
	switch kind {
	case itemBroker:
		return restore(body, decodeBroker, func(k *Broker) { tx.brokers.put(idKey(k.ID), k) })
	case itemTopic:
		return restore(body, decodeTopic, tx.putTopic)
	case itemObject:
		return restore(body, decodeObject, tx.putObject)
	case itemUser:
		return restore(body, decodeUser, tx.putUser)
	case itemACL:
		return restore(body, decodeACL, func(a ACL) { tx.acls.put(a.append(nil), a) })
	case itemSetting:
		return restore(body, decodeSetting, func(v setting) { tx.settings.put(v.key(), v) })
	case itemRequest:
		return restore(body, decodeOutcome, reqs.add)
	}
	return &UnknownEntryError{Kind: uint64(kind), Version: snapshotVersion, Release: release}
}

func restore[T any](body []byte, decode func([]byte) (T, error), put func(T)) error {
	v, err := decode(body)
	if err != nil {
		return err
	}
	put(v)
	return nil
}
