package pgcatalog

import (
	"slices"

	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/sql/types"
)

// fillMillRelations fills millrace.relations: the streams, tables and views that users made, and millrace.errors.
func (c *catalog) fillMillRelations(t *table) {
	queries := map[uint32]string{}
	for _, q := range c.w.Queries() {
		queries[q.OID] = q.ID
	}
	for _, r := range c.w.Relations() {
		cells := row{
			"schema": text(r.Schema), "name": text(r.Name), "kind": text(kindWord(r)), "query": optional(queries[r.Query]),
			"owner": text(r.Owner), "comment": optional(r.Comment),
		}
		if r.Kind != planner.View {
			cells["topic"], cells["partitions"] = text(r.Topic), num(int64(r.Partitions))
			cells["key_format"], cells["value_format"] = text(r.KeyFormat), text(r.ValueFormat)
		}
		if r.TTLMs > 0 {
			cells["ttl"] = text(planner.FormatMillis(r.TTLMs))
		}
		if r.HistoryMs > 0 {
			cells["history"] = text(planner.FormatMillis(r.HistoryMs))
		}
		if r.TimestampColumn >= 0 {
			cells["rowtime"] = text(r.Columns[r.TimestampColumn].Name)
		}
		if r.IdleTimeout > 0 {
			cells["idle_timeout"] = text(planner.FormatMillis(r.IdleTimeout.Milliseconds()))
		}
		if r.MaxFuture > 0 {
			cells["max_future"] = text(planner.FormatMillis(r.MaxFuture.Milliseconds()))
		}
		if n, ok := c.w.ErrorRows(r); ok {
			cells["error_rows"] = num(n)
		}
		t.add(cells)
	}
}

func kindWord(r *planner.Relation) string {
	switch r.Kind {
	case planner.Stream:
		return "stream"
	case planner.View:
		return "view"
	default:
		return "table"
	}
}

// fillMillColumns fills millrace.columns, which tells more than pg_attribute: maps and structs by their own names, the keys of streams, hidden columns.
func (c *catalog) fillMillColumns(t *table) {
	t.rows = append(t.rows, builtinColumns()...)
	for _, r := range c.userRelations() {
		r.addColumns(t)
	}
}

var builtinColumns = constant(schemaMillrace, "columns", func(t *table) {
	for _, v := range shapes.all {
		relation{v.rel, v.relkind[0]}.addColumns(t)
	}
})

func (r relation) addColumns(t *table) {
	for i, col := range r.Columns {
		if col.Dropped {
			continue
		}
		t.add(row{
			"relation_oid": oid(r.OID), "schema": text(r.Schema), "relation": text(r.Name), "name": text(col.Name), "position": num(int64(i + 1)),
			"type": text(col.Type.String()), "key": flag(slices.Contains(r.Key, i)), "not_null": flag(r.notNull(i)), "hidden": flag(col.Hidden),
			"default_value": optional(col.DefaultText), "window_bound": optional(r.WindowBound(i)),
		})
	}
}

func (c *catalog) fillMillQueries(t *table) {
	for _, q := range c.w.Queries() {
		t.add(row{
			"id": text(q.ID), "sink": text(q.Sink), "state": text(q.State), "sqlstate": optional(q.SQLState), "error": optional(q.Error),
			"rows_in": num(q.RowsIn), "rows_out": num(q.RowsOut), "late_rows": num(q.LateRows), "error_rows": num(q.ErrorRows), "lag": num(q.Lag),
			"statement": text(q.Statement), "nodes": text(q.Nodes),
		})
	}
}

func (c *catalog) fillMillTasks(t *table) {
	for _, k := range c.w.Tasks() {
		t.add(row{
			"query": text(k.Query), "fragment": num(int64(k.Fragment)), "partition": num(int64(k.Partition)), "state": text(k.State),
			"rows_in": num(k.RowsIn), "rows_out": num(k.RowsOut), "state_bytes": num(k.StateBytes), "node": num(int64(k.Node)),
			"rows_per_second": types.FloatDatum(k.RowsPerSecond), "late_rows": num(k.LateRows), "error_rows": num(k.ErrorRows),
			"commits": num(k.Commits), "lag": num(k.Lag), "time_us": num(k.Micros), "standbys": text(k.Standbys),
		})
	}
}

// fillMillTableCopies fills millrace.table_copies: which nodes keep the rows of tables, and how far they have come.
func (c *catalog) fillMillTableCopies(t *table) {
	roles := map[bool]string{true: "serves", false: "standby"}
	for _, k := range c.w.TableCopies() {
		t.add(row{
			"schema": text(k.Schema), "name": text(k.Name), "partition": num(int64(k.Partition)), "node": num(int64(k.Node)), "role": text(roles[k.Serves]),
			"position": count(k.Position), "lag": count(k.Lag), "rows_read": num(k.RowsRead), "error_rows": num(k.ErrorRows),
		})
	}
}

func (c *catalog) fillMillTopics(t *table) {
	for _, p := range c.w.Topics() {
		t.add(row{
			"name": text(p.Name), "partitions": num(int64(p.Partitions)), "owner": optional(p.Owner), "cleanup_policy": text(p.CleanupPolicy), "configs": text(p.Configs),
		})
	}
}

func (c *catalog) fillMillPartitions(t *table) {
	for _, p := range c.w.Partitions() {
		t.add(row{
			"topic": text(p.Topic), "partition": num(int64(p.Partition)), "leader": num(int64(p.Leader)), "leader_epoch": num(int64(p.LeaderEpoch)),
			"log_start": num(p.LogStart), "high_watermark": num(p.HighWatermark), "last_stable": num(p.LastStable),
			"replicas": text(p.Replicas), "isr": text(p.ISR), "state": text(p.State),
		})
	}
}

func (c *catalog) fillMillGroups(t *table) {
	for _, g := range c.w.Groups() {
		t.add(row{"group_id": text(g.ID), "generation": num(int64(g.Generation)), "members": num(int64(g.Members))})
	}
}

func (c *catalog) fillMillQuotas(t *table) {
	name := func(s *string) types.Datum {
		switch {
		case s == nil:
			return types.NullDatum
		case *s == "":
			return text("<default>")
		}
		return text(*s)
	}
	for _, q := range c.w.Quotas() {
		t.add(row{"user_name": name(q.User), "client_id": name(q.ClientID), "name": text(q.Name), "value": types.FloatDatum(q.Value)})
	}
}

func (c *catalog) fillMillNodes(t *table) {
	for _, n := range c.w.Nodes() {
		t.add(row{
			"id": num(int64(n.ID)), "epoch": num(n.Epoch), "release": text(n.Release), "state": text(n.State), "queries": flag(n.Queries),
			"votes": flag(n.Votes), "controller": flag(n.Controller),
			"pg": optional(n.PG), "kafka": optional(n.Kafka), "http": optional(n.HTTP), "peer": optional(n.Peer), "rack": optional(n.Rack),
		})
	}
}

// count is a number that is negative where it is not known.
func count(n int64) types.Datum {
	if n < 0 {
		return types.NullDatum
	}
	return num(n)
}

func (c *catalog) fillMillMoves(t *table) {
	for _, m := range c.w.Moves() {
		t.add(row{
			"topic": text(m.Topic), "partition": num(int64(m.Partition)), "node": num(int64(m.Node)), "change": text(m.Change), "asked": flag(m.Asked),
			"records": count(m.Records), "left": count(m.Left),
		})
	}
}

func (c *catalog) fillMillSettings(t *table) {
	for _, s := range c.w.Settings() {
		t.add(row{"name": text(s.Name), "value": text(s.Value), "default_value": text(s.Default), "description": text(s.Description)})
	}
}

func (c *catalog) fillMillFunctions(t *table) {
	kinds := map[planner.FuncKind]string{
		planner.ScalarFunc: "function", planner.AggregateFunc: "aggregate", planner.SetFunc: "set-returning", planner.WindowOnlyFunc: "window",
		planner.OrderedSetFunc: "aggregate",
	}
	for _, f := range planner.Functions() {
		if !f.IsOperator() {
			t.add(row{"name": text(f.Name), "arguments": text(argumentList(f)), "result": text(resultText(f)), "kind": text(kinds[f.Kind])})
		}
	}
}

func (c *catalog) fillMillTypes(t *table) {
	for _, u := range c.w.Types() {
		t.add(row{"name": text(c.typeName(u)), "oid": oid(u.OID), "definition": text(u.Type.String())})
	}
	for _, typ := range catalogTypes() {
		if !isPseudo(typ) {
			t.add(row{"name": text(typ.String()), "oid": oid(typ.OID())})
		}
	}
}
