package kafka

import (
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// notAsked stands for the operations that a client may do where it has not asked for them (KIP-430).
const notAsked = math.MinInt32

// operationsOn are the operations that there are for a kind of resource (org.apache.kafka.server.authorizer, AclEntry.supportedOperations).
var operationsOn = map[kmsg.ACLResourceType][]kmsg.ACLOperation{
	kmsg.ACLResourceTypeTopic: {
		kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationCreate, kmsg.ACLOperationDelete, kmsg.ACLOperationAlter, kmsg.ACLOperationDescribe,
		kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationAlterConfigs,
	},
	kmsg.ACLResourceTypeGroup: {
		kmsg.ACLOperationRead, kmsg.ACLOperationDelete, kmsg.ACLOperationDescribe, kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationAlterConfigs,
	},
	kmsg.ACLResourceTypeCluster: {
		kmsg.ACLOperationCreate, kmsg.ACLOperationAlter, kmsg.ACLOperationDescribe, kmsg.ACLOperationClusterAction, kmsg.ACLOperationDescribeConfigs,
		kmsg.ACLOperationAlterConfigs, kmsg.ACLOperationIdempotentWrite,
	},
}

// operations is the set of operations that the client may do with a resource: bit n for operation n.
func (c *conn) operations(kind kmsg.ACLResourceType, name string) (set int32) {
	for _, op := range operationsOn[kind] {
		if c.may(op, kind, name) {
			set |= 1 << op
		}
	}
	return set
}
