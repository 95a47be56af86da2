package kafka

import (
	"context"
	"regexp"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// softwareName is what KIP-511 allows as name and version of a client's software.
var softwareName = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?$`)

// apiVersions answers key 18, versions 0 to 4. From 3 on the client names its software (KIP-511).
func apiVersions(c *conn, _ context.Context, req *kmsg.ApiVersionsRequest) *kmsg.ApiVersionsResponse {
	resp := req.ResponseKind().(*kmsg.ApiVersionsResponse)
	if req.Version >= 3 && (!softwareName.MatchString(req.ClientSoftwareName) || !softwareName.MatchString(req.ClientSoftwareVersion)) {
		resp.ErrorCode = kerr.InvalidRequest.Code
		return resp
	}
	if req.Version >= 3 {
		c.software = req.ClientSoftwareName + " " + req.ClientSoftwareVersion
	}
	resp.ApiKeys = advertisedKeys()
	if req.Version >= 3 {
		addFeatures(resp)
	}
	return resp
}

// transactionVersion is the highest level of Kafka's feature transaction.version: at 2 clients rely on appends to add partitions to their transaction, and take a new
// epoch with each one (KIP-890).
const transactionVersion = 2

// addFeatures says which features are on (KIP-584). Clients of version 3 fail on a feature whose lowest level is 0, so they are not told what could be chosen.
func addFeatures(resp *kmsg.ApiVersionsResponse) {
	for _, feature := range []struct {
		name  string
		level int16
	}{{"group.version", groupVersion}, {"transaction.version", transactionVersion}} {
		if resp.Version >= 4 {
			s := kmsg.NewApiVersionsResponseSupportedFeature()
			s.Name, s.MinVersion, s.MaxVersion = feature.name, 0, feature.level
			resp.SupportedFeatures = append(resp.SupportedFeatures, s)
		}
		f := kmsg.NewApiVersionsResponseFinalizedFeature()
		f.Name, f.MinVersionLevel, f.MaxVersionLevel = feature.name, feature.level, feature.level
		resp.FinalizedFeatures = append(resp.FinalizedFeatures, f)
	}
	resp.FinalizedFeaturesEpoch = 0
}

// unsupportedApiVersions answers a version that is not served: a body of version 0 that says which are, so that the client can ask again (KIP-511).
func unsupportedApiVersions() response {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.ErrorCode = kerr.UnsupportedVersion.Code
	key := kmsg.NewApiVersionsResponseApiKey()
	key.ApiKey, key.MinVersion, key.MaxVersion = keyApiVersions, apis[keyApiVersions].min, apis[keyApiVersions].max
	resp.ApiKeys = []kmsg.ApiVersionsResponseApiKey{key}
	return resp
}
