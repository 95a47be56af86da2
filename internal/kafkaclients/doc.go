// Package kafkaclients runs real Kafka clients against a real process of Millrace: kcat, kafka-python, confluent-kafka-python, kafkajs, and franz-go's own tests. The
// programs that drive them are in testdata.
//
// The tests are behind the build tag kafkaclients, because they need those clients: .ci/kafka-clients installs them, at pinned versions, into bin/kafka-clients, and
// runs the tests. They are slow on purpose: groups of two members, rebalances, connections that are cut.
//
// To debug one, start a node (millrace serve --ephemeral) and run the program that failed by hand; its first lines say how.
package kafkaclients
