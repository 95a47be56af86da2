package planner

import (
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
	"github.com/millracedb/millrace/sql/types"
)

// windowSpec is a resolved OVER (...).
type windowSpec struct {
	partitionBy []Expr
	orderBy     []SortKey
	frame       *Frame
}

type windowCollector struct{ used bool }

func (b *binder) bindOver(e *sql.FuncCall) (Expr, error) {
	if len(overloads(e.Name, AggregateFunc, OrderedSetFunc, WindowOnlyFunc)) == 0 {
		return nil, b.notOver(e)
	}
	if b.windows == nil {
		if b.clause == "an aggregate" {
			return nil, sqlerr.New(sqlerr.GroupingError, "aggregate function calls cannot contain window function calls").At(e.Offset())
		}
		if b.clause == "a window" {
			return nil, sqlerr.New(sqlerr.WindowingError, "window function calls cannot be nested").At(e.Offset())
		}
		return nil, sqlerr.New(sqlerr.WindowingError, "window functions are not allowed in %s", b.clause).At(e.Offset())
	}
	inner := *b
	inner.windows, inner.srf, inner.clause = nil, false, "a window"
	agg, err := inner.bindAggCall(e, AggregateFunc, WindowOnlyFunc)
	if err != nil {
		return nil, err
	}
	if agg.Distinct {
		return nil, sqlerr.New(sqlerr.FeatureNotSupported, "DISTINCT is not implemented for window functions").At(e.Offset())
	}
	spec, err := inner.bindWindowDef(e.Over)
	if err != nil {
		return nil, err
	}
	b.windows.used = true
	return &windowRef{*agg, spec}, nil
}

// notOver is the error for OVER after a call of anything but an aggregate or a window function: what is wrong with the call without OVER
// comes first.
func (b *binder) notOver(e *sql.FuncCall) error {
	plain := *e
	plain.Over = nil
	if _, err := b.bindCall(&plain); err != nil {
		return err
	}
	return sqlerr.New(sqlerr.WrongObjectType, "OVER specified, but %s is not a window function nor an aggregate function", e.Name).At(e.Offset())
}

func (b *binder) namedWindow(name string, pos sql.Pos) (*sql.WindowDef, error) {
	for _, w := range b.named {
		if w.Name == name {
			return w, nil
		}
	}
	return nil, sqlerr.New(sqlerr.UndefinedObject, "window %q does not exist", name).At(pos.Offset())
}

func (b *binder) bindWindowDef(d *sql.WindowDef) (*windowSpec, error) {
	if err := b.st.enter(); err != nil { // a chain of named windows may be long
		return nil, err
	}
	defer b.st.leave()
	if d.Ref {
		def, err := b.namedWindow(d.Name, d.Pos)
		if err != nil {
			return nil, err
		}
		return b.bindWindowDef(def)
	}
	spec := &windowSpec{}
	if d.Base != "" {
		def, err := b.namedWindow(d.Base, d.Pos)
		if err != nil {
			return nil, err
		}
		if spec, err = b.bindWindowDef(def); err != nil {
			return nil, err
		}
		if len(d.PartitionBy) > 0 {
			return nil, sqlerr.New(sqlerr.WindowingError, "cannot override PARTITION BY clause of window %q", d.Base).At(d.Offset())
		}
		if len(d.OrderBy) > 0 && len(spec.orderBy) > 0 {
			return nil, sqlerr.New(sqlerr.WindowingError, "cannot override ORDER BY clause of window %q", d.Base).At(d.Offset())
		}
	}
	for _, e := range d.PartitionBy {
		x, err := b.bindExpr(e)
		if err != nil {
			return nil, err
		}
		spec.partitionBy = append(spec.partitionBy, b.settle(x))
	}
	if len(d.OrderBy) > 0 {
		keys, err := b.bindSortKeys(d.OrderBy)
		if err != nil {
			return nil, err
		}
		spec.orderBy = keys
	}
	var err error
	if d.Frame != nil {
		spec.frame, err = b.bindFrame(d.Frame, spec.orderBy)
	}
	return spec, err
}

func (b *binder) bindFrame(f *sql.Frame, orderBy []SortKey) (*Frame, error) {
	out := &Frame{Mode: map[sql.FrameMode]string{sql.FrameRange: "range", sql.FrameRows: "rows", sql.FrameGroups: "groups"}[f.Mode], Exclude: f.Exclude}
	mode := strings.ToUpper(out.Mode)
	if f.Mode == sql.FrameGroups && len(orderBy) == 0 {
		return nil, sqlerr.New(sqlerr.WindowingError, "GROUPS mode requires an ORDER BY clause").At(f.Offset())
	}
	bound := func(x *sql.Bound) (FrameBound, error) {
		fb := FrameBound{
			Unbounded: x.Kind == sql.UnboundedPreceding || x.Kind == sql.UnboundedFollowing,
			Current:   x.Kind == sql.CurrentRow,
			Preceding: x.Kind == sql.UnboundedPreceding || x.Kind == sql.Preceding,
		}
		if x.Value == nil {
			return fb, nil
		}
		v, err := b.bindExpr(x.Value)
		if err != nil {
			return fb, err
		}
		if anyExpr(v, func(x Expr) bool { _, column := x.(*ColumnRef); return column }) {
			return fb, sqlerr.New(sqlerr.InvalidColumnReference, "argument of %s must not contain variables", mode).At(x.Value.Offset())
		}
		if f.Mode != sql.FrameRange {
			v, err = b.coerce(v, types.Of(types.Int8), CastImplicit, x.Pos)
		}
		fb.Offset = v
		return fb, err
	}
	var err error
	if out.Start, err = bound(f.Start); err != nil {
		return nil, err
	}
	out.End = FrameBound{Current: true}
	if f.End != nil {
		out.End, err = bound(f.End)
	}
	return out, err
}
