package pgwire

import "context"

// runPortal runs a portal to its end, or until it has given limit rows (0 for no limit), sends what it returns and keeps
// its command tag in c.tag. It returns true when the portal was suspended, by the limit or by itself.
func (c *conn) runPortal(ctx context.Context, portal Portal, limit int) (suspended bool, err error) {
	var rows int64
	switch portal.Kind() {
	case PortalEmpty:
		return false, nil
	case PortalCopyIn:
		err = c.copyIn(ctx, portal)
	case PortalCopyOut:
		err = c.copyOut(ctx, portal)
	case PortalCommand:
		rows, _, err = c.sendRows(ctx, portal, 0)
	case PortalRows:
		rows, suspended, err = c.sendRows(ctx, portal, limit)
	}
	if err == nil {
		c.tag = portal.CommandTag(c.tag[:0], rows)
	}
	return suspended, err
}

// sendRows pulls rows until the portal is done or suspended. A portal that has none ready is waited for only after what
// the client has not got yet was flushed.
func (c *conn) sendRows(ctx context.Context, portal Portal, limit int) (rows int64, suspended bool, err error) {
	formats := c.columnFormats(portal)
	wait := false
	for {
		left := 0
		if limit > 0 {
			left = limit - int(rows)
		}
		batch, progress, err := c.nextRows(ctx, portal, left, wait)
		if err != nil {
			return rows, false, err
		}
		n := 0
		if batch != nil {
			n = batch.Len()
		}
		for row := range n {
			if err := c.out.dataRow(batch, row, formats); err != nil {
				return rows, false, err
			}
		}
		rows += int64(n)
		switch {
		case limit > 0 && int(rows) >= limit, limit > 0 && rows > 0 && progress == Suspended:
			return rows, true, nil
		case progress == Done:
			return rows, false, nil
		}
		if wait = progress != More; wait {
			c.out.flush()
		}
		if c.out.err != nil {
			return rows, false, errDisconnected
		}
	}
}

func (c *conn) nextRows(ctx context.Context, portal Portal, limit int, wait bool) (RowBatch, Progress, error) {
	if wait {
		c.setWaiting(true)
		defer c.setWaiting(false)
	}
	return portal.Next(ctx, limit, wait)
}

// columnFormats returns the format of each column of a portal, in a slice that is reused.
func (c *conn) columnFormats(portal Portal) []Format {
	given := portal.ResultFormats()
	c.formats = c.formats[:0]
	for i := range portal.Columns() {
		c.formats = append(c.formats, formatOf(given, i))
	}
	return c.formats
}
