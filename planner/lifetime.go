package planner

import (
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
)

// setLifetimes takes over ttl and history, which only tables have.
func setLifetimes(rel *Relation, opts *Options) error {
	rel.TTLMs, rel.HistoryMs = opts.TTLMs, opts.HistoryMs
	if rel.Kind != Stream {
		return nil
	}
	if o := opts.given["ttl"]; o != nil {
		return sqlerr.New(sqlerr.InvalidTableDefinition, "stream %q takes no ttl", rel.Name).
			WithDetail("Reason: the rows of a stream are facts, none of which is deleted; ttl deletes rows of tables.").
			WithHint("retention_ms says how long the topic keeps its records.").At(o.Offset())
	}
	if o := opts.given["history"]; o != nil {
		return sqlerr.New(sqlerr.InvalidTableDefinition, "stream %q takes no history", rel.Name).
			WithDetail("Reason: history keeps the earlier versions of a table's rows; a stream has all of its rows.").
			WithHint("CREATE TABLE ... WITH (history = ...) over the topic, or AS SELECT from the stream.").At(o.Offset())
	}
	return nil
}

// lifetimes is setLifetimes of a definition. Rows are deleted by who alone writes them.
func (d *definer) lifetimes() error {
	if o := d.opts.given["ttl"]; o != nil && d.rel.Kind == Table && !d.rel.Ordinary {
		return foreignTTL(d.rel).At(o.Offset())
	}
	return setLifetimes(d.rel, d.opts)
}

func foreignTTL(rel *Relation) *sqlerr.Error {
	return sqlerr.New(sqlerr.FeatureNotSupported, "table %q, which is over a topic, takes no ttl", rel.Name).
		WithDetail("Reason: others write the topic, and could write a row anew while it is deleted.").
		WithHint("What works: ttl on a table without topic, or CREATE TABLE ... WITH (ttl = ...) AS SELECT ... FROM %s.", relationName(rel))
}

// LifetimeAction returns what an action of ALTER ... SET or RESET says of ttl, as an action of its own; nil if nothing.
func LifetimeAction(a *sql.AlterAction) *sql.AlterAction {
	own := *a
	own.Options = nil
	for _, o := range a.Options {
		if strings.EqualFold(o.Name, "ttl") {
			own.Options = append(own.Options, o)
		}
	}
	if own.Options == nil {
		return nil
	}
	return &own
}

// setTTL applies a LifetimeAction.
func (x *alterer) setTTL() error {
	o := x.a.Options[0]
	if x.a.Op == sql.ResetOptions {
		x.rel.TTLMs = 0
		return nil
	}
	opts, err := x.st.readOptions(x.a.Options, false)
	if err != nil {
		return err
	}
	if x.rel.Kind == Table && !x.rel.Ordinary {
		return foreignTTL(x.rel).At(o.Offset())
	}
	opts.HistoryMs = x.rel.HistoryMs
	return setLifetimes(x.rel, opts)
}
