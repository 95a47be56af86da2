// Package kafkadiff compares Millrace's Kafka listener with Apache Kafka. One client program (the sections in program_*_test.go) sends requests, good ones and bad ones, in every
// version that both serve; what comes back must be the same, but for what explained_test.go lists with its reason.
//
// What Apache Kafka answers is recorded in testdata; make kafka-diff starts one, compares with it, and writes the recording anew.
//
//   - session_test.go: a connection and the transcript of what was answered.
//   - flatten_test.go: a response as a list of fields, without what no two brokers have in common, such as ids, addresses and times.
//   - recording_test.go: a transcript as a text.
//   - compare_test.go: two transcripts and the table.
package kafkadiff
