package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// headerColumn binds a column that shows headers of the record: HEADERS all of them, HEADER('k') the value of the last one with that key, as in
// ksqlDB. They are read only.
func (d *definer) headerColumn(c *sql.ColumnDef) (*Column, error) {
	col := &Column{Name: c.Name, Headers: true, Type: HeadersType}
	word, want := "HEADERS", "ARRAY<STRUCT<key TEXT, value BYTEA>>"
	if c.HeaderKey != nil {
		word, want = "HEADER('...')", "BYTEA"
		if col.HeaderKey, col.Type = *c.HeaderKey, types.Of(types.Bytea); col.HeaderKey == "" {
			return nil, sqlerr.New(sqlerr.InvalidTableDefinition, "column %q names no header", c.Name).WithHint("Write HEADER('key').").At(c.Offset())
		}
	}
	if d.rel.Ordinary || d.stmt.Temporary {
		return nil, sqlerr.New(sqlerr.InvalidTableDefinition, "column %q of an ordinary table cannot be a %s column", c.Name, word).
			WithDetail("Its rows are written with SQL, which gives records no headers.").WithHint("Declare it in a STREAM, or in a table WITH (topic = ...).").At(c.Offset())
	}
	if c.Key || c.PrimaryKey || c.NotNull || c.Unique || c.Default != nil || len(c.Checks) > 0 || c.Identity != nil {
		return nil, sqlerr.New(sqlerr.InvalidTableDefinition, "a %s column takes no KEY, DEFAULT or constraint", word).At(c.Offset())
	}
	t, err := d.st.resolveType(c.Type)
	if err != nil {
		return nil, err
	}
	if !t.Equal(col.Type) {
		return nil, sqlerr.New(sqlerr.InvalidTableDefinition, "a %s column is of type %s, not %s", word, want, t).At(c.Offset())
	}
	return col, nil
}

// passHeaders has the headers of records go on with their rows, from the scans below n on. What makes one row of several (aggregates, joins of streams or of tables) ends that: its rows have no headers. A
// stream joined with a table drives, so its headers go on.
func passHeaders(n Node) {
	switch n := n.(type) {
	case *Scan:
		n.PassHeaders = true
	case *Filter, *Project, *Expand, *Exchange, *SetOp, *Expire:
		for _, in := range n.Inputs() {
			if in != nil {
				passHeaders(in)
			}
		}
	case *Join:
		if n.Strategy == StreamTable {
			passHeaders(n.L)
		}
	}
}
