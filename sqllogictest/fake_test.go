package sqllogictest

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"
)

// answer is what the scripted server gives for one text of SQL.
type answer struct {
	names   []string
	oids    []uint32
	rows    [][]string // "\x00" is NULL
	tag     string
	code    string   // an error instead
	first   string   // an error the first time
	tx      byte     // the state after it; 0 is idle
	copyIn  string   // ask for data, which must be this
	copyOut []string // messages of data
	hang    bool     // after the rows, wait for a cancel and answer 57014
}

// server answers SQL from a table, over the wire. It keeps what it was asked.
type server struct {
	t       *testing.T
	l       net.Listener
	answers map[string]answer
	wg      sync.WaitGroup
	cancel  chan struct{}
	done    chan struct{} // closed at the end
	mu      struct {
		sync.Mutex
		asked []string
		conns []net.Conn
	}
}

// kill hangs up on everybody and answers nobody.
func (s *server) kill() {
	s.l.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.mu.conns {
		c.Close()
	}
}

func newServer(t *testing.T, answers map[string]answer) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &server{t: t, l: l, answers: answers, cancel: make(chan struct{}, 1), done: make(chan struct{})}
	s.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.mu.conns = append(s.mu.conns, conn)
			s.mu.Unlock()
			s.wg.Go(func() {
				defer conn.Close()
				s.serve(pgproto3.NewBackend(conn, conn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		close(s.done)
		s.wg.Wait()
	})
	return s
}

func (s *server) connString() string {
	return "postgres://fake@" + s.l.Addr().String() + "/fake?sslmode=disable"
}

func (s *server) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.asked
}

func (s *server) serve(b *pgproto3.Backend) {
	start, err := b.ReceiveStartupMessage()
	if err != nil {
		return
	}
	if _, ok := start.(*pgproto3.CancelRequest); ok {
		select {
		case s.cancel <- struct{}{}:
		default:
		}
		return
	}
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	tx := byte('I')
	b.Send(&pgproto3.ReadyForQuery{TxStatus: tx})
	for b.Flush() == nil {
		msg, err := b.Receive()
		if err != nil {
			return
		}
		q, ok := msg.(*pgproto3.Query)
		if !ok {
			return
		}
		if q.String == "-- ping" {
			b.Send(&pgproto3.EmptyQueryResponse{})
			b.Send(&pgproto3.ReadyForQuery{TxStatus: tx})
			continue
		}
		s.mu.Lock()
		again := slices.Contains(s.mu.asked, q.String)
		s.mu.asked = append(s.mu.asked, q.String)
		s.mu.Unlock()
		tx = s.give(b, q.String, again)
	}
}

// give answers sql and returns the state after it.
func (s *server) give(b *pgproto3.Backend, sql string, again bool) (tx byte) {
	a, ok := s.answers[sql]
	if a.first != "" && !again {
		a = answer{code: a.first}
	}
	switch {
	case !ok:
		a = answer{tag: "SET"}
	case a.copyIn != "":
		b.Send(&pgproto3.CopyInResponse{})
		_ = b.Flush()
		var data []byte
		for msg, err := b.Receive(); err == nil; msg, err = b.Receive() {
			d, ok := msg.(*pgproto3.CopyData)
			if !ok {
				break
			}
			data = append(data, d.Data...)
		}
		if string(data) != a.copyIn {
			a.code = "XX000"
		}
	case a.copyOut != nil:
		b.Send(&pgproto3.CopyOutResponse{})
		for _, d := range a.copyOut {
			b.Send(&pgproto3.CopyData{Data: []byte(d)})
		}
		b.Send(&pgproto3.CopyDone{})
	case a.oids != nil:
		fields := make([]pgproto3.FieldDescription, len(a.oids))
		for i, oid := range a.oids {
			fields[i] = pgproto3.FieldDescription{DataTypeOID: oid, TypeModifier: -1}
			if a.names != nil {
				fields[i].Name = []byte(a.names[i])
			}
		}
		b.Send(&pgproto3.RowDescription{Fields: fields})
		for _, row := range a.rows {
			values := make([][]byte, len(row))
			for i, v := range row {
				if v != "\x00" {
					values[i] = []byte(v)
				}
			}
			b.Send(&pgproto3.DataRow{Values: values})
		}
	}
	if a.hang {
		_ = b.Flush()
		select {
		case <-s.cancel:
		case <-s.done:
		}
		a.code = queryCancelled
	}
	if a.code != "" {
		b.Send(&pgproto3.ErrorResponse{Severity: "ERROR", Code: a.code, Message: "message of " + a.code})
	} else {
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte(a.tag)})
	}
	if a.tx == 0 {
		a.tx = 'I'
	}
	b.Send(&pgproto3.ReadyForQuery{TxStatus: a.tx})
	return a.tx
}

const (
	int4 = pgtype.Int4OID
	text = pgtype.TextOID
)

// fresh is an Options.Fresh over the server; each restart is counted.
func (s *server) fresh(restarts *int) func(context.Context) (Target, error) {
	return func(context.Context) (Target, error) {
		return Target{ConnString: s.connString(), Restart: func(context.Context) (string, error) {
			*restarts++
			return s.connString(), nil
		}}, nil
	}
}
