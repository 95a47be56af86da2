package kafka

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millracedb/millrace/internal/record"
)

// fetchResponse is the response to a Fetch. It is encoded by hand, because records need not pass through memory: they go from the log's file or its tail cache to the
// socket (conn.sendFetch). A test holds that the bytes are those that kmsg would make.
type fetchResponse struct {
	version   int16
	throttle  int32 // milliseconds
	code      int16
	session   int32
	parts     []fetchedPart   // those of a topic are neighbours, or the topic comes again
	held      int64           // bytes of the budget until it is sent
	endpoints []BrokerAddress // of the leaders that partitions name
}

// fetchedPart is one partition of a response.
type fetchedPart struct {
	topic     fetchTopic
	partition int32
	code      int16
	leads     leadership // with an error: who leads instead
	Fetched
}

// splice is where records belong in the encoded response.
type splice struct {
	at      int
	records Records
}

// Key implements response.
func (f *fetchResponse) Key() int16 { return int16(kmsg.Fetch) }

// IsFlexible implements response.
func (f *fetchResponse) IsFlexible() bool { return f.version >= 12 }

// release gives up the records and the memory.
func (f *fetchResponse) release(b *budget) {
	for i := range f.parts {
		dropRecords(&f.parts[i].Fetched)
	}
	b.give(f.held)
}

// recordBytes is how many bytes of records there are.
func (f *fetchResponse) recordBytes() (n int64) {
	for i := range f.parts {
		if r := f.parts[i].Records; r != nil {
			n += r.Len()
		}
	}
	return n
}

// layout appends the response without its records to b. It returns it with the places of the records, in order.
func (f *fetchResponse) layout(b []byte) ([]byte, []splice) {
	b = kbin.AppendInt32(b, f.throttle)
	if f.version >= 7 {
		b = kbin.AppendInt16(b, f.code)
		b = kbin.AppendInt32(b, f.session)
	}
	splices := make([]splice, 0, len(f.parts))
	topics := 0
	for i := range f.parts {
		if i == 0 || f.parts[i].topic != f.parts[i-1].topic {
			topics++
		}
	}
	b = f.appendCount(b, topics)
	for rest := f.parts; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].topic == rest[0].topic {
			n++
		}
		b = f.appendTopic(b, rest[0].topic)
		b = f.appendCount(b, n)
		for i := range rest[:n] {
			b = f.appendPart(b, &rest[i], &splices)
		}
		b = f.appendTags(b)
		rest = rest[n:]
	}
	if len(f.endpoints) > 0 {
		return f.appendEndpoints(b), splices
	}
	return f.appendTags(b), splices
}

func (f *fetchResponse) appendCount(b []byte, n int) []byte {
	if f.IsFlexible() {
		return kbin.AppendCompactArrayLen(b, n)
	}
	return kbin.AppendArrayLen(b, n)
}

// appendTags appends that there are no tagged fields.
func (f *fetchResponse) appendTags(b []byte) []byte {
	if f.IsFlexible() {
		return append(b, 0)
	}
	return b
}

func (f *fetchResponse) appendTopic(b []byte, t fetchTopic) []byte {
	switch {
	case f.version >= topicIDFetchVersion:
		return append(b, t.id[:]...)
	case f.IsFlexible():
		return kbin.AppendCompactString(b, t.name)
	}
	return kbin.AppendString(b, t.name)
}

func (f *fetchResponse) appendPart(b []byte, p *fetchedPart, splices *[]splice) []byte {
	b = kbin.AppendInt32(b, p.partition)
	b = kbin.AppendInt16(b, p.code)
	b = kbin.AppendInt64(b, p.HighWatermark)
	b = kbin.AppendInt64(b, p.LastStable)
	if f.version >= 5 {
		b = kbin.AppendInt64(b, p.LogStart)
	}
	// Clients take them off the front as they read on.
	slices.SortFunc(p.Aborted, func(a, b record.AbortedTxn) int { return cmp.Compare(a.FirstOffset, b.FirstOffset) })
	b = f.appendCount(b, len(p.Aborted))
	for _, a := range p.Aborted {
		b = kbin.AppendInt64(b, a.ProducerID)
		b = kbin.AppendInt64(b, a.FirstOffset)
		b = f.appendTags(b)
	}
	if f.version >= 11 {
		b = kbin.AppendInt32(b, -1) // no preferred replica to read from (KIP-392)
	}
	size := int64(0)
	if p.Records != nil {
		size = p.Records.Len()
	}
	if f.IsFlexible() {
		b = binary.AppendUvarint(b, uint64(size)+1)
	} else {
		b = kbin.AppendInt32(b, int32(size))
	}
	if size > 0 {
		*splices = append(*splices, splice{len(b), p.Records})
	}
	if p.leads != (leadership{}) {
		return p.appendLeader(b)
	}
	return f.appendTags(b)
}
