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
	head := int(p[0]&0xf) * 4
	if p[9] != protocolTCP || len(p) < head+tcpHeader || p[head+tcpFlags]&flagRST != 0 {
		return nil
	}
	t := p[head:]
	out := make([]byte, ipv4Header+tcpHeader)
	out[0], out[8], out[9] = 4<<4|ipv4Header/4, 64, protocolTCP
	binary.BigEndian.PutUint16(out[2:], uint16(len(out)))
	copy(out[12:16], p[16:20])
	copy(out[16:20], p[12:16])
	binary.BigEndian.PutUint16(out[10:], checksum(0, out[:ipv4Header]))

	r := out[ipv4Header:]
	copy(r[0:2], t[2:4])
	copy(r[2:4], t[0:2])
	r[tcpOffset] = tcpHeader / 4 << 4
	if t[tcpFlags]&flagACK != 0 {
		copy(r[tcpSeq:tcpSeq+4], t[tcpAck:tcpAck+4])
		r[tcpFlags] = flagRST
	} else {
		taken := uint32(len(p) - head - int(t[tcpOffset]>>4)*4)
		for _, f := range []byte{flagSYN, flagFIN} {
			if t[tcpFlags]&f != 0 {
				taken++
			}
		}
		binary.BigEndian.PutUint32(r[tcpAck:], binary.BigEndian.Uint32(t[tcpSeq:])+taken)
		r[tcpFlags] = flagRST | flagACK
	}
	pseudo := uint32(protocolTCP + tcpHeader)
	for i := 12; i < ipv4Header; i += 2 {
		pseudo += uint32(binary.BigEndian.Uint16(out[i:]))
	}
	binary.BigEndian.PutUint16(r[tcpSum:], checksum(pseudo, r))
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
