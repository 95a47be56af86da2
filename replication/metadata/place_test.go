package metadata

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// brokersIn registers brokers 1, 2, ... of the given racks.
func brokersIn(t *testing.T, racks ...string) *Machine {
	m := NewMachine(rand.NewChaCha8([32]byte{}), func(err error) { require.NoError(t, err) })
	for i, rack := range racks {
		b := m.NewBatch()
		b.RegisterBroker(Broker{ID: int32(i + 1), Directory: UUID{byte(i + 1)}, Rack: rack}, 0)
		_, err := m.Apply(b)
		require.NoError(t, err)
	}
	return m
}

func TestReplicasAreSpreadOverRacks(t *testing.T) {
	for _, c := range []struct {
		racks    []string
		replicas int32
	}{
		{[]string{"a", "a", "b", "b", "c", "c"}, 3},
		{[]string{"a", "a", "a", "b", "b", "c"}, 3},
		{[]string{"a", "a", "b", "b"}, 3},
		{[]string{"a", "b"}, 2},
		{[]string{"a", "a", "b", "b", "c", "c"}, 6},
		{[]string{"", "", "a"}, 2},
		{[]string{"", "", ""}, 3},
	} {
		t.Run(fmt.Sprint(c.racks), func(t *testing.T) {
			m := brokersIn(t, c.racks...)
			b := m.NewBatch()
			b.CreateTopic(TopicSpec{Name: "t", Partitions: 60, Replicas: c.replicas})
			_, err := m.Apply(b)
			require.NoError(t, err)
			topic, _ := m.Image().Topic("t")
			size, leads := map[string]int{}, map[int32]int{}
			for _, rack := range c.racks {
				size[rack]++
			}
			for _, p := range topic.Partitions {
				require.Len(t, p.Replicas, int(c.replicas))
				in := map[string]int{}
				for i, id := range p.Replicas {
					require.Equal(t, UUID{byte(id)}, p.Directories[i])
					in[c.racks[id-1]]++
				}
				for rack, n := range in {
					for other := range size {
						require.False(t, in[other] < n-1 && in[other] < size[other], "rack %q has %d of %v, though %q has room", rack, n, p.Replicas, other)
					}
				}
				leads[p.Leader]++
			}
			for id := range c.racks {
				require.Equal(t, 60/len(c.racks), leads[int32(id+1)], "leaders go round all brokers")
			}
		})
	}
}

func TestFollowersAreSpreadOverTheBrokersOfARack(t *testing.T) {
	m := brokersIn(t, "a", "a", "b", "b")
	b := m.NewBatch()
	b.CreateTopic(TopicSpec{Name: "t", Partitions: 48, Replicas: 2})
	_, err := m.Apply(b)
	require.NoError(t, err)
	topic, _ := m.Image().Topic("t")
	pairs := map[string]int{}
	for _, p := range topic.Partitions {
		pairs[fmt.Sprint(p.Replicas)]++
	}
	require.Len(t, pairs, 8, "each broker leads with each of the other rack: %v", pairs)
}

func TestReplicasThatAreThereAreArrangedAsNewOnesAre(t *testing.T) {
	ids := func(brokers []*Broker) (out []int32) {
		for _, k := range brokers {
			out = append(out, k.ID)
		}
		return out
	}
	brokers := func(racks ...string) (out []*Broker) {
		for i, rack := range racks {
			out = append(out, &Broker{ID: int32(i + 1), Rack: rack})
		}
		return out
	}
	require.Equal(t, []int32{1}, ids(Arrange(brokers(""), 7)))
	second := map[[2]int32]int{}
	for slot := range 24 {
		order := ids(Arrange(brokers("", "", "", ""), slot))
		require.ElementsMatch(t, []int32{1, 2, 3, 4}, order)
		second[[2]int32{order[0], order[1]}]++
	}
	require.Len(t, second, 12, "each broker leads with each other one second: %v", second)
	for pair, n := range second {
		require.Equal(t, 2, n, "%v", pair)
	}
	for slot := range 24 {
		order := Arrange(brokers("a", "a", "b", "b"), slot)
		require.NotEqual(t, order[0].Rack, order[1].Rack, "slot %d: who leads next is in the other rack", slot)
	}
}
