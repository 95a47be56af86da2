package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A shape is the outline of a request in flexible versions (KIP-482): a digit skips as many bytes, u is a UUID, s a string or bytes, [ ] an array of what is inside, { } that or null, t tagged fields.
//
// Requests are walked by their shape before kmsg decodes them, because kmsg believes a count of tagged fields whatever follows it: five bytes could keep it busy for minutes. Only
// flexible versions have tags.
type shape struct {
	from   int16 // the first version that has it
	fields string
}

// shapes are the outlines of what is served, by key, in order of version.
var shapes = map[int16][]shape{
	int16(kmsg.Produce):                      {{9, "s24[s[4st]t]t"}, {13, "s24[u[4st]t]t"}},
	int16(kmsg.Fetch):                        {{12, "4444144[s[448484t]t][s[4]t]st"}, {13, "4444144[u[448484t]t][u[4]t]st"}, {15, "444144[u[448484t]t][u[4]t]st"}},
	int16(kmsg.ListOffsets):                  {{6, "41[s[448t]t]t"}, {10, "41[s[448t]t]4t"}},
	int16(kmsg.Metadata):                     {{9, "[st]111t"}, {10, "[ust]111t"}, {11, "[ust]11t"}},
	int16(kmsg.OffsetCommit):                 {{8, "s4ss[s[484st]t]t"}},
	int16(kmsg.OffsetFetch):                  {{6, "s[s[4]t]t"}, {7, "s[s[4]t]1t"}, {8, "[s[s[4]t]t]1t"}, {9, "[ss4[s[4]t]t]1t"}},
	int16(kmsg.FindCoordinator):              {{3, "s1t"}, {4, "1[s]t"}},
	int16(kmsg.JoinGroup):                    {{6, "s44sss[sst]t"}, {8, "s44sss[sst]st"}},
	int16(kmsg.Heartbeat):                    {{4, "s4sst"}},
	int16(kmsg.LeaveGroup):                   {{4, "s[sst]t"}, {5, "s[ssst]t"}},
	int16(kmsg.SyncGroup):                    {{4, "s4ss[sst]t"}, {5, "s4ssss[sst]t"}},
	int16(kmsg.DescribeGroups):               {{5, "[s]1t"}},
	int16(kmsg.ListGroups):                   {{3, "t"}, {4, "[s]t"}, {5, "[s][s]t"}},
	int16(kmsg.ApiVersions):                  {{3, "sst"}},
	int16(kmsg.CreateTopics):                 {{5, "[s42[4[4]t][sst]t]41t"}},
	int16(kmsg.DeleteTopics):                 {{4, "[s]4t"}, {6, "[sut]4t"}},
	int16(kmsg.DeleteRecords):                {{2, "[s[48t]t]4t"}},
	int16(kmsg.InitProducerID):               {{2, "s4t"}, {3, "s482t"}},
	int16(kmsg.OffsetForLeaderEpoch):         {{4, "4[s[444t]t]t"}},
	int16(kmsg.AddPartitionsToTxn):           {{3, "s82[s[4]t]t"}},
	int16(kmsg.AddOffsetsToTxn):              {{3, "s82st"}},
	int16(kmsg.EndTxn):                       {{3, "s821t"}},
	int16(kmsg.TxnOffsetCommit):              {{3, "ss824ss[s[484st]t]t"}},
	int16(kmsg.DescribeConfigs):              {{4, "[1s[s]t]11t"}},
	int16(kmsg.AlterConfigs):                 {{2, "[1s[sst]t]1t"}},
	int16(kmsg.CreatePartitions):             {{2, "[s4[[4]t]t]41t"}},
	int16(kmsg.DeleteGroups):                 {{2, "[s]t"}},
	int16(kmsg.IncrementalAlterConfigs):      {{1, "[1s[s1st]t]1t"}},
	int16(kmsg.SASLAuthenticate):             {{2, "st"}},
	int16(kmsg.DescribeCluster):              {{0, "1t"}, {1, "11t"}},
	int16(kmsg.DescribeACLs):                 {{2, "1s1ss11t"}},
	int16(kmsg.CreateACLs):                   {{2, "[1s1ss11t]t"}},
	int16(kmsg.DeleteACLs):                   {{2, "[1s1ss11t]t"}},
	int16(kmsg.WriteTxnMarkers):              {{1, "[821[s[4]t]4t]t"}},
	int16(kmsg.DescribeLogDirs):              {{2, "[s[4]t]t"}},
	int16(kmsg.ElectLeaders):                 {{2, "1[s[4]t]4t"}},
	int16(kmsg.AlterPartitionAssignments):    {{0, "4[s[4[4]t]t]t"}, {1, "41[s[4[4]t]t]t"}},
	int16(kmsg.ListPartitionReassignments):   {{0, "4[s[4]t]t"}},
	int16(kmsg.DescribeProducers):            {{0, "[s[4]t]t"}},
	int16(kmsg.DescribeTransactions):         {{0, "[s]t"}},
	int16(kmsg.ListTransactions):             {{0, "[s][8]t"}, {1, "[s][8]8t"}, {2, "[s][8]8st"}},
	int16(kmsg.DescribeClientQuotas):         {{1, "[s1st]1t"}},
	int16(kmsg.AlterClientQuotas):            {{1, "[[sst][s81t]t]1t"}},
	int16(kmsg.DescribeUserSCRAMCredentials): {{0, "[st]t"}},
	int16(kmsg.AlterUserSCRAMCredentials):    {{0, "[s1t][s14sst]t"}},
	int16(kmsg.ListConfigResources):          {{0, "t"}, {1, "[1]t"}},
	int16(kmsg.ConsumerGroupHeartbeat):       {{0, "ss4ss4[s]s[u[4]t]t"}, {1, "ss4ss4[s]ss[u[4]t]t"}},
	int16(kmsg.ConsumerGroupDescribe):        {{0, "[s]1t"}},
	int16(kmsg.DescribeTopicPartitions):      {{0, "[st]4{s4t}t"}},
}

const uuidBytes = 16

// checkShape walks the body of a request in a flexible version to its end.
func checkShape(b []byte, key, version int16) error {
	fields := ""
	for _, s := range shapes[key] {
		if version >= s.from {
			fields = s.fields
		}
	}
	r := kbin.Reader{Src: b}
	walk(&r, fields)
	if !r.Ok() || fields == "" {
		return fmt.Errorf("%w: %s v%d does not have its form", errMalformed, kmsg.NameForKey(key), version)
	}
	return nil
}

// walk passes over fields and stops at the end of the input.
func walk(r *kbin.Reader, fields string) {
	for i := 0; i < len(fields) && r.Ok(); i++ {
		switch f := fields[i]; f {
		case 's':
			r.CompactNullableBytes()
		case 'u':
			r.Span(uuidBytes)
		case 't':
			skipTags(r)
		case '[':
			end := closing(fields, i)
			for n := r.CompactArrayLen(); n > 0 && r.Ok(); n-- {
				walk(r, fields[i+1:end])
			}
			i = end
		case '{':
			end := closing(fields, i)
			if r.Int8() >= 0 {
				walk(r, fields[i+1:end])
			}
			i = end
		default:
			r.Span(int(f - '0'))
		}
	}
}

// closing is where the array or structure that begins at open ends.
func closing(fields string, open int) int {
	depth := 0
	for i := open; i < len(fields); i++ {
		switch fields[i] {
		case '[', '{':
			depth++
		case ']', '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	panic("kafka: shape without end: " + fields)
}
