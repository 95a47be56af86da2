package metadata

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
)

// everyChange has one change of each kind with every field set.
func everyChange() map[string]change {
	uuid := UUID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	broker := &Broker{
		ID: 1, Epoch: 2, Incarnation: uuid, Directory: uuid, Endpoints: []Endpoint{{"kafka", "h", 9092, "PLAINTEXT"}},
		Rack: "r", Release: "0.1.0", FeatureMin: 1, FeatureMax: 2, Fenced: true, Draining: true,
	}
	partition := Partition{
		ID: 1, Replicas: []int32{1, 2}, ISR: []int32{1}, ELR: []int32{2}, LastKnownELR: []int32{2}, Adding: []int32{2}, Removing: []int32{1},
		Directories: []UUID{uuid, uuid}, Leader: NoLeader, LeaderEpoch: 3, PartitionEpoch: 4, RecoveryState: Recovering,
		Target: []int32{2}, Wanted: 5, AddedAt: 4,
	}
	owner := Owner{OwnerSQL, 16384}
	topic := &Topic{
		ID: uuid, Name: "t", Owner: owner, WantedReplicas: 3, Configs: map[string]string{"b": "2", "a": "1"},
		Partitions: []Partition{partition}, CreatedAt: 5, PartitionsEpoch: 6,
	}
	object := &Object{
		OID: 16384, Kind: "view", Space: "relation", Schema: "public", Name: "v", Owner: 10, ACL: []Grant{{1, 2, "r", "w"}}, Comment: "c",
		Version: 7, Payload: []byte{0, 1}, DependsOn: []OID{16385},
	}
	user := &User{
		OID: 10, Name: "u", Version: 1, Login: true, Superuser: true, CreateRole: true, CreateDB: true, MemberOf: []OID{11},
		Verifiers: []Verifier{{"SCRAM-SHA-256", []byte{1}, 4096, []byte{2}, []byte{3}}}, Comment: "c", ConnLimit: -1, ValidUntil: 8,
		Settings: map[string]string{"k": "v"},
	}
	acl := ACL{2, "t", 3, "User:u", "*", 4, 5}
	set := setting{SettingKey{"cluster", "e", "n"}, "v"}
	all := []change{
		registerBroker{broker, 9},
		setBrokerState{1, 2, true, true},
		unregisterBroker{1, 2},
		createTopic{topic},
		deleteTopic{uuid},
		addPartitions{uuid, []Partition{partition}},
		changePartition{uuid, partition, 3, []uint64{0, 9}},
		setTopicConfigs{uuid, map[string]string{"a": "1"}, []string{"b"}},
		setTopicOwner{uuid, Owner{}, owner},
		putObject{object},
		deleteObject{oidAtVersion{16384, 7}},
		takeOIDs{2},
		putUser{user},
		deleteUser{oidAtVersion{10, 1}},
		putACL{acl},
		deleteACL{acl},
		putSetting{set},
		deleteSetting{set.SettingKey},
		takeProducerIDs{1, 2},
		setFeatureLevel{1, 2},
	}
	out := map[string]change{}
	for _, c := range all {
		out[fmt.Sprintf("%02d %T", c.kind(), c)] = c
	}
	return out
}

// TestBytesOfChangesStay holds the bytes of every kind of change to those in testdata/changes: nodes of other releases wrote and read them.
func TestBytesOfChangesStay(t *testing.T) {
	all := everyChange()
	require.Len(t, all, len(known), "every kind is here")
	datadriven.RunTest(t, "testdata/changes", func(t *testing.T, d *datadriven.TestData) string {
		require.Equal(t, "changes", d.Cmd)
		var out string
		for _, name := range slices.Sorted(maps.Keys(all)) {
			out += fmt.Sprintf("%s\n", name)
			for line := range slices.Chunk(all[name].append(nil), 32) {
				out += "  " + hex.EncodeToString(line) + "\n"
			}
		}
		return out
	})
}

func TestChangesReadBackAsTheyWereWritten(t *testing.T) {
	for name, c := range everyChange() {
		t.Run(name, func(t *testing.T) {
			e := entry{release: "0.1.0", request: UUID{1}, changes: []change{c}}
			got, err := decodeEntry(e.encode(), FeatureMax)
			require.NoError(t, err)
			require.Equal(t, e, *got)
			for cut := range len(e.encode()) {
				_, err := decodeEntry(e.encode()[:cut], FeatureMax)
				_ = err // any answer will do but a panic
			}
		})
	}
}
