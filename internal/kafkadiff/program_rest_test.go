package kafkadiff

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// garbage is what no client sends.
func (s *session) garbage() {
	s.frames()
	s.software()
}

func (s *session) frames() {
	s.raw("a length of 2 GiB", []byte{0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0, 0, 0, 0, 0})
	s.raw("a negative length", []byte{0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0, 0, 0, 0, 0})
	s.raw("an unknown key", []byte{0, 0, 0, 10, 0x7f, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff})
	s.raw("an unknown version", []byte{0, 0, 0, 10, 0, 3, 0x7f, 0, 0, 0, 0, 1, 0xff, 0xff})
	s.raw("more topics than bytes", []byte{0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff})
	s.raw("a body that ends early", []byte{0, 0, 0, 12, 0, 2, 0, 5, 0, 0, 0, 1, 0xff, 0xff, 0, 0})
	s.raw("an unknown version of ApiVersions", []byte{0, 0, 0, 11, 0, 18, 0, 99, 0, 0, 0, 1, 0xff, 0xff, 0})
}

func (s *session) software() {
	for _, name := range []string{"good", "bad name", "-bad", ""} {
		req := kmsg.NewPtrApiVersionsRequest()
		req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 3, name, "1.0"
		if resp, ok := s.ask(fmt.Sprintf("software %q", name), req).(*kmsg.ApiVersionsResponse); ok {
			// Which keys and versions there are is compared apart.
			s.steps[len(s.steps)-1].fields = map[string]string{"error": fmt.Sprint(resp.ErrorCode)}
		}
	}
}

func (s *session) configs() {
	s.makeTopic("set", 1, "retention.ms", "1000")
	s.each(kmsg.DescribeConfigs, func(v int16) {
		ask := func(name string, kind kmsg.ConfigResourceType, resource string, settings ...string) {
			req := kmsg.NewPtrDescribeConfigsRequest()
			req.Version = v
			rr := kmsg.NewDescribeConfigsRequestResource()
			rr.ResourceType, rr.ResourceName, rr.ConfigNames = kind, resource, settings
			req.Resources = append(req.Resources, rr)
			s.ask(name, req)
		}
		ask("settings of a topic", kmsg.ConfigResourceTypeTopic, "set", "retention.ms", "cleanup.policy", "no.such")
		ask("an unknown topic", kmsg.ConfigResourceTypeTopic, "nobody")
		ask("a bad name", kmsg.ConfigResourceTypeTopic, "no/good")
		ask("a broker that does not exist", kmsg.ConfigResourceTypeBroker, "99")
		ask("a broker that is no number", kmsg.ConfigResourceTypeBroker, "x")
		ask("an unknown kind", 77, "x")
	})
	s.describeDefaults()
	s.each(kmsg.IncrementalAlterConfigs, func(v int16) { s.increments(v) })
	s.each(kmsg.AlterConfigs, func(v int16) {
		ask := func(name, topic string, pairs ...string) {
			req := kmsg.NewPtrAlterConfigsRequest()
			req.Version = v
			rr := kmsg.NewAlterConfigsRequestResource()
			rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeTopic, topic
			for i := 0; i < len(pairs); i += 2 {
				c := kmsg.NewAlterConfigsRequestResourceConfig()
				c.Name, c.Value = pairs[i], &pairs[i+1]
				rr.Configs = append(rr.Configs, c)
			}
			req.Resources = append(req.Resources, rr)
			s.ask(name, req)
		}
		ask("a setting", "set", "retention.ms", "2000")
		ask("an unknown one", "set", "no.such", "1")
		ask("a wrong value", "set", "retention.ms", "soon")
		ask("an unknown topic", "nobody", "retention.ms", "1")
		ask("back to the defaults", "set")
	})
}

// describeDefaults compares the settings of topics and their defaults.
func (s *session) describeDefaults() {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.Version = 4
	rr := kmsg.NewDescribeConfigsRequestResource()
	rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeTopic, "set"
	req.Resources = append(req.Resources, rr)
	s.ask("all settings of a topic", req)
}

func (s *session) increments(v int16) {
	ask := func(name, topic string, op kmsg.IncrementalAlterConfigOp, setting string, value *string) {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		req.Version = v
		rr := kmsg.NewIncrementalAlterConfigsRequestResource()
		rr.ResourceType, rr.ResourceName = kmsg.ConfigResourceTypeTopic, topic
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Op, c.Value = setting, op, value
		rr.Configs = append(rr.Configs, c)
		req.Resources = append(req.Resources, rr)
		s.ask(name, req)
	}
	ask("set", "set", kmsg.IncrementalAlterConfigOpSet, "retention.ms", ptr("5000"))
	ask("append", "set", kmsg.IncrementalAlterConfigOpAppend, "cleanup.policy", ptr("compact"))
	ask("subtract", "set", kmsg.IncrementalAlterConfigOpSubtract, "cleanup.policy", ptr("delete"))
	ask("delete", "set", kmsg.IncrementalAlterConfigOpDelete, "cleanup.policy", nil)
	ask("append to what is no list", "set", kmsg.IncrementalAlterConfigOpAppend, "retention.ms", ptr("1"))
	ask("a null value", "set", kmsg.IncrementalAlterConfigOpSet, "retention.ms", nil)
	ask("an unknown setting", "set", kmsg.IncrementalAlterConfigOpSet, "no.such", ptr("1"))
	ask("delete of an unknown setting", "set", kmsg.IncrementalAlterConfigOpDelete, "no.such", nil)
	ask("a wrong value", "set", kmsg.IncrementalAlterConfigOpSet, "retention.ms", ptr("soon"))
	ask("an unknown operation", "set", 9, "retention.ms", ptr("1"))
	ask("an unknown topic", "nobody", kmsg.IncrementalAlterConfigOpSet, "retention.ms", ptr("1"))
}

func (s *session) rest() {
	s.makeTopic("rest", 1)
	s.each(kmsg.DescribeCluster, func(v int16) {
		for _, kind := range []int8{1, 2, 3} {
			req := kmsg.NewPtrDescribeClusterRequest()
			req.Version, req.EndpointType = v, kind
			if v > 0 || kind == 1 {
				s.ask(fmt.Sprintf("endpoints %d", kind), req)
				req.IncludeClusterAuthorizedOperations = true
				s.ask(fmt.Sprintf("endpoints %d, with operations", kind), req)
			}
		}
	})
	s.each(kmsg.DescribeACLs, func(v int16) {
		req := kmsg.NewPtrDescribeACLsRequest()
		req.Version, req.ResourceType, req.ResourcePatternType, req.Operation, req.PermissionType = v, 1, 1, 1, 1
		s.ask("all, where there is no access control", req)
	})
	s.each(kmsg.DescribeLogDirs, func(v int16) {
		req := kmsg.NewPtrDescribeLogDirsRequest()
		req.Version = v
		req.Topics = []kmsg.DescribeLogDirsRequestTopic{{Topic: "rest", Partitions: []int32{0}}, {Topic: "nobody", Partitions: []int32{0}}}
		s.ask("a topic and an unknown one", req)
	})
	s.each(kmsg.ElectLeaders, func(v int16) {
		req := kmsg.NewPtrElectLeadersRequest()
		req.Version, req.TimeoutMillis = v, 30_000
		req.Topics = []kmsg.ElectLeadersRequestTopic{{Topic: "rest", Partitions: []int32{0, 5}}, {Topic: "nobody", Partitions: []int32{0}}}
		s.ask("a leader that is", req)
	})
	s.each(kmsg.ListPartitionReassignments, func(v int16) {
		req := kmsg.NewPtrListPartitionReassignmentsRequest()
		req.Version, req.TimeoutMillis = v, 30_000
		s.ask("all", req)
	})
	s.each(kmsg.AlterPartitionAssignments, func(v int16) {
		req := kmsg.NewPtrAlterPartitionAssignmentsRequest()
		req.Version, req.TimeoutMillis = v, 30_000
		req.Topics = []kmsg.AlterPartitionAssignmentsRequestTopic{{Topic: "rest", Partitions: []kmsg.AlterPartitionAssignmentsRequestTopicPartition{
			{Partition: 0, Replicas: nil}, {Partition: 5, Replicas: []int32{1}},
		}}}
		s.ask("a move that is taken back", req)
	})
	s.each(kmsg.SASLHandshake, func(v int16) {
		req := kmsg.NewPtrSASLHandshakeRequest()
		req.Version, req.Mechanism = v, "PLAIN"
		s.ask("where nobody is asked", req)
	})
	s.hangUp()
}
