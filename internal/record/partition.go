package record

import (
	"encoding/binary"
	"hash/crc32"
)

// PartitionForKey returns the partition of n that the Java producer's default partitioner picks for a key, which is how
// Millrace itself places rows: murmur2 of the key with the sign bit cleared, modulo n (Kafka's BuiltInPartitioner). n must be
// positive.
func PartitionForKey(key []byte, n int32) int32 { return int32(Murmur2(key)&0x7fffffff) % n }

// PartitionForKeyCRC32 returns the partition that librdkafka's "consistent" partitioners pick, the default of librdkafka for
// records that have a key.
func PartitionForKeyCRC32(key []byte, n int32) int32 {
	return int32(crc32.ChecksumIEEE(key) % uint32(n))
}

// PartitionForKeyFNV1a returns the partition that sarama's default hash partitioner picks: 32-bit FNV-1a as a signed number,
// modulo n, without its sign.
func PartitionForKeyFNV1a(key []byte, n int32) int32 {
	const offsetBasis, prime = 2166136261, 16777619
	h := uint32(offsetBasis)
	for _, b := range key {
		h = (h ^ uint32(b)) * prime
	}
	p := int32(h) % n
	if p < 0 {
		p = -p
	}
	return p
}

// Murmur2 is the 32-bit MurmurHash2 with the seed that Kafka's Java clients use (Utils.murmur2).
func Murmur2(key []byte) uint32 {
	const (
		seed uint32 = 0x9747b28c
		m    uint32 = 0x5bd1e995
		r           = 24
	)
	h := seed ^ uint32(len(key))
	for ; len(key) >= 4; key = key[4:] {
		k := binary.LittleEndian.Uint32(key) * m
		k = (k ^ k>>r) * m
		h = h*m ^ k
	}
	switch len(key) {
	case 3:
		h ^= uint32(key[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(key[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(key[0])) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}
