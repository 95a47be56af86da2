package engine

import (
	"context"
	"slices"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// Limits of PostgreSQL's NOTIFY (docs, NOTIFY): a channel is an identifier, a payload is shorter than 8000 bytes.
const (
	maxChannelBytes = 63
	maxPayloadBytes = 7999
)

// note is a notification that waits for its transaction's COMMIT.
type note struct{ channel, payload string }

// listening is a LISTEN or UNLISTEN that waits for its transaction's COMMIT.
type listening struct {
	channel string // "" for all, of UNLISTEN
	on      bool
}

// news is what a transaction has to do with notifications.
type news struct {
	notes  []note
	bytes  int64 // of notes
	wishes []listening
}

// newsMark is a place to go back to.
type newsMark struct{ notes, wishes int }

func (n *news) mark() newsMark { return newsMark{len(n.notes), len(n.wishes)} }

func (n *news) truncate(to newsMark) {
	n.notes, n.wishes = n.notes[:to.notes], n.wishes[:to.wishes]
}

// listen runs LISTEN and UNLISTEN, which take effect at COMMIT.
func (s *session) listen(q sql.Statement) (string, error) {
	switch q := q.(type) {
	case *sql.Listen:
		if err := checkChannel(q.Channel); err != nil {
			return "", err
		}
		s.tx.news.wishes = append(s.tx.news.wishes, listening{q.Channel, true})
		return "LISTEN", nil
	case *sql.Unlisten:
		s.tx.news.wishes = append(s.tx.news.wishes, listening{q.Channel, false})
	}
	return "UNLISTEN", nil
}

// notify puts a notification into the transaction: NOTIFY and pg_notify.
func (s *session) notify(channel, payload string) error {
	s.writes.Store(true)
	if err := checkChannel(channel); err != nil {
		return err
	}
	if len(payload) > maxPayloadBytes {
		return sqlerr.New(sqlerr.InvalidParameterValue, "payload string too long").WithDetail("It has %d bytes; at most %d are sent.", len(payload), maxPayloadBytes)
	}
	if s.e.opts.Worker {
		return s.onlyReads("cannot execute NOTIFY in a read-only transaction")
	}
	n := &s.begin().news
	n.bytes += int64(len(channel) + len(payload))
	if limit, err := parseBytes(s.set.must("transaction_buffer")); err == nil && n.bytes > limit {
		return sqlerr.New(sqlerr.InsufficientResources, "the notifications of this transaction are larger than transaction_buffer (%s)", s.set.must("transaction_buffer")).
			WithHint("COMMIT more often, or SET transaction_buffer to more.")
	}
	n.notes = append(n.notes, note{channel, payload})
	return nil
}

func checkChannel(channel string) error {
	switch {
	case channel == "":
		return sqlerr.New(sqlerr.InvalidParameterValue, "channel name cannot be empty")
	case len(channel) > maxChannelBytes:
		return sqlerr.New(sqlerr.InvalidParameterValue, "channel name too long").WithDetail("It has %d bytes; at most %d are allowed.", len(channel), maxChannelBytes)
	}
	return nil
}

// stageNotes writes the transaction's notifications to millrace.notify, each that is the same as one before only once (PostgreSQL docs, NOTIFY).
func (s *session) stageNotes() error {
	notes := s.tx.news.notes
	if len(notes) == 0 {
		return nil
	}
	rel := s.e.system.notify
	rows := exec.NewRowBatch(rel, len(notes))
	now := s.e.clock.Now().UnixMilli()
	seen := make(map[note]bool, len(notes))
	for _, n := range notes {
		if seen[n] {
			continue
		}
		seen[n] = true
		appendDatums(rows, []types.Datum{types.BytesDatum(n.channel), types.BytesDatum(n.payload), types.IntDatum(int64(s.info.PID))})
		rows.Rowtime[rows.Len()-1] = now
	}
	return s.writeTx().Append(rel, rows)
}

// beginListening does what LISTEN asked for, before COMMIT, so that the session hears its own transaction. The channels that it returns are to be
// given up if the COMMIT fails.
func (s *session) beginListening(ctx context.Context) ([]string, error) {
	var added []string
	s.ported.hears = s.ported.hears || len(s.tx.news.wishes) > 0
	for _, w := range s.tx.news.wishes {
		if !w.on || s.e.hub.listens(s, w.channel) {
			continue
		}
		if err := s.e.hub.listen(ctx, s, w.channel); err != nil {
			s.stopListening(added)
			return nil, err
		}
		added = append(added, w.channel)
	}
	s.e.hub.leave(s, s.tx.news.leaves(s.e.hub.channels(s)), true)
	return added, nil
}

// leaves are those of the channels that the session does not hear any more after the transaction.
func (n *news) leaves(channels []string) []string {
	return slices.DeleteFunc(channels, func(c string) bool {
		for _, w := range slices.Backward(n.wishes) {
			if w.channel == c || w.channel == "" {
				return w.on
			}
		}
		return true
	})
}

// staysListening takes back what beginListening did for a COMMIT that has failed.
func (s *session) staysListening(added []string) {
	s.stopListening(added)
	s.e.hub.leave(s, s.e.hub.channels(s), false)
}

func (s *session) stopListening(channels []string) {
	for _, c := range channels {
		s.e.hub.unlisten(s, c)
	}
}

// endNews does what UNLISTEN asked for, after COMMIT, and waits until the session has its own notifications, so that they come with the
// answer.
func (s *session) endNews(ctx context.Context, n *news, ends positions) error {
	s.stopListening(n.leaves(s.e.hub.channels(s)))
	for _, x := range n.notes {
		if s.e.hub.listens(s, x.channel) {
			return s.e.hub.wait(ctx, ends[tpOf(s.e.opts.NotifyTopic, 0)])
		}
	}
	return nil
}
