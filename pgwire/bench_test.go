package pgwire

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

func encodeAll(b *testing.B, messages ...pgproto3.FrontendMessage) (out []byte) {
	for _, m := range messages {
		var err error
		out, err = m.Encode(out)
		require.NoError(b, err)
	}
	return out
}

// BenchmarkPreparedLookup is one round trip of Bind, Execute, Sync for one row.
func BenchmarkPreparedLookup(b *testing.B) {
	_, addr := serveFake(b)
	c := connectRaw(b, addr)
	c.sendAll(&pgproto3.Parse{Name: "s", Query: "select $1::int4"}, &pgproto3.Sync{})
	c.until("ReadyForQuery")
	request := encodeAll(b, &pgproto3.Bind{PreparedStatement: "s", Parameters: [][]byte{[]byte("7")}}, &pgproto3.Execute{}, &pgproto3.Sync{})
	answer := make([]byte, 512)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.nc.Write(request); err != nil {
			b.Fatal(err)
		}
		for done := false; !done; {
			n, err := c.nc.Read(answer)
			if err != nil {
				b.Fatal(err)
			}
			done = n >= 6 && answer[n-6] == 'Z'
		}
	}
}

// BenchmarkDataRows writes rows of two columns without a network.
func BenchmarkDataRows(b *testing.B) {
	w := newWriter(io.Discard, flushBytes)
	batch := fakeRows(strings.Split(strings.Repeat("12345,", 1023)+"1", ","))
	formats := []Format{TextFormat, TextFormat}
	b.ReportAllocs()
	rows := 0
	for b.Loop() {
		if err := w.dataRow(batch, rows%len(batch), formats); err != nil {
			b.Fatal(err)
		}
		rows++
	}
}

// BenchmarkCopyIn sends CopyData messages of 64 KiB over loopback to a sink that counts bytes.
func BenchmarkCopyIn(b *testing.B) {
	config := testConfig(copySink{newFakeBackend()})
	_, addr := serve(b, config)
	c := connectRaw(b, addr)
	c.sendAll(&pgproto3.Query{String: "copy t from stdin"})
	c.until("CopyInResponse")
	chunk := encodeAll(b, &pgproto3.CopyData{Data: bytes.Repeat([]byte("x"), 64<<10)})
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		if _, err := c.nc.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
	c.sendAll(&pgproto3.CopyDone{})
	c.until("ReadyForQuery")
}

// copySink is a backend whose COPY drops its input.
type copySink struct{ *fakeBackend }

func (s copySink) NewSession(ctx context.Context, info *SessionInfo, client Client) (Session, error) {
	session, err := s.fakeBackend.NewSession(ctx, info, client)
	return copySinkSession{session}, err
}

type copySinkSession struct{ Session }

func (s copySinkSession) Run(ctx context.Context, q Query) (Portal, error) {
	p, err := s.Session.Run(ctx, q)
	return copySinkPortal{p}, err
}

type copySinkPortal struct{ Portal }

func (p copySinkPortal) CopyIn(context.Context) (CopyIn, error) { return discard{}, nil }

type discard struct{}

func (discard) Formats() []Format                   { return []Format{TextFormat} }
func (discard) Write(context.Context, []byte) error { return nil }
func (discard) Finish(context.Context) error        { return nil }
func (discard) Abort(error)                         {}
