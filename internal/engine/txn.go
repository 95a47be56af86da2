package engine

import (
	"context"
	"strings"
	"time"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
)

// txn is a transaction: implicit for the statements up to one Sync, explicit between BEGIN and COMMIT. An idle one holds nothing back in the log;
// its writes wait in the session and are appended at COMMIT.
type txn struct {
	explicit bool
	failed   bool
	// lost: the block was on a node that is gone, and the client has not been told.
	lost bool
	// several: the implicit transaction has more than one statement, so a push query or DDL must not end it early.
	several   bool
	readOnly  bool
	isolation string
	before    *settings  // to go back to
	temp      tempState  // too
	micros    int64      // start, for now()
	stmtAt    int64      // start of the statement
	ddl       *stagedDDL // catalog changes of an explicit block
	writes    *writeBuffer
	saves     []savepoint
	frozen    *frozen // under REPEATABLE READ, from the first statement on
	news      news
}

// savepoint is a place to go back to.
type savepoint struct {
	name     string
	settings *settings
	temp     tempState
	writes   int // length of the buffer
	ddl      ddlMark
	news     newsMark
}

// begin returns the session's transaction, an implicit one if there is none.
func (s *session) begin() *txn {
	if s.tx == nil {
		now := s.e.clock.Now().UnixMicro()
		s.tx = &txn{
			before: s.set.clone(), temp: s.temp.mark(), micros: now, stmtAt: now,
			isolation: s.set.must("default_transaction_isolation"), readOnly: s.e.opts.Worker || s.set.on("default_transaction_read_only"),
		}
		if s.textCache != nil { // the settings are as they were, the time is new
			text := *s.textCache
			text.Now = time.UnixMicro(now)
			s.textCache = &text
		}
	}
	return s.tx
}

// stages tells whether catalog changes wait for the end of the transaction.
func (t *txn) stages() bool { return t.explicit || t.several }

// beginStatement opens an implicit transaction for a statement and checks that it may run.
func (s *session) beginStatement(st *statement) error {
	if err := s.checkFailed(st); err != nil {
		return err
	}
	s.begin().stmtAt = s.e.clock.Now().UnixMicro()
	if s.e.opts.Worker {
		return s.checkReads(st)
	}
	return nil
}

// checkWrite refuses writes in a read-only transaction.
func (s *session) checkWrite(what string) error {
	s.writes.Store(true)
	switch {
	case !s.begin().readOnly:
		return nil
	case s.e.opts.Worker:
		return s.onlyReads("cannot execute %s in a read-only transaction", what)
	}
	return sqlerr.New(sqlerr.ReadOnlySQLTransaction, "cannot execute %s in a read-only transaction", what)
}

// fail makes an explicit block failed: what it wrote since the last savepoint is forgotten at once. Without a savepoint nothing
// of the block can be kept any more, so its locks go too.
func (t *txn) fail() {
	t.failed = true
	if n := len(t.saves); n > 0 {
		t.writes.truncate(t.saves[n-1].writes)
		t.ddl.truncate(t.saves[n-1].ddl)
		t.news.truncate(t.saves[n-1].news)
		return
	}
	if t.writes != nil {
		t.writes.release()
		t.writes = nil
	}
	t.ddl, t.news = nil, news{}
}

// commit ends the transaction: its writes are appended as one log transaction and readable when it returns.
func (s *session) commit(ctx context.Context) error {
	t := s.tx
	if t.ddl.len() > 0 {
		if err := s.commitStaged(ctx, t.ddl); err != nil {
			s.rollback()
			return err
		}
	}
	ends, err := s.commitWrites(ctx, t)
	if err != nil {
		s.rollback()
		return err
	}
	s.endTxn()
	s.endTemp()
	for _, name := range s.set.endLocal() {
		s.changed(name)
	}
	if t.ddl != nil {
		for _, f := range t.ddl.after {
			if err := f(ctx); err != nil {
				return afterChange(err)
			}
		}
	}
	return s.endNews(ctx, &t.news, ends)
}

// commitWrites appends what the transaction has written, its notifications among it, and returns the ends it has reached.
func (s *session) commitWrites(ctx context.Context, t *txn) (positions, error) {
	if err := s.stageNotes(); err != nil {
		return nil, err
	}
	listens, err := s.beginListening(ctx)
	if err != nil || t.writes == nil {
		return nil, err
	}
	ends, err := s.flushWrites(ctx, t.writes)
	if err != nil {
		s.staysListening(listens)
	}
	return ends, err
}

// rollback undoes the transaction.
func (s *session) rollback() {
	t := s.tx
	if t.writes != nil {
		t.writes.release()
	}
	for name, p := range s.portals {
		if p.tx == t {
			s.ClosePortal(name) // a cursor WITH HOLD goes with the block that declared it
		}
	}
	s.endTxn()
	s.restoreTemp(t.temp)
	s.restore(t.before)
}

func (s *session) endTxn() {
	t := s.tx
	s.tx = nil
	s.writes.Store(false)
	s.closePortals(false)
	s.thaw(t) // after the portals, which read from it
}

// restore brings settings back and tells the client about those it follows.
func (s *session) restore(before *settings) {
	now := s.set
	s.set, s.textCache = before, nil
	for key, d := range settingDefs {
		a, _ := now.get(key)
		if b, _ := before.get(key); a != b {
			s.client.ParameterChanged(d.name, b)
		}
	}
	s.roleChanged()
}

// transaction runs BEGIN, COMMIT, ROLLBACK and savepoints.
func (s *session) transaction(ctx context.Context, t *sql.Transaction) (string, error) {
	switch t.Kind {
	case sql.Begin:
		return s.beginBlock(t)
	case sql.Commit:
		return s.endBlock(ctx, t, true)
	case sql.Rollback:
		return s.endBlock(ctx, t, false)
	case sql.Savepoint, sql.ReleaseSavepoint, sql.RollbackTo:
		return s.savepoint(t)
	default:
		return "", sqlerr.New(sqlerr.FeatureNotSupported, "prepared transactions are not supported")
	}
}

func (s *session) beginBlock(t *sql.Transaction) (string, error) {
	tx := s.begin()
	if tx.explicit {
		s.warn(sqlerr.ActiveSQLTransaction, "there is already a transaction in progress")
		return "BEGIN", nil
	}
	tx.explicit = true
	return "BEGIN", s.setModes(t.Modes)
}

// setModes gives the transaction its isolation and access mode.
func (s *session) setModes(m sql.TransactionModes) error {
	if m.Isolation != "" {
		s.tx.isolation = strings.ToLower(m.Isolation)
		if _, err := s.set.set("transaction_isolation", s.tx.isolation, false); err != nil {
			return err
		}
		if s.tx.isolation == "serializable" {
			s.warn(sqlerr.Warning, "SERIALIZABLE gives the snapshot of REPEATABLE READ")
		}
	}
	if m.ReadOnly == sql.No && s.e.opts.Worker {
		return s.onlyReads("cannot set transaction read-write mode")
	}
	if m.ReadOnly != sql.Unset {
		s.tx.readOnly = m.ReadOnly == sql.Yes
		v := "off"
		if s.tx.readOnly {
			v = "on"
		}
		_, err := s.set.set("transaction_read_only", v, false)
		return err
	}
	return nil
}

func (s *session) endBlock(ctx context.Context, t *sql.Transaction, commit bool) (string, error) {
	explicit := s.tx != nil && s.tx.explicit
	if !explicit {
		s.warn(sqlerr.NoActiveSQLTransaction, "there is no transaction in progress")
	}
	tag := "ROLLBACK"
	switch {
	case s.tx == nil:
		if commit {
			tag = "COMMIT"
		}
	case commit && !s.tx.failed:
		if err := s.commit(ctx); err != nil {
			return "", err
		}
		tag = "COMMIT"
	default:
		s.rollback()
	}
	if t.Chain && explicit {
		s.begin().explicit = true
	}
	return tag, nil
}

func (s *session) savepoint(t *sql.Transaction) (string, error) {
	if s.tx == nil || !s.tx.explicit {
		return "", sqlerr.New(sqlerr.NoActiveSQLTransaction, "SAVEPOINT can only be used in transaction blocks")
	}
	if t.Kind == sql.Savepoint {
		s.tx.saves = append(s.tx.saves, savepoint{name: t.Name, settings: s.set.clone(), temp: s.temp.mark(), writes: s.tx.writes.len(), ddl: s.tx.ddl.mark(), news: s.tx.news.mark()})
		return "SAVEPOINT", nil
	}
	for i := len(s.tx.saves) - 1; i >= 0; i-- {
		sp := s.tx.saves[i]
		if sp.name != t.Name {
			continue
		}
		if t.Kind == sql.ReleaseSavepoint {
			s.tx.saves = s.tx.saves[:i]
			return "RELEASE", nil
		}
		return "ROLLBACK", s.rollbackTo(i, sp)
	}
	return "", sqlerr.New(sqlerr.InvalidSavepoint, "savepoint %q does not exist", t.Name)
}

func (s *session) rollbackTo(i int, sp savepoint) error {
	s.tx.failed = false
	s.tx.writes.truncate(sp.writes)
	s.tx.ddl.truncate(sp.ddl)
	s.tx.news.truncate(sp.news)
	s.restoreTemp(sp.temp)
	s.tx.saves = s.tx.saves[:i+1]
	s.restore(sp.settings.clone())
	return nil
}

func (s *session) warn(code sqlerr.Code, format string, args ...any) {
	e := sqlerr.New(code, format, args...)
	e.Severity = "WARNING"
	s.client.Notice(e)
}
