package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Codec is how the records of a batch are compressed.
type Codec uint8

// The codecs, by their number in Attributes.
const (
	None Codec = iota
	Gzip
	Snappy
	LZ4
	Zstd
)

var codecNames = [...]string{"none", "gzip", "snappy", "lz4", "zstd"}

// String returns the name that Kafka's compression.type uses.
func (c Codec) String() string {
	if int(c) < len(codecNames) {
		return codecNames[c]
	}
	return fmt.Sprintf("codec %d", uint8(c))
}

// ParseCodec returns the codec of that name, and whether there is one.
func ParseCodec(name string) (Codec, bool) {
	for i, n := range codecNames {
		if n == name {
			return Codec(i), true
		}
	}
	return None, false
}

// UncompressedMax bounds the records of one batch when uncompressed, in bytes: a few bytes of input can ask for gigabytes.
const UncompressedMax = 128 << 20

// zstdWindowMax bounds the window a zstd stream may ask for; it is the largest the format's own levels use.
const zstdWindowMax = 128 << 20

// xerial framing is what the Java library snappy-java writes: this magic, two version numbers, then blocks that each have a
// 4-byte length.
var xerialMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

const xerialHeaderSize = 16

var (
	gzipReaders  = sync.Pool{New: func() any { return new(gzip.Reader) }}
	lz4Readers   = sync.Pool{New: func() any { return lz4.NewReader(nil) }}
	zstdDecoders = sync.Pool{New: func() any {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(UncompressedMax), zstd.WithDecoderMaxWindow(zstdWindowMax))
		if err != nil {
			panic(err) // the options are constants
		}
		return d
	}}
	gzipWriters = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}
	lz4Writers  = sync.Pool{New: func() any { return lz4.NewWriter(nil) }}

	zstdEncoders = sync.Pool{New: func() any {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithZeroFrames(true))
		if err != nil {
			panic(err) // the options are constants
		}
		return e
	}}
)

// uncompress appends the uncompressed form of src to dst[:0] and returns it.
func uncompress(dst, src []byte, c Codec) ([]byte, error) {
	dst = dst[:0]
	var err error
	switch c {
	case Gzip:
		r := gzipReaders.Get().(*gzip.Reader)
		defer gzipReaders.Put(r)
		if err = r.Reset(bytes.NewReader(src)); err == nil {
			dst, err = readBounded(dst, r)
		}
	case Snappy:
		dst, err = uncompressSnappy(dst, src)
	case LZ4:
		r := lz4Readers.Get().(*lz4.Reader)
		defer lz4Readers.Put(r)
		r.Reset(bytes.NewReader(src))
		dst, err = readBounded(dst, r)
	case Zstd:
		d := zstdDecoders.Get().(*zstd.Decoder)
		defer zstdDecoders.Put(d)
		dst, err = d.DecodeAll(src, dst)
	default:
		return nil, fmt.Errorf("compression codec %d: %w", c, kerr.UnsupportedCompressionType)
	}
	if err != nil {
		return nil, fmt.Errorf("uncompress %s records: %s: %w", c, err.Error(), kerr.CorruptMessage)
	}
	return dst, nil
}

var errTooLarge = fmt.Errorf("they are larger than %d bytes", UncompressedMax)

// readBounded appends what r has to dst, up to UncompressedMax bytes.
func readBounded(dst []byte, r io.Reader) ([]byte, error) {
	if cap(dst) == 0 {
		dst = make([]byte, 0, 16<<10)
	}
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > UncompressedMax:
			return nil, errTooLarge
		case errors.Is(err, io.EOF):
			return dst, nil
		case err != nil:
			return nil, err
		}
	}
}

// uncompressSnappy takes xerial framing as well as a raw block, which is what librdkafka and others write.
func uncompressSnappy(dst, src []byte) ([]byte, error) {
	if !bytes.HasPrefix(src, xerialMagic) {
		return appendSnappy(dst, src)
	}
	if len(src) < xerialHeaderSize {
		return nil, io.ErrUnexpectedEOF
	}
	var err error
	for src = src[xerialHeaderSize:]; len(src) > 0; {
		if len(src) < 4 {
			return nil, io.ErrUnexpectedEOF
		}
		n := binary.BigEndian.Uint32(src)
		src = src[4:]
		if uint64(n) > uint64(len(src)) {
			return nil, io.ErrUnexpectedEOF
		}
		if dst, err = appendSnappy(dst, src[:n]); err != nil {
			return nil, err
		}
		src = src[n:]
	}
	return dst, nil
}

func appendSnappy(dst, block []byte) ([]byte, error) {
	n, err := snappy.DecodedLen(block)
	if err != nil {
		return nil, err
	}
	if len(dst)+n > UncompressedMax {
		return nil, errTooLarge
	}
	at := len(dst)
	dst = append(dst, make([]byte, n)...)
	_, err = snappy.Decode(dst[at:at+n:at+n], block)
	return dst, err
}

// compress appends the compressed form of src to dst. Snappy is written as a raw block, which all clients read.
func compress(dst, src []byte, c Codec) ([]byte, error) {
	switch c {
	case None:
		return append(dst, src...), nil
	case Gzip:
		w := gzipWriters.Get().(*gzip.Writer)
		defer gzipWriters.Put(w)
		sink := bytes.NewBuffer(dst)
		w.Reset(sink)
		_, err := w.Write(src)
		err = errors.Join(err, w.Close()) // Close writes the rest
		return sink.Bytes(), err
	case Snappy:
		at := len(dst)
		dst = append(dst, make([]byte, snappy.MaxEncodedLen(len(src)))...)
		return dst[:at+len(snappy.Encode(dst[at:], src))], nil
	case LZ4:
		w := lz4Writers.Get().(*lz4.Writer)
		defer lz4Writers.Put(w)
		sink := bytes.NewBuffer(dst)
		w.Reset(sink)
		_, err := w.Write(src)
		err = errors.Join(err, w.Close()) // Close writes the rest
		return sink.Bytes(), err
	case Zstd:
		e := zstdEncoders.Get().(*zstd.Encoder)
		defer zstdEncoders.Put(e)
		return e.EncodeAll(src, dst), nil
	default:
		return nil, fmt.Errorf("compression codec %d: %w", c, kerr.UnsupportedCompressionType)
	}
}
