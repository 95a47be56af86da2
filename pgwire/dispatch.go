package pgwire

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/millracedb/millrace/internal/sqlerr"
)

func tlsState(nc net.Conn) *tls.ConnectionState {
	tc, ok := nc.(*tls.Conn)
	if !ok {
		return nil
	}
	state := tc.ConnectionState()
	return &state
}

// dispatch runs one message. An error is answered by fail.
func (c *conn) dispatch(ctx context.Context, m *message) error {
	if c.skipping && m.typ != 'S' {
		return nil
	}
	switch m.typ {
	case 'd', 'c', 'f':
		// Outside of a COPY: what was under way when the server ended the COPY with an error.
		return nil
	}
	if m.tooLong > 0 {
		return sqlerr.New(sqlerr.ProgramLimitExceeded, "message of %d bytes is too large: the limit is %d bytes",
			m.tooLong, c.server.config.MaxMessageBytes)
	}
	switch m.typ {
	case 'Q':
		return c.simpleQuery(ctx, m.body)
	case 'P':
		return c.parse(ctx, m.body)
	case 'B':
		return c.bindPortal(ctx, m.body)
	case 'D':
		return c.describe(ctx, m.body)
	case 'E':
		return c.executePortal(ctx, m.body)
	case 'C':
		return c.closeObject(m.body)
	case 'H':
		c.out.flush()
		return nil
	case 'S':
		return c.sync(ctx)
	case 'F':
		return sqlerr.New(sqlerr.FeatureNotSupported, "the function call message is not supported").
			WithHint("Use SELECT function(...) instead.")
	}
	return nil
}

// simpleQuery runs the statements of a Query message in one implicit transaction, which ends before the last
// CommandComplete, so that the client is not told of a success that the commit then takes back.
func (c *conn) simpleQuery(ctx context.Context, p []byte) error {
	b := body{rest: p}
	text := b.string()
	if err := b.end(); err != nil {
		return err
	}
	c.errorText = text
	if err := checkUTF8(text); err != nil {
		return err
	}
	queries, err := c.session.Parse(ctx, text)
	if err != nil {
		return err
	}
	for i, q := range queries {
		if err := c.runQuery(ctx, q, i == len(queries)-1); err != nil {
			return err
		}
	}
	if len(queries) == 0 {
		if err := c.session.Sync(ctx); err != nil {
			return err
		}
		c.out.empty('I')
	}
	c.readyForQuery()
	return nil
}

// runQuery runs one statement of a simple Query.
func (c *conn) runQuery(ctx context.Context, q Query, last bool) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	portal, err := c.session.Run(ctx, q)
	if err != nil {
		return err
	}
	if portal.Kind() == PortalRows {
		c.out.rowDescription(portal.Columns(), portal.ResultFormats())
	}
	if _, err := c.runPortal(ctx, portal, 0); err != nil {
		return err
	}
	c.session.ClosePortal("")
	if last {
		if err := c.session.Sync(ctx); err != nil {
			return err
		}
	}
	c.commandComplete(portal.Kind())
	return nil
}

// parse handles Parse.
func (c *conn) parse(ctx context.Context, p []byte) error {
	m, err := decodeParse(p)
	if err != nil {
		return err
	}
	c.errorText = m.text
	if err := checkUTF8(m.text); err != nil {
		return err
	}
	if _, err := c.session.Prepare(ctx, m.name, m.text, m.paramTypes); err != nil {
		return err
	}
	c.out.empty('1')
	return nil
}

// bindPortal handles Bind.
func (c *conn) bindPortal(ctx context.Context, p []byte) error {
	name, err := decodeBind(p, &c.bind)
	if err != nil {
		return err
	}
	st, err := c.session.Statement(ctx, name)
	if err != nil {
		return err
	}
	c.errorText = st.Text()
	if want := len(st.ParamTypes()); len(c.bind.Params) != want {
		return sqlerr.New(sqlerr.ProtocolViolation, "bind message supplies %d parameters, but prepared statement %q requires %d",
			len(c.bind.Params), name, want)
	}
	if n, columns := len(c.bind.ResultFormats), st.Columns(); n > 1 && columns != nil && n != len(columns) {
		return sqlerr.New(sqlerr.ProtocolViolation, "bind message has %d result formats but query has %d columns", n, len(columns))
	}
	if _, err := c.session.Bind(ctx, st, &c.bind); err != nil {
		return err
	}
	c.out.empty('2')
	return nil
}

// describe handles Describe of a statement or portal. Nothing runs.
func (c *conn) describe(ctx context.Context, p []byte) error {
	kind, name, err := decodeTarget("DESCRIBE", p)
	if err != nil {
		return err
	}
	if kind == 'S' {
		return c.describeStatement(ctx, name)
	}
	portal, err := c.session.Portal(name)
	if err != nil {
		return err
	}
	if portal.Kind() == PortalRows {
		c.out.rowDescription(portal.Columns(), portal.ResultFormats())
	} else {
		c.out.empty('n')
	}
	return nil
}

func (c *conn) describeStatement(ctx context.Context, name string) error {
	st, err := c.session.Statement(ctx, name)
	if err != nil {
		return err
	}
	types := st.ParamTypes()
	c.out.begin('t')
	c.out.int16(len(types))
	for _, oid := range types {
		c.out.int32(int(oid))
	}
	c.out.finish()
	if columns := st.Columns(); columns != nil {
		c.out.rowDescription(columns, nil)
	} else {
		c.out.empty('n')
	}
	return nil
}

// closeObject handles Close.
func (c *conn) closeObject(p []byte) error {
	kind, name, err := decodeTarget("CLOSE", p)
	if err != nil {
		return err
	}
	if kind == 'S' {
		c.session.CloseStatement(name)
	} else {
		c.session.ClosePortal(name)
	}
	c.out.empty('3')
	return nil
}

// decodeTarget reads the body of command, Describe or Close: 'S' or 'P', and a name.
func decodeTarget(command string, p []byte) (kind byte, name string, err error) {
	b := body{rest: p}
	kind, name = b.byte(), b.string()
	if err := b.end(); err != nil {
		return 0, "", err
	}
	if kind != 'S' && kind != 'P' {
		return 0, "", sqlerr.New(sqlerr.ProtocolViolation, "invalid %s message subtype %d", command, kind)
	}
	return kind, name, nil
}

// executePortal handles Execute.
func (c *conn) executePortal(ctx context.Context, p []byte) error {
	b := body{rest: p}
	name, limit := b.string(), b.int32()
	if err := b.end(); err != nil {
		return err
	}
	portal, err := c.session.Portal(name)
	if err != nil {
		return err
	}
	c.errorText = portal.Text()
	kind := portal.Kind()
	suspended, err := c.runPortal(ctx, portal, max(0, int(limit)))
	if err != nil {
		return err
	}
	if suspended {
		c.out.empty('s')
		return nil
	}
	// With the Sync at hand the commit goes first, and its failure takes the place of CommandComplete.
	if c.in.following() == 'S' {
		if err := c.session.Sync(ctx); err != nil {
			return err
		}
	}
	c.commandComplete(kind)
	return nil
}

// sync handles Sync: the end of the implicit transaction, and of skipping.
func (c *conn) sync(ctx context.Context) error {
	c.skipping = false
	if err := c.session.Sync(ctx); err != nil {
		return err
	}
	c.readyForQuery()
	return nil
}

// commandComplete ends a statement with the tag that runPortal kept.
func (c *conn) commandComplete(kind PortalKind) {
	if kind == PortalEmpty {
		c.out.empty('I')
		return
	}
	c.out.begin('C')
	c.out.buf = append(c.out.buf, c.tag...)
	c.out.byte(0)
	c.out.finish()
}
