package controller

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/millracedb/millrace/replication"
	"github.com/millracedb/millrace/replication/metadata"
)

// board is a cluster's metadata with brokers 1 to 3 and a topic of one partition, changed as the controller and a leader would.
type board struct {
	t       *testing.T
	machine *metadata.Machine
	steady  bool // no broker has come or gone for a while
	deaf    bool // brokers do not hear who leads
}

// newBoard makes a topic that the query node leads, unless spec says otherwise.
func newBoard(t *testing.T, brokers int32, spec metadata.TopicSpec) *board {
	if spec.Owner == (metadata.Owner{}) {
		spec.Owner.Kind = metadata.OwnerInternal
	}
	return newBoardOf(t, brokers, spec)
}

func newBoardOf(t *testing.T, brokers int32, spec metadata.TopicSpec) *board {
	b := &board{t: t, machine: metadata.NewMachine(rand.NewChaCha8([32]byte{}), func(err error) { require.NoError(t, err) })}
	for id := int32(1); id <= brokers; id++ {
		b.apply(func(x *metadata.Batch) {
			x.RegisterBroker(metadata.Broker{ID: id, Directory: metadata.UUID{byte(id)}}, 0)
		})
	}
	spec.Name, spec.Partitions = "t", max(spec.Partitions, 1)
	b.apply(func(x *metadata.Batch) {
		x.SetQueryNode(1)
		x.CreateTopic(spec)
	})
	b.review()
	return b
}

func (b *board) apply(build func(*metadata.Batch)) {
	b.t.Helper()
	batch := b.machine.NewBatch()
	build(batch)
	_, err := b.machine.Apply(batch)
	require.NoError(b.t, err)
}

// state fences or drains a broker, and has the controller look.
func (b *board) state(id int32, fenced, draining bool) {
	b.t.Helper()
	k, _ := b.machine.Image().Broker(id)
	b.apply(func(x *metadata.Batch) { x.SetBrokerState(id, k.Epoch, fenced, draining) })
	b.review()
}

func (b *board) fence(id int32) { b.t.Helper(); b.state(id, true, false) }
func (b *board) admit(id int32) { b.t.Helper(); b.state(id, false, false) }

func (b *board) review() {
	b.t.Helper()
	const rounds = 2 // a broker on its way out leaves when it has heard who leads in its place
	for round := range rounds + 1 {
		batches, _ := Review(b.machine.Image(), b.machine.NewBatch, b.steady, func(int32) bool { return !b.deaf })
		if len(batches) == 0 {
			return
		}
		require.Less(b.t, round, rounds, "a review leaves nothing to do")
		for _, x := range batches {
			_, err := b.machine.Apply(x)
			require.NoError(b.t, err)
		}
	}
}

// joins makes isr the in-sync set, as the leader asks when followers have caught up.
func (b *board) joins(isr ...int32) {
	b.t.Helper()
	topic, p := b.partition()
	b.apply(func(x *metadata.Batch) {
		next := p
		replication.SetISR(&next, isr, replication.MinISR(topic, p))
		x.ChangePartition(topic.ID, p, next, false, nil)
	})
	b.review()
}

func (b *board) partition() (*metadata.Topic, metadata.Partition) {
	topic, ok := b.machine.Image().Topic("t")
	require.True(b.t, ok)
	return topic, topic.Partitions[0]
}

func (b *board) is(leader int32, isr, elr []int32) metadata.Partition {
	b.t.Helper()
	_, p := b.partition()
	require.Equal(b.t, leader, p.Leader, "leader")
	require.ElementsMatch(b.t, isr, p.ISR, "in sync")
	require.ElementsMatch(b.t, elr, p.ELR, "eligible")
	return p
}

func TestASilentBrokerLeavesTheISRAndItsLeadershipMoves(t *testing.T) {
	b := newBoard(t, 3, metadata.TopicSpec{})
	before := b.is(1, []int32{1, 2, 3}, nil)
	b.fence(1)
	p := b.is(2, []int32{2, 3}, nil)
	require.Equal(t, before.LeaderEpoch+1, p.LeaderEpoch)
	now, _ := b.machine.Image().QueryNode()
	require.EqualValues(t, 2, now, "the queries move with it")
	b.admit(1)
	b.is(2, []int32{2, 3}, nil)
	b.joins(2, 3, 1)
	b.is(2, []int32{1, 2, 3}, nil) // nothing moves back: that would stop the queries once more
}

func TestTheLastInSyncStayAndOnlyTheyOrTheEligibleLead(t *testing.T) {
	b := newBoard(t, 3, metadata.TopicSpec{})
	b.fence(3)
	b.is(1, []int32{1, 2}, nil)
	b.fence(2)
	b.is(1, []int32{1}, []int32{2})
	b.fence(1)
	b.is(metadata.NoLeader, []int32{1}, []int32{2})
	b.admit(3)
	b.is(metadata.NoLeader, []int32{1}, []int32{2}) // it may lack what was committed after it left
	b.admit(2)
	b.is(2, []int32{2}, []int32{1})
	b.admit(1)
	b.joins(2, 1)
	b.is(2, []int32{1, 2}, nil)
}

func TestAReplicaThatLagsLeadsOnlyWhereTheTopicAllowsIt(t *testing.T) {
	b := newBoard(t, 2, metadata.TopicSpec{Configs: map[string]string{"unclean.leader.election.enable": "true", "min.insync.replicas": "1"}})
	b.fence(2)
	b.fence(1)
	b.admit(2)
	p := b.is(2, []int32{2}, nil)
	require.Equal(t, metadata.Recovering, p.RecoveryState)
}

func TestABrokerOnItsWayOutGivesUpWhatOthersCanTake(t *testing.T) {
	b := newBoard(t, 3, metadata.TopicSpec{})
	b.state(1, false, true)
	b.is(2, []int32{2, 3}, nil)
	require.True(t, mayStop(b.machine.Image(), 1))
	b.fence(2)
	b.fence(3)
	b.is(metadata.NoLeader, []int32{3}, []int32{2})
	b.admit(3)
	b.is(3, []int32{3}, []int32{2})
	b.state(3, false, true)
	b.is(3, []int32{3}, []int32{2}) // nobody else may
}

func TestABrokerOnItsWayOutStaysInSyncUntilItKnowsThatOthersLead(t *testing.T) {
	b := newBoard(t, 3, metadata.TopicSpec{})
	b.deaf = true
	b.state(1, false, true)
	b.is(2, []int32{1, 2, 3}, nil) // nothing is committed that 1 does not follow, so that it answers nothing that is out of date
	require.False(t, mayStop(b.machine.Image(), 1))
	require.True(t, handing(b.machine.Image()))
	b.deaf = false
	b.review()
	b.is(2, []int32{2, 3}, nil)
	require.True(t, mayStop(b.machine.Image(), 1))
	require.False(t, handing(b.machine.Image()))
}

func TestABrokerWithoutRoomOnItsDiskLeadsOnlyWhatNobodyElseCan(t *testing.T) {
	b := newBoard(t, 3, metadata.TopicSpec{})
	full := func(id int32, is bool) {
		b.apply(func(x *metadata.Batch) { x.SetFull(id, is) })
		b.review()
	}
	full(1, true)
	b.is(2, []int32{1, 2, 3}, nil) // it follows
	full(2, true)
	full(3, true)
	_, p := b.partition()
	require.EqualValues(t, 3, p.Leader, "none has room: nothing moves")
	full(1, false)
	b.is(1, []int32{1, 2, 3}, nil)
	b.apply(func(x *metadata.Batch) { x.CreateTopic(metadata.TopicSpec{Name: "u", Partitions: 1, Replicas: 3}) })
	u, _ := b.machine.Image().Topic("u")
	require.Equal(t, []int32{1}, u.Partitions[0].Replicas, "new replicas go where there is room")
}

func TestMissingReplicasAreAddedAndCountOnceTheyAreInSync(t *testing.T) {
	b := newBoard(t, 1, metadata.TopicSpec{})
	b.is(1, []int32{1}, nil)
	for id := int32(2); id <= 4; id++ {
		b.apply(func(x *metadata.Batch) {
			x.RegisterBroker(metadata.Broker{ID: id, Directory: metadata.UUID{byte(id)}}, 0)
		})
	}
	b.review()
	topic, p := b.partition()
	require.Len(t, p.Replicas, 3)
	require.Equal(t, 1, replication.MinISR(topic, p), "those that are being added do not stop writes")
	b.joins(p.Replicas[:2]...)
	topic, p = b.partition()
	require.Equal(t, 2, replication.MinISR(topic, p))
}

// leads counts the partitions that each broker leads.
func (b *board) leads() map[int32]int {
	topic, _ := b.partition()
	n := map[int32]int{}
	for _, p := range topic.Partitions {
		n[p.Leader]++
	}
	return n
}

// catchUp makes all replicas in sync.
func (b *board) catchUp() {
	b.t.Helper()
	topic, _ := b.partition()
	for _, p := range topic.Partitions {
		b.apply(func(x *metadata.Batch) {
			next := p
			replication.SetISR(&next, p.Replicas, replication.MinISR(topic, p))
			x.ChangePartition(topic.ID, p, next, false, nil)
		})
	}
	b.review()
}

func TestLeadersOfASpreadTopicGoBackOnceTheClusterIsSteady(t *testing.T) {
	b := newBoardOf(t, 3, metadata.TopicSpec{Partitions: 6})
	even := map[int32]int{1: 2, 2: 2, 3: 2}
	require.Equal(t, even, b.leads())
	b.fence(2)
	require.Equal(t, map[int32]int{1: 3, 3: 3}, b.leads(), "each of the others takes a part")
	b.admit(2)
	b.catchUp()
	require.Equal(t, map[int32]int{1: 3, 3: 3}, b.leads(), "it may be gone again in a moment")
	b.steady = true
	b.review()
	require.Equal(t, even, b.leads())
	b.state(2, false, true)
	require.Equal(t, map[int32]int{1: 3, 3: 3}, b.leads(), "it is on its way out")
}

func TestATopicThatGrowsWithTheClusterIsSpreadOverIt(t *testing.T) {
	b := newBoardOf(t, 1, metadata.TopicSpec{Partitions: 6})
	b.steady = true
	for id := int32(2); id <= 3; id++ {
		b.apply(func(x *metadata.Batch) {
			x.RegisterBroker(metadata.Broker{ID: id, Directory: metadata.UUID{byte(id)}}, 0)
		})
	}
	b.review()
	require.Equal(t, map[int32]int{1: 6}, b.leads(), "the others do not have the records yet")
	topic, _ := b.partition()
	for _, p := range topic.Partitions {
		for i, id := range p.Replicas {
			require.Equal(t, metadata.UUID{byte(id)}, p.Directories[i])
		}
	}
	b.catchUp()
	require.Equal(t, map[int32]int{1: 2, 2: 2, 3: 2}, b.leads())
}

func TestWhatADeadNodeLedIsTakenOverByAllOthersInATopicThatHasGrownWithTheCluster(t *testing.T) {
	b := newBoardOf(t, 1, metadata.TopicSpec{Partitions: 12})
	b.steady = true
	for id := int32(2); id <= 3; id++ {
		b.apply(func(x *metadata.Batch) {
			x.RegisterBroker(metadata.Broker{ID: id, Directory: metadata.UUID{byte(id)}}, 0)
		})
	}
	b.review()
	b.catchUp()
	even := map[int32]int{1: 4, 2: 4, 3: 4}
	require.Equal(t, even, b.leads())
	for dead := range even {
		want := map[int32]int{1: 6, 2: 6, 3: 6}
		delete(want, dead)
		b.fence(dead)
		require.Equal(t, want, b.leads(), "without node %d", dead)
		b.admit(dead)
		b.catchUp()
		require.Equal(t, even, b.leads(), "node %d is back", dead)
	}
}

func (b *board) wish(build func(*metadata.Batch)) {
	b.t.Helper()
	b.apply(build)
	b.review()
}

func TestADrainedNodeLeadsNothingAndKeepsItsReplicasWhereThereIsNoOther(t *testing.T) {
	for name, owner := range map[string]metadata.OwnerKind{"led by the query node": metadata.OwnerInternal, "spread": metadata.OwnerNone} {
		t.Run(name, func(t *testing.T) {
			b := newBoardOf(t, 3, metadata.TopicSpec{Owner: metadata.Owner{Kind: owner}})
			b.steady = true
			_, p := b.partition()
			leader := p.Leader
			b.wish(func(x *metadata.Batch) { x.Drain(leader) })
			_, p = b.partition()
			require.NotEqual(t, leader, p.Leader)
			require.ElementsMatch(t, []int32{1, 2, 3}, p.ISR, "it goes on as a follower")
			now, _ := b.machine.Image().QueryNode()
			require.Equal(t, owner == metadata.OwnerInternal || leader == 1, now != 1, "the queries move if they ran there")

			// The others die: it is all there is.
			for id := int32(1); id <= 3; id++ {
				if id != leader {
					b.fence(id)
				}
			}
			_, p = b.partition()
			require.Equal(t, leader, p.Leader)
			for id := int32(1); id <= 3; id++ {
				b.admit(id)
			}
			b.joins(1, 2, 3)
			_, p = b.partition()
			require.NotEqual(t, leader, p.Leader, "it gives up again what others can take")
		})
	}
}

func TestADrainedNodeGivesItsReplicasToAnother(t *testing.T) {
	b := newBoard(t, 3, metadata.TopicSpec{Replicas: 3})
	b.apply(func(x *metadata.Batch) { x.RegisterBroker(metadata.Broker{ID: 4, Directory: metadata.UUID{4}}, 0) })
	b.wish(func(x *metadata.Batch) { x.Drain(1) })
	_, p := b.partition()
	require.ElementsMatch(t, []int32{1, 2, 3, 4}, p.Replicas)
	require.ElementsMatch(t, []int32{1, 2, 3}, p.ISR, "nothing is taken away before the other has it")
	b.joins(1, 2, 3, 4)
	_, p = b.partition()
	require.ElementsMatch(t, []int32{2, 3, 4}, p.Replicas)
	require.ElementsMatch(t, []int32{2, 3, 4}, p.ISR)
	b.wish(func(x *metadata.Batch) { x.Undrain(1) })
	_, again := b.partition()
	require.Equal(t, p.Replicas, again.Replicas, "what it comes back to is new topics")
}

func TestANodeThatIsRemovedIsNamedByNoPartition(t *testing.T) {
	b := newBoard(t, 3, metadata.TopicSpec{Replicas: 3})
	b.wish(func(x *metadata.Batch) { x.Remove(3) })
	b.is(1, []int32{1, 2, 3}, nil)
	b.fence(3)
	p := b.is(1, []int32{1, 2}, nil)
	require.ElementsMatch(t, []int32{1, 2}, p.Replicas)
	require.False(t, names(b.machine.Image(), 3))
	b.apply(func(x *metadata.Batch) { x.RegisterBroker(metadata.Broker{ID: 4, Directory: metadata.UUID{4}}, 0) })
	b.review()
	_, p = b.partition()
	require.ElementsMatch(t, []int32{1, 2, 4}, p.Replicas, "another takes its place")
}

func TestTheLastReplicaInSyncIsNotRemoved(t *testing.T) {
	b := newBoard(t, 2, metadata.TopicSpec{})
	b.fence(2)
	b.is(1, []int32{1}, []int32{2})
	b.fence(1)
	b.wish(func(x *metadata.Batch) { x.Remove(1) })
	_, p := b.partition()
	require.Contains(t, p.Replicas, int32(1))
	topic, _, found := b.machine.Image().OnlyOn(1)
	require.True(t, found)
	require.Equal(t, "t", topic)
}

func TestABrokerComesBackOnlyOnceItKnowsThatOthersLead(t *testing.T) {
	b := newBoardOf(t, 3, metadata.TopicSpec{Partitions: 3})
	broker := func() *metadata.Broker {
		k, ok := b.machine.Image().Broker(3)
		require.True(t, ok)
		return k
	}
	before := b.machine.Image().Index()
	a := admission{}
	b.apply(func(x *metadata.Batch) { x.SetBrokerState(3, broker().Epoch, true, false) })
	require.False(t, a.admits(b.machine.Image(), broker(), b.machine.Image().Index()), "it leads still")
	b.review()
	moved := b.machine.Image().Index()
	require.Greater(t, moved, before)
	for range 3 {
		require.False(t, a.admits(b.machine.Image(), broker(), moved-1), "it has not heard who leads")
	}
	b.apply(func(x *metadata.Batch) { x.SetSetting(metadata.SettingKey{Name: "later"}, "1") })
	require.True(t, a.admits(b.machine.Image(), broker(), moved), "what has come since does not matter")
	require.False(t, admission{}.admits(b.machine.Image(), broker(), moved), "a new controller does not know when that was")
}

func TestALostReplicaIsReplacedInARackThatHasNone(t *testing.T) {
	b := newBoard(t, 1, metadata.TopicSpec{Replicas: 3})
	for id, rack := range map[int32]string{2: "", 3: "", 4: "b", 5: "c"} {
		b.apply(func(x *metadata.Batch) {
			x.RegisterBroker(metadata.Broker{ID: id, Directory: metadata.UUID{byte(id)}, Rack: rack}, 0)
		})
	}
	b.review()
	_, p := b.partition()
	require.ElementsMatch(t, []int32{1, 4, 5}, p.Replicas)
	b.joins(1, 4, 5)
	b.apply(func(x *metadata.Batch) {
		x.RegisterBroker(metadata.Broker{ID: 6, Directory: metadata.UUID{6}, Rack: "c"}, 0)
	})
	b.wish(func(x *metadata.Batch) { x.Remove(5) })
	b.fence(5)
	_, p = b.partition()
	require.ElementsMatch(t, []int32{1, 4, 6}, p.Replicas)
}
