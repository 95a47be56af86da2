//go:build faults && linux

package crashtest

import "encoding/binary"

// Of a TCP header (RFC 9293): where things are, and flags.
const (
	protocolTCP = 6
	tcpHeader   = 20
	tcpSeq      = 4
	tcpAck      = 8
	tcpOffset   = 12
	tcpFlags    = 13
	tcpSum      = 16

	flagFIN = 1 << 0
	flagSYN = 1 << 1
	flagRST = 1 << 2
	flagACK = 1 << 4
)

// reset is the packet with which a firewall that rejects answers one (iptables -j REJECT --reject-with tcp-reset); nil if it answers nothing: to what is not TCP, and to a reset.
func reset(p []byte) []byte {
	t := segmentOf(p)
	if t == nil {
		return nil
	}
	out := resetFrom(p[16:20], p[12:16], t[2:4], t[0:2])
	r := out[ipv4Header:]
	if t[tcpFlags]&flagACK != 0 {
		copy(r[tcpSeq:tcpSeq+4], t[tcpAck:tcpAck+4])
		r[tcpFlags] = flagRST
	} else {
		taken := uint32(len(t) - int(t[tcpOffset]>>4)*4)
		for _, f := range []byte{flagSYN, flagFIN} {
			if t[tcpFlags]&f != 0 {
				taken++
			}
		}
		binary.BigEndian.PutUint32(r[tcpAck:], binary.BigEndian.Uint32(t[tcpSeq:])+taken)
		r[tcpFlags] = flagRST | flagACK
	}
	return sealed(out)
}

// hangUp is a reset in the place of a packet, for whom that was to: the sender has gone. It is nil where reset is.
func hangUp(p []byte) []byte {
	t := segmentOf(p)
	if t == nil {
		return nil
	}
	out := resetFrom(p[12:16], p[16:20], t[0:2], t[2:4])
	r := out[ipv4Header:]
	copy(r[tcpSeq:tcpAck+4], t[tcpSeq:tcpAck+4])
	r[tcpFlags] = flagRST | t[tcpFlags]&flagACK
	return sealed(out)
}

// segmentOf is the TCP segment in a packet that may be answered with a reset, nil if there is none.
func segmentOf(p []byte) []byte {
	head := int(p[0]&0xf) * 4
	if p[9] != protocolTCP || len(p) < head+tcpHeader || p[head+tcpFlags]&flagRST != 0 {
		return nil
	}
	return p[head:]
}

// resetFrom is a packet from one address and port to another, as far as it is the same for all resets.
func resetFrom(src, dst, srcPort, dstPort []byte) []byte {
	out := make([]byte, ipv4Header+tcpHeader)
	out[0], out[8], out[9] = 4<<4|ipv4Header/4, 64, protocolTCP
	binary.BigEndian.PutUint16(out[2:], uint16(len(out)))
	copy(out[12:16], src)
	copy(out[16:20], dst)
	copy(out[ipv4Header:], srcPort)
	copy(out[ipv4Header+2:], dstPort)
	out[ipv4Header+tcpOffset] = tcpHeader / 4 << 4
	return out
}

// sealed is a packet with its checksums.
func sealed(out []byte) []byte {
	binary.BigEndian.PutUint16(out[10:], checksum(0, out[:ipv4Header]))
	pseudo := uint32(protocolTCP + tcpHeader)
	for i := 12; i < ipv4Header; i += 2 {
		pseudo += uint32(binary.BigEndian.Uint16(out[i:]))
	}
	binary.BigEndian.PutUint16(out[ipv4Header+tcpSum:], checksum(pseudo, out[ipv4Header:]))
	return out
}

// checksum is that of the internet (RFC 1071) over an even number of bytes, begun with a sum.
func checksum(sum uint32, b []byte) uint16 {
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
