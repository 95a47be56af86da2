// Package kafkabackend is where the interfaces of the Kafka listener (package kafka) meet the durable half: topics from the metadata quorum, partitions from package
// replication. Requests to coordinators need no adapter: coordinator.Broker has the methods.
//
// cluster.go reads and changes what exists, settings.go knows the settings of topics, partitions.go wraps partitions. It keeps no state and starts
// nothing.
package kafkabackend
