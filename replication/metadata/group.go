package metadata

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// LeaderSilence is for how long a leader of several has not been heard by a majority, at least, when another is elected that it has not made way for.
	LeaderSilence = 500 * time.Millisecond
	// ApplyLimit is how long a change is tried before the answer is that nobody leads the group, or that the outcome is not known.
	ApplyLimit = 15 * time.Second
	// applyPause is the time between two tries.
	applyPause = 20 * time.Millisecond
	// memberTimeout bounds a change of the group's members.
	memberTimeout = 5 * time.Second
)

// Peers are how a node finds the group that it is to be a member of, and reaches it. The functions may be called from several goroutines.
type Peers struct {
	// Found is asked by a node that is in no group yet: true if it is to found one, false if Join will find one.
	Found func(ctx context.Context) (bool, error)
	// Join has the group's leader take this node in, at its present address, and returns when it has. others are the node ports of the other members, as far as this node knows.
	Join func(ctx context.Context, others []string) error
	// Removed returns an error when the group's leader says that this directory is no member any more, and otherwise waits for ctx to end. It may be nil.
	Removed func(ctx context.Context, others []string) error
	// Forward has the leader, whose node port is at addr, do what Store.Forwarded does. ErrNotLeader in its error says that surely nothing was done.
	Forward func(ctx context.Context, addr string, entry []byte) (outcome []byte, err error)
}

// Changed reports whether a member of the group has another address now than the group knows.
func (*Peers) Changed(members []raft.Server, self raft.ServerAddress) bool {
	for _, m := range members {
		if m.Address == self {
			return false
		}
	}
	return true
}

// settle has the leader commit an entry, or with none only say how far it has applied, wherever the leader is and as often as it takes.
func (s *Store) settle(ctx context.Context, entry []byte) (*outcome, error) {
	unknown := false // some try may have been carried out
	if !s.several.Load() {
		o, err := s.here(ctx, entry)
		if err == nil || !s.several.Load() {
			return o, err // nobody else can lead
		}
		unknown = errors.Is(err, ErrUnknownOutcome)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, ApplyLimit, ErrNoLeader)
	defer cancel()
	for {
		o, err := s.once(ctx, entry)
		if err == nil {
			return o, nil
		}
		if errors.Is(err, ErrUnknownOutcome) {
			unknown = true
		} else if !errors.Is(err, ErrNotLeader) {
			return nil, err
		}
		if ctx.Err() == nil && s.pause(ctx) {
			continue
		}
		why := context.Cause(ctx)
		select {
		case <-s.closing:
			why = ErrClosed
		default:
		}
		if unknown && entry != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnknownOutcome, why)
		}
		if errors.Is(why, ErrClosed) {
			return nil, ErrClosed
		}
		if errors.Is(why, context.DeadlineExceeded) && s.LeaderAddr() == "" {
			why = fmt.Errorf("%w: %w", ErrNoLeader, why) // the caller had less time than ApplyLimit
		}
		return nil, fmt.Errorf("%w: %w", ErrNotLeader, why)
	}
}

// once is one try of settle.
func (s *Store) once(ctx context.Context, entry []byte) (*outcome, error) {
	if s.Leads() {
		return s.here(ctx, entry)
	}
	addr := s.LeaderAddr()
	if addr == "" || s.opts.Peers == nil {
		return nil, ErrNotLeader
	}
	answer, err := s.opts.Peers.Forward(ctx, addr, entry)
	if err != nil {
		return nil, err
	}
	return decodeOutcome(answer)
}

func (s *Store) here(ctx context.Context, entry []byte) (*outcome, error) {
	if entry == nil {
		return s.barrier(ctx)
	}
	return s.propose(ctx, entry)
}

// pause waits before the next try; false if ctx or the store ended.
func (s *Store) pause(ctx context.Context) bool {
	timer := s.opts.Clock.NewTimer(applyPause)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-ctx.Done():
	case <-s.closing:
	}
	return false
}

// Forwarded does for another member what its Apply or Barrier asks of the leader: entry is a batch's entry, or empty for a barrier. It returns the outcome's bytes, or
// ErrNotLeader, or ErrUnknownOutcome.
func (s *Store) Forwarded(ctx context.Context, entry []byte) ([]byte, error) {
	if !s.Leads() {
		return nil, ErrNotLeader
	}
	if len(entry) > MaxEntryBytes {
		return nil, ErrTooLarge
	}
	if len(entry) > 0 {
		if _, err := decodeEntry(entry, s.opts.FeatureMax); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err) // in raft's log it would stop every node
		}
	} else {
		entry = nil
	}
	o, err := s.here(ctx, entry)
	if err != nil {
		return nil, err
	}
	return o.append(nil), nil
}

// Leads reports whether this node leads the group: a leader that has lost touch with the majority stops leading within its lease.
func (s *Store) Leads() bool { return s.group.Load().State() == raft.Leader }

// VerifyLeads asks the other voters whether this node leads still; an error if it does not, or if a majority does not say so.
func (s *Store) VerifyLeads(ctx context.Context) error {
	g := s.group.Load()
	return s.wait(ctx, g, g.VerifyLeader())
}

// Self is this node among the members.
func (s *Store) Self() raft.ServerID { return s.self() }

// Term is raft's term, which grows with each election.
func (s *Store) Term() uint64 { return s.group.Load().CurrentTerm() }

// LeaderAddr is the node port of the group's leader, as far as this node knows; empty if it knows none.
func (s *Store) LeaderAddr() string {
	addr, _ := s.group.Load().LeaderWithID()
	return string(addr)
}

// Members are the members of the group as this node knows them.
func (s *Store) Members() ([]raft.Server, error) {
	f := s.group.Load().GetConfiguration()
	if err := f.Error(); err != nil {
		return nil, fmt.Errorf("metadata: reading the configuration: %w", err)
	}
	return f.Configuration().Servers, nil
}

// Standing reports whether a broker votes in the group, and whether it leads it, as far as this node knows.
func (s *Store) Standing(b *Broker) (votes, leads bool) {
	members, err := s.Members()
	if err != nil {
		return false, false // the node stops
	}
	id := raft.ServerID(b.Directory.String())
	_, leader := s.group.Load().LeaderWithID()
	return slices.ContainsFunc(members, func(m raft.Server) bool { return m.ID == id && m.Suffrage == raft.Voter }), leader == id
}

// memberAt is the member of the group at an address, as this node knows them; empty if there is none, or while raft is being opened.
func (s *Store) memberAt(addr string) string {
	if s.group.Load() == nil {
		return ""
	}
	members, err := s.Members()
	if err != nil {
		return ""
	}
	for _, m := range members {
		if string(m.Address) == addr {
			return string(m.ID)
		}
	}
	return ""
}

// storedMembers are the members as the store has them, while raft does not run.
func (s *Store) storedMembers() ([]raft.Server, error) {
	_, t := raft.NewInmemTransport("")
	c, err := raft.GetConfiguration(s.raftConfig(), newFSM(s.opts.Release, s.opts.FeatureMax, func(error) {}), s.store, s.store, s.store, t)
	if err != nil {
		return nil, fmt.Errorf("metadata: reading the configuration: %w", err)
	}
	return c.Servers, nil
}

// votes reports whether this node is a voter.
func (s *Store) votes(members []raft.Server) bool {
	for _, m := range members {
		if m.ID == s.self() {
			return m.Suffrage == raft.Voter
		}
	}
	return false
}

// AddMember takes a node into the group, or changes its address, and returns when that is committed. A new member has no vote; Promote gives it one. Only the leader
// can: else ErrNotLeader.
func (s *Store) AddMember(ctx context.Context, directory UUID, addr string) error {
	members, err := s.Members()
	if err != nil {
		return err
	}
	id := raft.ServerID(directory.String())
	voter := false
	for _, m := range members {
		switch {
		case m.ID == id && string(m.Address) == addr:
			return nil
		case m.ID == id:
			voter = m.Suffrage == raft.Voter
		case string(m.Address) == addr:
			return &Error{ErrInvalid, "address", addr, "it is that of another member, directory " + string(m.ID)}
		}
	}
	if err := s.beSeveral(ctx); err != nil {
		return err
	}
	g := s.group.Load()
	if voter {
		return s.wait(ctx, g, g.AddVoter(id, raft.ServerAddress(addr), 0, memberTimeout))
	}
	return s.wait(ctx, g, g.AddNonvoter(id, raft.ServerAddress(addr), 0, memberTimeout))
}

// Promote gives a member a vote; Demote takes it.
func (s *Store) Promote(ctx context.Context, m raft.Server) error {
	g := s.group.Load()
	return s.wait(ctx, g, g.AddVoter(m.ID, m.Address, 0, memberTimeout))
}

// Demote takes a member's vote.
func (s *Store) Demote(ctx context.Context, m raft.Server) error {
	g := s.group.Load()
	return s.wait(ctx, g, g.DemoteVoter(m.ID, 0, memberTimeout))
}

// Resign hands the leadership of the group to another voter, if this node leads it and there is one.
func (s *Store) Resign(ctx context.Context) error {
	if !s.Leads() || !s.several.Load() {
		return nil
	}
	g := s.group.Load()
	return s.wait(ctx, g, g.LeadershipTransfer())
}

// Stand has this node stand for election at once, though there may be a leader still: it is for who knows that there is none. An error says that it does not.
func (s *Store) Stand() error {
	s.reopening.Lock() // the transport stays
	defer s.reopening.Unlock()
	select {
	case <-s.closing:
		return ErrClosed
	default:
	}
	var resp raft.TimeoutNowResponse
	return s.transport.TimeoutNow(s.self(), s.transport.LocalAddr(), &raft.TimeoutNowRequest{RPCHeader: rpcHeader(s.self())}, &resp)
}

// RemoveMember takes a node out of the group.
func (s *Store) RemoveMember(ctx context.Context, m raft.Server) error {
	g := s.group.Load()
	return s.wait(ctx, g, g.RemoveServer(m.ID, 0, memberTimeout))
}

// beSeveral reopens raft with the timeouts of a group of several, unless it has them. Changes in progress are tried again by their Apply.
func (s *Store) beSeveral(ctx context.Context) error {
	s.reopening.Lock()
	defer s.reopening.Unlock()
	if s.several.Load() {
		return nil
	}
	select {
	case <-s.closing:
		return ErrClosed
	default:
	}
	s.several.Store(true)
	down := s.group.Load().shutdown()
	if err := errors.Join(s.closeTransport(), down()); err != nil {
		s.opts.Logger.Warn("metadata: closing raft to reopen it", "err", err)
	}
	if err := s.startRaft(false); err != nil {
		s.opts.OnFatal(err)
		return err
	}
	return s.lead(ctx)
}
