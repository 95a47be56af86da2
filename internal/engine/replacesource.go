package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
	"github.com/millracedb/millrace/sql"
)

// replaceSource runs CREATE OR REPLACE of a stream or table without a query: as the ALTER that leads from what there is to what is written, so it
// can do what ALTER can, and leaves rows and readers as ALTER does.
func (s *session) replaceSource(ctx context.Context, q *sql.CreateRelation, text string, old *metadata.Object) error {
	if err := s.checkOwner(old); err != nil {
		return err
	}
	img := s.image()
	was, err := s.e.relation(ctx, img, old)
	if err != nil {
		return err
	}
	if was.Query != 0 || old.Kind != objectKind(q) {
		return sqlerr.New(sqlerr.WrongObjectType, "%q is not a %s without a query", old.Name, strings.ToLower(string(q.Kind))).
			WithHint("DROP it first, or choose another name.").At(q.Name.Offset())
	}
	bc, err := s.e.bindCreate(ctx, img, createSpec{create: q, schema: old.Schema, settings: s.definitionSettings(), text: text, record: names{}})
	if err != nil {
		return err
	}
	if err := checkSameSource(q, was, bc); err != nil {
		return err
	}
	actions, err := columnActions(q, was, bc.rel)
	if err != nil {
		return err
	}
	if opts := alterable(q.Options); len(opts) > 0 {
		actions = append(actions, &sql.AlterAction{Pos: q.Pos, Op: sql.SetOptions, Options: opts})
	}
	if len(actions) == 0 {
		return nil
	}
	name := &sql.Name{Pos: q.Name.Pos, Parts: []string{old.Schema, old.Name}}
	return s.alterRelation(ctx, &sql.Alter{Pos: q.Pos, Kind: q.Kind, Name: name, Actions: actions})
}

// alterable are the options that ALTER ... SET takes.
func alterable(opts []*sql.Option) []*sql.Option {
	var out []*sql.Option
	for _, o := range opts {
		switch strings.ToLower(o.Name) {
		case "retention_ms", "cleanup_policy", "fsync", "min_insync_replicas", "ttl":
			out = append(out, o)
		}
	}
	return out
}

// checkSameSource refuses what the records that are there stand against.
func checkSameSource(q *sql.CreateRelation, was *planner.Relation, bc boundCreate) error {
	next := bc.rel
	column := func(r *planner.Relation, i int) string {
		if i < 0 {
			return "the record's timestamp"
		}
		return r.Columns[i].Name
	}
	watermark := func(r *planner.Relation) string {
		if r.Watermark == nil {
			return "none"
		}
		return planner.FormatExpr(r.Watermark)
	}
	rules := func(r *planner.Relation) string {
		var out []string
		for _, k := range r.Checks {
			out = append(out, k.Text)
		}
		out = append(out, uniqueNames(r)...)
		slices.Sort(out)
		return "(" + strings.Join(out, ", ") + ")"
	}
	window := func(r *planner.Relation) string {
		if r.Window == nil {
			return "none"
		}
		return r.Window.String()
	}
	type property struct{ what, before, after, hint string }
	properties := []property{
		{"the key", keyText(was), keyText(next), ""},
		{"the value format", valueText(was), valueText(next), ""},
		{"what gives rowtime", column(was, was.TimestampColumn) + " " + was.TimestampFormat, column(next, next.TimestampColumn) + " " + next.TimestampFormat, ""},
		{"the watermark", watermark(was), watermark(next), ""},
		{"the window", window(was), window(next), ""},
		{"the partitioner", fmt.Sprint(was.Placement), fmt.Sprint(next.Placement), ""},
		{"the history", planner.FormatMillis(was.HistoryMs), planner.FormatMillis(next.HistoryMs), ""},
		{"the constraints", rules(was), rules(next), "ALTER TABLE ... ADD and DROP CONSTRAINT change them."},
	}
	if hasOption(q, "topic", "kafka_topic") {
		properties = append(properties, property{"the topic", was.Topic, next.Topic, ""})
	}
	if hasOption(q, "partitions") && bc.topic != nil {
		properties = append(properties, property{"the partitions", fmt.Sprint(was.Partitions), fmt.Sprint(bc.topic.Partitions), ""})
	}
	for _, p := range properties {
		if p.before == p.after {
			continue
		}
		if p.hint == "" {
			p.hint = "DROP it and CREATE it, or CREATE one of another name."
		}
		return sqlerr.New(sqlerr.FeatureNotSupported, "CREATE OR REPLACE cannot change %s of %q from %s to %s", p.what, was.Name, strings.TrimSpace(p.before), strings.TrimSpace(p.after)).
			WithDetail("Reason: the records that are there go by it.").WithHint("What works: %s", p.hint).At(q.Offset())
	}
	return nil
}

// uniqueNames describes the UNIQUE constraints.
func uniqueNames(r *planner.Relation) []string {
	var out []string
	add := func(cols []int) {
		var names []string
		for _, i := range cols {
			names = append(names, r.Columns[i].Name)
		}
		out = append(out, "unique "+strings.Join(names, ", "))
	}
	for _, ix := range r.Indexes {
		if ix.Constraint {
			add(ix.Cols)
		}
	}
	if len(r.Indexes) == 0 {
		for _, u := range r.Uniques {
			add(u.Cols)
		}
	}
	return out
}

// columnActions are the alterations that give the columns of was those of next: the present ones keep their names and places, others come after them.
func columnActions(q *sql.CreateRelation, was, next *planner.Relation) ([]*sql.AlterAction, error) {
	old, fresh := visibleColumns(was), visibleColumns(next)
	if len(fresh) < len(old) {
		return nil, sqlerr.New(sqlerr.InvalidTableDefinition, "cannot drop column %q of %q", old[len(fresh)].Name, was.Name).
			WithHint("ALTER ... DROP COLUMN drops it.").At(q.Offset())
	}
	var actions []*sql.AlterAction
	for i, def := range q.Columns {
		if i >= len(old) {
			actions = append(actions, &sql.AlterAction{Pos: def.Pos, Op: sql.AddColumn, Column: def})
			continue
		}
		c, n := old[i], fresh[i]
		add := func(op sql.AlterOp) *sql.AlterAction {
			a := &sql.AlterAction{Pos: def.Pos, Op: op, Name: c.Name}
			actions = append(actions, a)
			return a
		}
		switch {
		case c.Name != n.Name:
			return nil, sqlerr.New(sqlerr.InvalidTableDefinition, "cannot change name of column %q of %q to %q", c.Name, was.Name, n.Name).
				WithHint("ALTER ... RENAME COLUMN changes the name; new columns come last.").At(def.Offset())
		case c.Serial != n.Serial || c.Headers != n.Headers || c.HeaderKey != n.HeaderKey:
			return nil, sqlerr.New(sqlerr.InvalidTableDefinition, "cannot change what gives column %q of %q its values", c.Name, was.Name).
				WithHint("ALTER ... DROP COLUMN, and ADD COLUMN.").At(def.Offset())
		}
		if !c.Type.Equal(n.Type) || c.Type.Mod != n.Type.Mod {
			add(sql.SetType).Type = def.Type
		}
		if c.NotNull != n.NotNull {
			add(map[bool]sql.AlterOp{true: sql.SetNotNull, false: sql.DropNotNull}[n.NotNull])
		}
		switch {
		case c.Serial != planner.NotSerial || c.DefaultText == n.DefaultText:
		case def.Default == nil:
			add(sql.DropDefault)
		default:
			add(sql.SetDefault).Expr = def.Default
		}
	}
	return actions, nil
}
