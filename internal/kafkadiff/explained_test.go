package kafkadiff

// explained is every difference that may be, and why. An entry that explains nothing fails the test.
var explained = []struct {
	step, field string // patterns: * is anything
	ours        string
	theirs      string
	why         string
}{
	// Versions.
	{"versions", "*", "absent", "*", "what is not there; docs/kafka.md lists what is missing"},
	{"versions", "OffsetCommit", "0-*", "2-*", "versions 0 and 1 are served too"},
	{"versions", "OffsetFetch", "0-*", "1-*", "version 0 is served too"},
	{"versions", "AddPartitionsToTxn", "0-3", "0-5", "later versions are for brokers"},
	{"versions", "Fetch", "4-17", "4-18", "version 18 is for replicas"},
	{"versions", "DescribeCluster", "0-1", "0-2", "version 2 is about fenced brokers"},

	// Topics.
	{"CreateTopics v7: only checked", "Topics[dry].TopicID", "zero", "set", "a topic that is not made has no id"},
	{"DescribeConfigs *: all settings of a topic", "Resources[set].Configs[fsync]#", "there", "absent", "fsync is ours"},
	{"DescribeConfigs *: all settings of a topic", "Resources[set].Configs", "34 elements", "33 elements", "fsync is ours"},
	{"DescribeConfigs *: all settings of a topic", "Resources[set].Configs[message.timestamp.after.max.ms].Value", "", "3600000", "timestamps are event times: they may be in the future unless the topic says otherwise"},
	{"DescribeConfigs *: all settings of a topic", "Resources[set].Configs[min.insync.replicas].Source", "", "", "Kafka 4.1 writes a default of its cluster down as set"},
	{"IncrementalAlterConfigs *: an unknown operation", "Resources[set].ErrorCode", "INVALID_CONFIG", "UNKNOWN_SERVER_ERROR", "what is wrong is known"},

	// Records.
	{"Produce *: magic 3", "*.ErrorCode", "INVALID_RECORD", "CORRUPT_MESSAGE", "a format that does not exist is no better on another try, which CORRUPT_MESSAGE asks for"},
	{"Produce *: a base offset", "*.Partitions[0].*", "", "", "the log assigns offsets; what a producer writes there is not looked at"},
	{"Produce *: a wrong count", "*.ErrorCode", "CORRUPT_MESSAGE", "INVALID_RECORD", "the batch contradicts itself: nobody knows whether its producer did it or the way here"},
	{"Produce *: a negative count", "*.ErrorCode", "CORRUPT_MESSAGE", "INVALID_RECORD", "as above"},
	{"Produce *: an unknown codec", "*.ErrorCode", "UNSUPPORTED_COMPRESSION_TYPE", "UNKNOWN_SERVER_ERROR", "what is wrong is known"},
	{"Produce *: a codec that is not the data's", "*.Partitions[0].*", "", "", "batches are appended as they are, and only unpacked where keys must be checked"},
	{"Produce *", "*.LogStartOffset", "-1", "0", "the start of the log is told of what was appended"},
	{"Produce *: without a key into a compacted topic", "*.ErrorRecords*", "", "", "the text says what is wrong; the batch is refused at its first bad record"},
	{"Produce v9: the same again", "*.LogAppendTime", "-1", "a time", "the records keep their own timestamps, the second time too"},
	{"Produce v9: the first again", "*.LogAppendTime", "-1", "a time", "as above"},
	{"Produce v9: a negative epoch", "*.ErrorCode", "INVALID_RECORD", "INVALID_PRODUCER_EPOCH", "a producer id goes with an epoch from 0"},
	{"Fetch *: beyond the end", "*.Partitions[0].*", "", "-1", "with OFFSET_OUT_OF_RANGE the bounds are told"},
	{"Fetch *: a negative offset", "*.Partitions[0].*", "", "-1", "as above"},
	{"Fetch *: below the start*", "*.Partitions[0].*", "", "-1", "as above"},
	{"Fetch *: zstd", "*.Partitions[0].*", "", "", "versions below 10 belong to clients that may not know zstd (KIP-110); Kafka 4 sends it all the same"},

	// Groups.
	{"*OffsetCommit *: a member that does not exist", "*.ErrorCode", "ILLEGAL_GENERATION", "UNKNOWN_MEMBER_ID", "of a group that only has offsets; either makes a member join again"},
	{"*OffsetCommit *: a generation without a member", "*.ErrorCode", "ILLEGAL_GENERATION", "UNKNOWN_MEMBER_ID", "as above"},
	{"*an empty group", "*", "", "", "a group has a name; Kafka keeps offsets under the empty one for consumers of the time before 0.9"},
	{"DescribeGroups *", "Groups[].*", "", "", "as above"},
	{"DeleteGroups *", "Groups[].*", "", "", "as above"},
	{"ListGroups *: all*", "Groups*", "", "", "as above"},
	{"FindCoordinator *: kind 0 of \"\"", "*", "", "", "as above"},

	// Transactions.
	{"DescribeTransactions *", "TransactionStates[nobody].*", "-1", "0", "what does not exist has no producer, and 0 could be one"},
	{"* v?: fenced", "*ErrorCode", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH", "librdkafka, which uses these versions, only knows from PRODUCER_FENCED that it is over"},
	{"* v?: an epoch to come", "*ErrorCode", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH", "as above"},
}
