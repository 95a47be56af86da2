package pgwire

import (
	"context"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// copyOut runs a COPY TO STDOUT up to its CopyDone.
func (c *conn) copyOut(ctx context.Context, portal Portal) error {
	source, err := portal.CopyOut(ctx)
	if err != nil {
		return err
	}
	c.out.copyResponse('H', source.Formats())
	wait := false
	for {
		batch, progress, err := c.nextCopyRows(ctx, source, wait)
		if err != nil {
			return err
		}
		n := 0
		if batch != nil {
			n = batch.Len()
		}
		for row := range n {
			if err := c.out.copyData(batch, row); err != nil {
				return err
			}
		}
		if progress == Done {
			c.out.empty('c')
			return nil
		}
		if wait = progress != More; wait {
			c.out.flush()
		}
		if c.out.err != nil {
			return errDisconnected
		}
	}
}

func (c *conn) nextCopyRows(ctx context.Context, source CopyOut, wait bool) (CopyBatch, Progress, error) {
	if wait {
		c.setWaiting(true)
		defer c.setWaiting(false)
	}
	return source.Next(ctx, wait)
}

// copyIn runs a COPY FROM STDIN: it takes the client's messages until CopyDone or CopyFail.
func (c *conn) copyIn(ctx context.Context, portal Portal) error {
	sink, err := portal.CopyIn(ctx)
	if err != nil {
		return err
	}
	c.out.copyResponse('G', sink.Formats())
	c.out.flush()
	for {
		c.release()
		m, err := c.next(ctx)
		if err != nil {
			sink.Abort(err)
			return err
		}
		done, err := c.copyMessage(ctx, sink, m)
		if err != nil {
			sink.Abort(err)
			return err
		}
		if done {
			return nil
		}
	}
}

// copyMessage takes one message of a COPY FROM STDIN. Flush and Sync are ignored (PostgreSQL docs, "COPY Operations"):
// a client may send a Sync behind its Execute before it knows that there is a COPY.
func (c *conn) copyMessage(ctx context.Context, sink CopyIn, m *message) (done bool, err error) {
	if m.tooLong > 0 {
		return false, sqlerr.New(sqlerr.ProgramLimitExceeded, "message of %d bytes is too large: the limit is %d bytes",
			m.tooLong, c.server.config.MaxMessageBytes)
	}
	switch m.typ {
	case 'd':
		return false, sink.Write(ctx, m.body)
	case 'c':
		return true, sink.Finish(ctx)
	case 'f':
		b := body{rest: m.body}
		reason := b.string()
		if err := b.end(); err != nil {
			return false, err
		}
		return false, sqlerr.New(sqlerr.QueryCanceled, "COPY from stdin failed: %s", reason)
	case 'H', 'S':
		return false, nil
	}
	return false, sqlerr.New(sqlerr.ProtocolViolation, "unexpected message type 0x%02X during COPY from stdin", m.typ)
}
