package planner

import (
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql/types"
)

func (d *definer) formats() error {
	return setFormats(d.rel, d.opts, d.stmt.Offset())
}

// setFormats settles the formats of key and value and checks that they can hold the columns.
func setFormats(rel *Relation, opts *Options, pos int) error {
	rel.ValueFormat = "json"
	if opts.ValueFormat != "" {
		rel.ValueFormat = opts.ValueFormat
	}
	rel.KeyFormat = defaultKeyFormat(rel)
	if o := opts.KeyFormat; o != "" && (len(rel.Key) > 0 || o == "none") {
		rel.KeyFormat = o
	}
	if opts.given["key_format"] == nil && opts.given["format"] != nil && rel.KeyFormat == "kafka" && !kafkaKey(rel) {
		rel.KeyFormat = "json"
	}
	switch {
	case rel.KeyFormat == "none" && len(rel.Key) > 0:
		return sqlerr.New(sqlerr.InvalidTableDefinition, "key_format none can only be used when there are no key columns").At(pos)
	case rel.KeyFormat == "kafka" && !kafkaKey(rel):
		return sqlerr.New(sqlerr.InvalidTableDefinition, "key_format kafka holds one column of INT, BIGINT, DOUBLE, TEXT or BYTEA NOT NULL").
			WithHint("Use key_format = 'json'.").At(pos)
	}
	if err := setDelimiters(rel, opts, pos); err != nil {
		return err
	}
	values := valueColumns(rel)
	if rel.ValueFormat == "kafka" && (len(values) != 1 || !kafkaKind(rel.Columns[values[0]].Type.Kind)) {
		return sqlerr.New(sqlerr.InvalidTableDefinition, "value_format kafka holds one column of INT, BIGINT, DOUBLE, TEXT or BYTEA").
			WithHint("Use value_format = 'json'.").At(pos)
	}
	if rel.ValueFormat == "none" && len(values) > 0 {
		return sqlerr.New(sqlerr.InvalidTableDefinition, "value_format none can only be used when all columns are key columns").At(pos)
	}
	return nil
}

// valueColumns are the columns that the record's value holds.
func valueColumns(rel *Relation) []int {
	var out []int
	for i, c := range rel.Columns {
		if !contains(rel.Key, i) && !c.Headers {
			out = append(out, i)
		}
	}
	return out
}

func kafkaKind(k types.Kind) bool {
	switch k {
	case types.Int4, types.Int8, types.Float8, types.Text, types.Varchar, types.Bytea:
		return true
	}
	return false
}

func kafkaKey(rel *Relation) bool {
	if len(rel.Key) != 1 {
		return false
	}
	c := rel.Columns[rel.Key[0]]
	return kafkaKind(c.Type.Kind) && (c.Type.Kind != types.Bytea || c.NotNull)
}

func defaultKeyFormat(rel *Relation) string {
	switch {
	case len(rel.Key) == 0:
		return "none"
	case kafkaKey(rel):
		return "kafka"
	}
	return "json"
}

// setDelimiters settles the delimiters, and checks that the format delimited can hold the columns.
func setDelimiters(rel *Relation, opts *Options, pos int) error {
	rel.KeyDelimiter, rel.ValueDelimiter = opts.KeyDelimiter, opts.ValueDelimiter
	for _, side := range []struct {
		name, format string
		delimiter    byte
		cols         []int
	}{{"key", rel.KeyFormat, opts.KeyDelimiter, rel.Key}, {"value", rel.ValueFormat, opts.ValueDelimiter, valueColumns(rel)}} {
		if side.format != "delimited" {
			if side.delimiter != 0 {
				return sqlerr.New(sqlerr.InvalidTableDefinition, "option %s_delimiter needs %s_format = 'delimited'", side.name, side.name).At(pos)
			}
			continue
		}
		for _, i := range side.cols {
			switch c := rel.Columns[i]; c.Type.Kind {
			case types.Array, types.Map, types.Struct:
				return sqlerr.New(sqlerr.InvalidTableDefinition, "%s_format delimited cannot hold column %q of type %s", side.name, c.Name, c.Type).
					WithHint("It holds scalar types. Use %s_format = 'json'.", side.name).At(pos)
			}
		}
	}
	return nil
}
