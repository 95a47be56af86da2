package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// Hello is what a node says of itself before anything else.
type Hello struct {
	ClusterID   string // empty: the node belongs to no cluster yet and may only be probed and probe
	NodeID      int32
	DirectoryID string // of its data directory, for ever; anything but empty before it is formatted
	Release     string
	FeatureMin  uint32 // lowest and
	FeatureMax  uint32 // highest feature level it can work at
	Level       uint32 // that its cluster works at, as far as it knows
	Process     string // made anew by each process; empty from older releases
	Forms       string // the ids of the nodes that it is to form a cluster with, ascending and with commas; empty if it was told of none, or belongs to a cluster
}

const (
	magic        = "MLRC"
	frameVersion = 1
	maxHello     = 4 << 10 // bytes of a hello's body
	maxShown     = 200     // bytes of a text of the other side in a log
	headLen      = len(magic) + 1 + 2
)

// Errors of a greeting; test with errors.Is.
var (
	// ErrNotMillrace: the other side does not speak this protocol.
	ErrNotMillrace = errors.New("peer: the other side is not a node port")
	// ErrNotYet: one side belongs to no cluster yet.
	ErrNotYet = errors.New("peer: not of one cluster yet")
	// ErrRefused: one side does not want the other; the text says why.
	ErrRefused = errors.New("peer: refused")
)

// encode writes the hello as a frame; refusal is the reason for hanging up, or empty.
func (h *Hello) encode(refusal string) []byte {
	body := appendString(nil, 1, h.ClusterID)
	body = appendUint(body, 2, uint64(uint32(h.NodeID)))
	body = appendString(body, 3, h.DirectoryID)
	body = appendString(body, 4, h.Release)
	body = appendUint(body, 5, uint64(h.FeatureMin))
	body = appendUint(body, 6, uint64(h.FeatureMax))
	body = appendString(body, 7, refusal)
	body = appendString(body, 8, h.Forms)
	body = appendUint(body, 9, uint64(h.Level))
	body = appendString(body, 10, h.Process)
	frame := append([]byte(magic), frameVersion)
	frame = binary.BigEndian.AppendUint16(frame, uint16(len(body)))
	return append(frame, body...)
}

func appendString(b []byte, num protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), s)
}

func appendUint(b []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

// readHello reads a frame. It reads the length only after the magic fits, and never more than maxHello bytes.
func readHello(r io.Reader) (h Hello, refusal string, err error) {
	var head [headLen]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return h, "", fmt.Errorf("peer: reading the hello: %w", err)
	}
	if string(head[:len(magic)]) != magic {
		return h, "", ErrNotMillrace
	}
	if v := head[len(magic)]; v != frameVersion {
		return h, "", fmt.Errorf("%w: its greeting has version %d, ours %d", ErrRefused, v, frameVersion)
	}
	n := binary.BigEndian.Uint16(head[len(magic)+1:])
	if n > maxHello {
		return h, "", fmt.Errorf("%w: a hello of %d bytes", ErrNotMillrace, n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return h, "", fmt.Errorf("peer: reading the hello: %w", err)
	}
	return decodeHello(body)
}

func decodeHello(b []byte) (h Hello, refusal string, err error) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return h, "", fmt.Errorf("%w: malformed hello", ErrNotMillrace)
		}
		b = b[n:]
		var u uint64
		var s []byte
		switch typ {
		case protowire.VarintType:
			u, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			s, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return h, "", fmt.Errorf("%w: malformed hello", ErrNotMillrace)
		}
		b = b[n:]
		switch num {
		case 1:
			h.ClusterID = string(s)
		case 2:
			h.NodeID = int32(uint32(u))
		case 3:
			h.DirectoryID = string(s)
		case 4:
			h.Release = string(s)
		case 5:
			h.FeatureMin = uint32(u)
		case 6:
			h.FeatureMax = uint32(u)
		case 7:
			refusal = string(s)
		case 8:
			h.Forms = string(s)
		case 9:
			h.Level = uint32(u)
		case 10:
			h.Process = string(s)
		}
	}
	return h, refusal, nil
}

// objection is why a node that is h does not talk to other, or empty.
func (h *Hello) objection(other Hello) string {
	switch {
	case other.ClusterID != h.ClusterID && other.ClusterID != "" && h.ClusterID != "":
		return fmt.Sprintf("cluster %q, not %q", shown(other.ClusterID), h.ClusterID)
	case other.NodeID < 0 || other.DirectoryID == "":
		return "the hello names no node"
	case other.NodeID == h.NodeID && other.DirectoryID != h.DirectoryID:
		return fmt.Sprintf("two nodes have the id %d", h.NodeID)
	case other.FeatureMin > h.FeatureMax:
		return fmt.Sprintf("node %d needs feature level %d, and release %s of this node knows %d at most: start release %s or newer here", other.NodeID, other.FeatureMin, h.Release, h.FeatureMax, shown(other.Release))
	case other.FeatureMax < h.FeatureMin:
		return fmt.Sprintf("feature level %d is needed, and release %s of node %d knows %d at most: start release %s or newer there", h.FeatureMin, shown(other.Release), other.NodeID, other.FeatureMax, h.Release)
	}
	return ""
}

// outgrown says that the cluster of a node that is h has been raised to a level that it does not know, by what another one of it says; or nothing.
func (h *Hello) outgrown(other Hello) error {
	if other.ClusterID != h.ClusterID || h.ClusterID == "" || other.Level <= h.FeatureMax {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrRefused, h.objection(other))
}

// shown cuts what a stranger sent to a length fit for a log.
func shown(s string) string {
	if len(s) > maxShown {
		return s[:maxShown] + "..."
	}
	return s
}
