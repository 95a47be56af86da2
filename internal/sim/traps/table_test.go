package traps

// trap is a mistake, the rule against it, and the test that notices when the rule is not there.
type trap struct {
	name      string
	pkg, test string
	file      string
	rule      string // as the file has it, just once
	without   string // in its place
}

var traps = []trap{
	{
		"KIP-101: truncating to the own high watermark", "replication", "TestAFollowerThatRestartsKeepsWhatLiesAboveItsHighWatermark", "replication/partition.go",
		"p.mu.leader, p.mu.follows, p.mu.followEpoch = nil, leader, epoch\n",
		"p.mu.leader, p.mu.follows, p.mu.followEpoch = nil, leader, epoch\n\tif _, err := p.log.TruncateTo(p.log.HighWatermark()); err != nil {\n\t\tpanic(err)\n\t}\n",
	},
	{
		"KIP-101: logs of one length that differ", "replication", "TestADeposedLeaderGivesUpWhatTheNextOneDoesNotHave", "replication/core/diverge.go",
		"if own.Epoch < lastFetched || own.End < offset {", "if own.End < 0 {",
	},
	{
		"KIP-279: epochs that the leader never had", "replication", "TestAFollowerOfManyShortLeadershipsFindsWhereItsLogParts", "log/epochs.go",
		"return floor, e.start", "return max(floor, epoch), e.start",
	},
	{
		"a deposed leader is believed by those who know better", "replication", "TestALeaderThatWasDeposedCommitsNothing", "replication/partition.go",
		"case epoch > p.mu.epoch:\n\t\treturn kerr.UnknownLeaderEpoch", "case epoch > p.mu.epoch:\n\t\treturn nil",
	},
	{
		"a leader believes those who have not heard of it", "replication", "TestALeaderHearsNoFollowerOfAnEarlierEpoch", "replication/partition.go",
		"case epoch < p.mu.epoch:\n\t\treturn kerr.FencedLeaderEpoch", "case epoch < p.mu.epoch:\n\t\treturn nil",
	},
	{
		"a leader that is cut off serves on", "replication", "TestANodeServesAsLeaderOnlyForItsTime", "replication/partition.go",
		"case p.mu.leader == nil, p.lease.over():", "case p.mu.leader == nil:",
	},
	{
		"KIP-903: in sync for what it had before it restarted", "replication", "TestAFollowerThatHasRestartedIsNotInSyncForWhatItHadBefore", "replication/metadata/change_topic.go",
		"k.Epoch != c.isrEpochs[i]", "k.Epoch < c.isrEpochs[i]",
	},
	{
		"in sync for what it had before its replica was taken off", "replication", "TestAFetchFromBeforeAReplicaWasAddedAgainAcknowledgesNothing", "replication/replicafetch.go",
		" || f.record >= 0 && f.record < p.mu.addedAt", "",
	},
	{
		"an in-sync set of unknown outcome is forgotten", "replication", "TestAProposalOfUnknownOutcomeStaysInForce", "replication/core/core.go",
		"if v == Refused {", "if v != Superseded {",
	},
	{
		"KIP-966: committed with fewer in sync than asked for", "replication", "TestNothingIsCommittedBelowTheLeastInSync", "replication/core/core.go",
		"\tif !l.EnoughISR() {\n\t\treturn Effects{HW: l.hw}\n\t}\n\thw := l.durable", "\thw := l.durable",
	},
	{
		"KIP-966: a replica leads that may lack what was committed", "replication/controller", "TestTheLastInSyncStayAndOnlyTheyOrTheEligibleLead", "replication/controller/plan.go",
		"if v.live(id) && slices.Contains(n.ELR, id) {", "if v.live(id) {",
	},
	{
		"acknowledged before it is synced", "replication", "TestAFollowerAcknowledgesOnlyWhatItsDiskHas", "replication/follower.go",
		"if err := p.log.WaitDurable(ctx, end); err != nil {", "if end < 0 {\n\t\terr := ctx.Err()",
	},
	{
		"a high watermark that falls", "replication/core", "TestLeader", "replication/core/core.go",
		"if hw <= l.hw {", "if hw == l.hw {",
	},
	{
		"KIP-207: a new leader tells too early an end", "replication", "TestANewLeaderTellsNoEndBeforeItKnowsWhatWasCommitted", "replication/fetch.go",
		"if !p.settled() {", "if timestamp != LatestOffset {",
	},
	{
		"the last replica standing: a wiped disk under a known id", "replication/metadata", "TestBrokersAreReplacedByEpoch", "replication/metadata/change_broker.go",
		"ok && old.Directory != c.broker.Directory {", "ok && old.ID != c.broker.ID {",
	},
	{
		"the last replica standing: metadata that was lost", "replication", "TestADirectoryWhoseMetadataWasLostIsRefused", "replication/manager.go",
		"len(found) > 0 && img.TopicCount() == 0", "len(found) < 0",
	},
	{
		"the last replica standing: logs are cut to a damaged one", "replication", "TestADamagedOnlyReplicaIsReadUpToTheDamageAndTakesNoWrites", "replication/replicafetch.go",
		"return out, kerr.KafkaStorageError // its end", "out.hw = 0 // its end",
	},
	{
		"stable before the marker is replicated", "log", "TestStableOffsetWaitsForTheMarkerToBeReplicated", "log/producers.go",
		"if t.ended[i].last >= hw {", "if t.ended[i].last < t.ended[i].first {",
	},
	{
		"a high watermark that was written down is believed", "replication/core", "TestLeader", "replication/core/core.go",
		"hw: max(0, min(hw, durable, end))}", "hw: hw}",
	},
	{
		"compaction above what is stable", "log", "TestCompactionKeepsTheTable", "log/compact.go",
		"if s.next > stable || (", "if stable < 0 || (",
	},
	{
		"a topic made again: by request", "replication", "TestAReplicaOfATopicMadeAgainBeginsEmpty", "replication/replicafetch.go",
		"t, ok := img.TopicByID(topic)\n\tif !ok {\n\t\treturn nil, kerr.UnknownTopicID\n\t}\n\tp, err := m.Partition(t.Name, id)\n\tif err == nil && p.topicID != topic {\n\t\treturn nil, kerr.InconsistentTopicID\n\t}\n\treturn p, err",
		"t, _ := img.Topic(\"t\")\n\treturn m.Partition(t.Name, id)",
	},
	{
		"a topic made again: on the disk", "replication", "TestAReplicaOfATopicMadeAgainBeginsEmpty", "log/manager.go",
		"case err == nil && have != id:", "case err == nil && have != id && id == (TopicID{}):",
	},
	{
		"retention above the high watermark", "log", "TestRetentionStopsAtTheHighWatermark", "log/retention.go",
		" || s.next > l.mu.hw {", " {",
	},
	{
		"deleted records come back with the next leader", "replication", "TestAFollowerForgetsWhatItsLeaderHasDeleted", "replication/follower.go",
		"start > p.log.LogStart() {", "start < 0 {",
	},
	{
		"an answer that comes late", "replication", "TestAnAnswerThatComesLateChangesNothing", "replication/follower.go",
		"!ok || now.epoch != pos.epoch || now.offset != pos.offset {", "now.p == nil && ok {",
	},
	{
		"two changes made from one record", "replication/metadata", "TestPartitionChangesAreCompareAndSwap", "replication/metadata/change_topic.go",
		"was.LeaderEpoch != c.leaderEpoch || was.PartitionEpoch+1 != c.partition.PartitionEpoch", "was.LeaderEpoch != c.leaderEpoch",
	},
	{
		"KIP-890: a transaction that nobody will end", "log", "TestFirstBatchOfATransactionMustBeVerified", "log/producers.go",
		"p == nil || p.guard == 0 || p.guard != info.Guard", "p == nil",
	},
	{
		"KIP-890: an end that comes late touches the next transaction", "coordinator", "TestRepeatedEndIsAnsweredAsTheFirst", "coordinator/txn_state.go",
		"if bumps && t.repeatsEnd(producerID, epoch) {", "if bumps && t.producerID != producerID {",
	},
	{
		"markers of a coordinator that was deposed", "log", "TestMarkersAreFenced", "log/producers.go",
		"if m.CoordinatorEpoch < p.coordinatorEpoch {", "if m.CoordinatorEpoch < -1 {",
	},
	{
		"a deposed coordinator aborts what its successor lets begin", "coordinator", "TestANodeThatCoordinatesNoMoreAbortsNothing", "coordinator/txn_orphans.go",
		"if l.part.WaitHighWatermark(ctx, ends[i]) != nil || l.ctx.Err() != nil {", "if ends[i] < 0 || l.ctx.Err() != nil {",
	},
	{
		"taken for dead: a firewall resets one way", "replication/lifeline", "TestAFirewallThatRejectsOneWayIsNotDeath", "replication/lifeline/witness.go",
		"s.gone = how == Stream", "s.gone = how == Stream || how == Reset",
	},
	{
		"taken for dead: silence after the end of a stream", "replication/lifeline", "TestOnlyARefusalCounts", "replication/lifeline/take.go",
		"errors.Is(err, syscall.ECONNREFUSED), w.opts.Clock.Now())", "err != nil, w.opts.Clock.Now())",
	},
	{
		"taken for dead: a port that is closed for a moment", "replication/lifeline", "TestAProxyThatIsBackSoonIsNotDeath", "replication/lifeline/witness.go",
		"s.refused < Refusals || s.last.Sub(s.first) < RefusedFor {", "s.refused < 1 {",
	},
	{
		"taken for dead: it is heard still", "replication/lifeline", "TestASignOfLifeBeginsTheCountAgain", "replication/lifeline/witness.go",
		"func (w *witness) alive(node int32) {\n\tif s := w.seen[node]; s != nil {", "func (w *witness) alive(node int32) {\n\tif s := w.seen[node]; s != nil && s.refused < 0 {",
	},
	{
		"taken for dead: it stops in order", "replication/lifeline", "TestAProcessThatStopsInOrderIsNotSeenToDie", "replication/lifeline/take.go",
		"case ctx.Err() != nil, n > 0 && b[0] == farewell:\n\t\treturn InOrder", "case n > 0 && b[0] == farewell:\n\t\treturn Stream",
	},
	{
		"taken for dead: the process of before", "replication/lifeline", "TestOnlyTheNewestLifeLineCounts", "replication/lifeline/witness.go",
		"s != nil && s.line == line {", "s != nil {",
	},
	{
		"taken for dead: by one voter alone", "replication/controller", "TestAMajorityOfTheVotersMustHaveSeenADeath", "replication/controller/death.go",
		"return n >= lifeline.Majority(len(voters))", "return n > 0",
	},
	{
		"taken for dead, and serves on", "replication/lifeline", "TestANodeWhoseProxyDiesStopsToServe", "replication/lifeline/hold.go",
		"\t\th.opts.OnLost()", "\t\ttell = false",
	},
	{
		"taken for dead, and believes an answer from before", "replication/controller", "TestATenureThatWasGivenUpIsNotRenewedByAnEarlierHeartbeat", "replication/controller/tenure.go",
		" || !sent.After(t.lost):", ":",
	},
	{
		"about to be fenced, and told that it leads", "replication/controller", "TestNoHeartbeatRenewsTheTenureOfWhoIsAboutToBeFenced", "replication/controller/death.go",
		"!guilty || now.epoch == k.Epoch && !now.at.Equal(last.at) {", "!guilty || now.epoch < last.epoch {",
	},
	{
		"a new controller counts from before it began", "replication/controller", "TestANewControllerGivesEverybodyASession", "replication/controller/controller.go",
		"if ok && h.at.After(at) {", "if ok {",
	},
	{
		"clocks that are set: a transaction's time", "coordinator", "TestTransactionsDoNotGoByTheTimeOfDay", "coordinator/txn_state.go",
		"now.Sub(t.opened) > time.Duration(t.timeoutMillis)*time.Millisecond", "now.UnixMilli()-t.startMillis > int64(t.timeoutMillis)",
	},
	{
		"clocks that differ: an acknowledged row is of the future", "exec", "TestScripts", "exec/scandecode.go",
		"if d.vouched {", "if d.vouched && t < 0 {",
	},
	{
		"a transactional id is forgotten while something of it is open", "coordinator", "TestATransactionalIDIsRememberedWhileSomethingMayBeOpen", "coordinator/txn_expire.go",
		"!(idle && c.settled(t))", "!idle",
	},
	{
		"upgrades: a level that not all nodes know", "replication/metadata", "TestTheFeatureLevelIsRaisedWhenAllNodesKnowIt", "replication/metadata/features.go",
		"if !k.Tolerates(c.to) {", "if k.ID < 0 {",
	},
	{
		"upgrades: what the older release cannot read", "replication/metadata", "TestWhatOlderReleasesCannotReadIsNotWritten", "replication/metadata/features.go",
		"level > b.img.featureLevel {", "level > FeatureMax {",
	},
	{
		"upgrades: a node goes back", "replication/metadata", "TestTheFeatureLevelIsRaisedWhenAllNodesKnowIt", "replication/metadata/features.go",
		"if tx.featureLevel < raisedFrom || k.Tolerates(tx.featureLevel) {", "if tx.featureLevel >= 0 {",
	},
}
