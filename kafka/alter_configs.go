package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// alterConfigs answers key 33, versions 0 to 2, for topics and brokers: what is named is set, everything else becomes the default.
func alterConfigs(c *conn, _ context.Context, req *kmsg.AlterConfigsRequest) *kmsg.AlterConfigsResponse {
	ctx, cancel := c.timeout(maxWaitMillis)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	resp.Resources = make([]kmsg.AlterConfigsResponseResource, 0, len(req.Resources))
	for _, rr := range req.Resources {
		set := map[string]string{}
		for _, cfg := range rr.Configs {
			if cfg.Value != nil {
				set[cfg.Name] = *cfg.Value
			}
		}
		err := c.alter(ctx, rr.ResourceType, rr.ResourceName, req.ValidateOnly, func(now []TopicConfig) (map[string]string, []string, error) {
			var unset []string
			for _, cfg := range now {
				if _, ok := set[cfg.Name]; !ok && !cfg.Default {
					unset = append(unset, cfg.Name)
				}
			}
			return set, unset, nil
		})
		out := kmsg.NewAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = rr.ResourceType, rr.ResourceName
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		resp.Resources = append(resp.Resources, out)
	}
	return resp
}

// incrementalAlterConfigs answers key 44, versions 0 and 1, for topics and brokers (KIP-339).
func incrementalAlterConfigs(c *conn, _ context.Context, req *kmsg.IncrementalAlterConfigsRequest) *kmsg.IncrementalAlterConfigsResponse {
	ctx, cancel := c.timeout(maxWaitMillis)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	resp.Resources = make([]kmsg.IncrementalAlterConfigsResponseResource, 0, len(req.Resources))
	for _, rr := range req.Resources {
		err := c.alter(ctx, rr.ResourceType, rr.ResourceName, req.ValidateOnly, func(now []TopicConfig) (map[string]string, []string, error) {
			return increments(rr.Configs, now)
		})
		out := kmsg.NewIncrementalAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = rr.ResourceType, rr.ResourceName
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		resp.Resources = append(resp.Resources, out)
	}
	return resp
}

// alter changes the settings of a topic or a broker as change says, given those it has.
func (c *conn) alter(ctx context.Context, kind kmsg.ConfigResourceType, name string, validateOnly bool, change func([]TopicConfig) (map[string]string, []string, error)) error {
	cluster := c.server.config.Cluster
	if kind == kmsg.ConfigResourceTypeBroker {
		if !c.mayCluster(kmsg.ACLOperationAlterConfigs) {
			return kerr.ClusterAuthorizationFailed
		}
		if err := c.checkBroker(name); err != nil {
			return err
		}
		set, unset, err := change(cluster.BrokerConfigs(name == ""))
		if err != nil {
			return err
		}
		return cluster.AlterBrokerConfigs(ctx, name == "", set, unset, validateOnly)
	}
	if kind != kmsg.ConfigResourceTypeTopic {
		return fmt.Errorf("%w: settings of %v cannot be changed; allowed: those of topics and brokers", kerr.InvalidRequest, kind)
	}
	if !c.mayTopic(kmsg.ACLOperationAlterConfigs, name) {
		return kerr.TopicAuthorizationFailed
	}
	now, err := cluster.TopicConfigs(name)
	if err != nil {
		return err
	}
	set, unset, err := change(now)
	if err != nil {
		return err
	}
	return cluster.AlterTopicConfigs(ctx, name, set, unset, validateOnly)
}

// increments turns a request's operations into what is to be set and unset.
func increments(ops []kmsg.IncrementalAlterConfigsRequestResourceConfig, now []TopicConfig) (set map[string]string, unset []string, err error) {
	set = map[string]string{}
	for _, op := range ops {
		_, again := set[op.Name]
		if again || slices.Contains(unset, op.Name) {
			return nil, nil, fmt.Errorf("%w: %s is named more than once", kerr.InvalidRequest, op.Name)
		}
		if op.Op == kmsg.IncrementalAlterConfigOpDelete {
			unset = append(unset, op.Name)
			continue
		}
		if op.Value == nil {
			return nil, nil, fmt.Errorf("%w: %s has no value", kerr.InvalidRequest, op.Name)
		}
		if set[op.Name], err = increment(op, now); err != nil {
			return nil, nil, err
		}
	}
	return set, unset, nil
}

// increment is the next value of a setting.
func increment(op kmsg.IncrementalAlterConfigsRequestResourceConfig, now []TopicConfig) (string, error) {
	if op.Op == kmsg.IncrementalAlterConfigOpSet {
		return *op.Value, nil
	}
	i := slices.IndexFunc(now, func(cfg TopicConfig) bool { return cfg.Name == op.Name })
	if i < 0 || now[i].Type != kmsg.ConfigTypeList {
		return "", fmt.Errorf("%w: %s is not a list", kerr.InvalidConfig, op.Name)
	}
	words := strings.Split(now[i].Value, ",")
	for word := range strings.SplitSeq(*op.Value, ",") {
		words = slices.DeleteFunc(words, func(w string) bool { return w == word || w == "" })
		if op.Op == kmsg.IncrementalAlterConfigOpAppend {
			words = append(words, word)
		}
	}
	return strings.Join(words, ","), nil
}
