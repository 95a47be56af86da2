package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	sizeBytes       = 4
	keyProduce      = int16(kmsg.Produce)
	keyApiVersions  = int16(kmsg.ApiVersions)
	minRequestBytes = 8 // key, version, correlation id
)

// header is what every request begins with.
type header struct {
	key, version int16
	correlation  int32
	clientID     string
}

var errMalformed = errors.New("malformed request")

// parsePrefix reads the part of the header that is the same in all versions.
func parsePrefix(b []byte) (header, error) {
	if len(b) < minRequestBytes {
		return header{}, fmt.Errorf("%w: %d bytes", errMalformed, len(b))
	}
	return header{
		key:         int16(binary.BigEndian.Uint16(b)),
		version:     int16(binary.BigEndian.Uint16(b[2:])),
		correlation: int32(binary.BigEndian.Uint32(b[4:])),
	}, nil
}

// checkSize refuses a request by its length alone, and by its key as soon as that is known.
func checkSize(size int32, key int16) error {
	limit := int32(MaxRequestBytes)
	if key == keyProduce {
		limit = MaxProduceBytes
	}
	if size < minRequestBytes || size > limit {
		return fmt.Errorf("%w: request of %d bytes; allowed: %d to %d", errMalformed, size, minRequestBytes, limit)
	}
	return nil
}

// parseRequest decodes a request without its size. Byte slices in it are parts of b.
func parseRequest(b []byte) (header, kmsg.Request, error) {
	h, err := parsePrefix(b)
	if err != nil {
		return h, nil, err
	}
	req := kmsg.RequestForKey(h.key)
	if req == nil {
		return h, nil, fmt.Errorf("%w: unknown key %d", errMalformed, h.key)
	}
	req.SetVersion(h.version)
	r := kbin.Reader{Src: b[minRequestBytes:]}
	if id := r.NullableString(); id != nil {
		h.clientID = *id
	}
	if req.IsFlexible() {
		skipTags(&r)
	}
	if !r.Ok() {
		return h, nil, fmt.Errorf("%w: header of %s", errMalformed, kmsg.NameForKey(h.key))
	}
	if p, ok := req.(*kmsg.ProduceRequest); ok {
		if err := checkProduce(r.Src, p.Version); err != nil {
			return h, nil, err
		}
	}
	if req.IsFlexible() {
		if err := checkShape(r.Src, h.key, h.version); err != nil {
			return h, nil, err
		}
	}
	if err := req.ReadFrom(r.Src); err != nil {
		return h, nil, fmt.Errorf("%w: %s v%d: %w", errMalformed, kmsg.NameForKey(h.key), h.version, err)
	}
	return h, req, nil
}

// skipTags passes over tagged fields (KIP-482). Unlike kmsg's it stops at the end of the input, whatever the count says.
func skipTags(r *kbin.Reader) {
	for n := r.Uvarint(); n > 0 && r.Ok(); n-- {
		_, size := r.Uvarint(), r.Uvarint()
		r.Span(int(size))
	}
}

// checkProduce counts the elements of a Produce request before kmsg allocates structs for them: a Produce request may have 100 MiB, and a count is
// bounded only by the bytes that follow it.
func checkProduce(b []byte, version int16) error {
	r := kbin.Reader{Src: b}
	flexible := version >= 9
	count, str, span := r.ArrayLen, func() { r.UnsafeNullableString() }, func() { r.NullableBytes() }
	tags := func() {}
	if flexible {
		count, str, span = r.CompactArrayLen, func() { r.UnsafeCompactNullableString() }, func() { r.CompactNullableBytes() }
		tags = func() { skipTags(&r) }
	}
	if version >= 3 {
		str()
	}
	r.Int16()
	r.Int32()
	parts := 0
	topics := int(count())
	if topics > MaxProduceParts {
		return fmt.Errorf("%w: Produce with %d topics; allowed: %d", errMalformed, topics, MaxProduceParts)
	}
	for range topics {
		if version >= topicIDProduceVersion {
			r.Span(uuidBytes)
		} else {
			str()
		}
		n := int(count())
		if parts += max(n, 0); parts > MaxProduceParts {
			return fmt.Errorf("%w: Produce with %d partitions and more; allowed: %d", errMalformed, parts, MaxProduceParts)
		}
		for range n {
			r.Int32()
			span()
			tags()
		}
		tags()
		if !r.Ok() {
			break
		}
	}
	tags()
	if !r.Ok() {
		return fmt.Errorf("%w: Produce v%d is cut short", errMalformed, version)
	}
	return nil
}

// appendResponse appends a response with size and header.
func appendResponse(dst []byte, correlation int32, resp kmsg.Response) ([]byte, error) {
	start := len(dst)
	dst = resp.AppendTo(appendHeader(dst, correlation, resp))
	size := len(dst) - start - sizeBytes
	if size > 1<<31-1 {
		return nil, fmt.Errorf("%s response of %d bytes", kmsg.NameForKey(resp.Key()), size)
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(size))
	return dst, nil
}

// appendHeader appends room for the size, and the header.
func appendHeader(dst []byte, correlation int32, resp response) []byte {
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlation))
	if resp.IsFlexible() && resp.Key() != keyApiVersions {
		dst = append(dst, 0) // no tags; ApiVersions keeps the old header, for a client does not know yet what we speak (KIP-511)
	}
	return dst
}
