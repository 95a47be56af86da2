package exec

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/millracedb/millrace/exec/expr"
	"github.com/millracedb/millrace/internal/clock"
	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/planner"
)

// taskEnv is what the operators and sources of one task are built from.
type taskEnv struct {
	log        Log
	clock      clock.Clock
	planEpoch  uint64
	partition  int32
	partitions int32
	counts     map[string]int32 // partitions of the topics read and written
	idle       time.Duration
	output     roundOutput
	plan       *planner.Persistent // what the fragment is of; nil for a push query
	cx         *opContext
	target     *atomic.Pointer[planner.Relation] // TaskSpec.Target
	tables     *Tables                           // that a continuous INSERT writes; nil where there are none
	born       bool                              // the task was asked for what it gives before it reads
	each       bool                              // one change per input row
	all        bool                              // for a push query: every partition of a topic is read, and exchanges need not be
	collect    operator                          // for a push query: takes what the root gives
}

// buildPipeline makes the operators of a fragment whose root is root.
func buildPipeline(env *taskEnv, root planner.Node) (*pipeline, error) {
	p := &pipeline{m: newMeter(env.clock)}
	b := &builder{env: env, p: p}
	if err := b.root(root); err != nil {
		return nil, err
	}
	slices.Reverse(p.ops)
	return p, nil
}

type builder struct {
	env *taskEnv
	p   *pipeline
}

func (b *builder) root(n planner.Node) error {
	at := b.p.count(n)
	switch n := n.(type) {
	case *planner.Sink:
		if n.Rel.Ordinary {
			var err error
			if b.p.table, err = newTableSink(b.env.cx, n, b.env.tables); err != nil {
				return err
			}
			return b.one(at, b.p.table, nil, n.In, true)
		}
		s, err := newSink(b.env.cx, n, b.env)
		if err != nil {
			return err
		}
		b.p.sink = s
		return b.one(at, s, nil, n.In, true)
	case *planner.Exchange:
		if n.In != nil {
			w, err := newExchangeWriter(b.env.cx, n, b.env)
			if err != nil {
				return err
			}
			b.p.writer = w
			return b.one(at, w, nil, n.In, true)
		}
	}
	b.p.counts = b.p.counts[:0]
	return b.build(n, edge{next: b.env.collect, into: at}, true)
}

// build makes the operator of n, whose output goes to to, and then its inputs. drives says whether the sources below count for
// the task's stream time.
func (b *builder) build(n planner.Node, to edge, drives bool) error {
	cx := b.env.cx
	at := b.p.count(n)
	to.from, to.m = at, b.p.m
	switch n := n.(type) {
	case *planner.Scan:
		return b.scan(n, to, drives)
	case *planner.Exchange:
		if b.env.all {
			return b.build(n.In, to, drives)
		}
		s := b.source(TopicPartition{n.Topic, b.env.partition}, to, at, drives)
		newExchangeSource(s, n, b.env.planEpoch)
		s.times = newTimeTracker(0)
		return nil
	case *planner.Filter:
		f, err := newFilter(cx, n.Cond, n.In.Props().Mode, schemaOf(n), to)
		return b.one(at, f, err, n.In, drives)
	case *planner.Project:
		p, err := newProject(cx, n, to)
		return b.one(at, p, err, n.In, drives)
	case *planner.Normalize:
		return b.one(at, newNormalize(cx, n, to), nil, n.In, drives)
	case *planner.Materialize:
		return b.one(at, newMaterialize(cx, n, to), nil, n.In, drives)
	case *planner.Expire:
		x, err := newExpire(cx, n, to)
		b.p.expires = x
		return b.one(at, x, err, n.In, drives)
	case *planner.Aggregate:
		a, err := newAggregate(cx, n, to)
		if err == nil && n.Window != nil {
			b.p.windows = append(b.p.windows, a)
		}
		return b.one(at, a, err, n.In, drives)
	case *planner.TopN:
		return b.one(at, newTopN(cx, n, to), nil, n.In, drives)
	case *planner.WindowFunc:
		return b.one(at, newOver(cx, n, to), nil, n.In, drives)
	case *planner.Repeat:
		return b.one(at, newRepeat(n, to), nil, n.In, drives)
	case *planner.Expand:
		x, err := newExpand(cx, n, to)
		return b.one(at, x, err, n.In, drives)
	case *planner.SetOp:
		if n.Kind == planner.Union && n.All {
			if err := b.build(n.L, to, drives); err != nil {
				return err
			}
			return b.build(n.R, to, drives)
		}
	case *planner.Join:
		return b.join(n, to, drives)
	case *planner.Limit:
		if b.env.all {
			return b.build(n.In, to, drives) // the push query counts for itself
		}
	}
	return sqlerr.New(sqlerr.FeatureNotSupported, "a continuous query cannot run %s yet", nodeName(n))
}

func (b *builder) one(at *opCount, op operator, err error, in planner.Node, drives bool) error {
	if err != nil {
		return err
	}
	b.p.ops = append(b.p.ops, counted{op, at})
	return b.build(in, edge{next: op, into: at}, drives)
}

func (b *builder) join(n *planner.Join, to edge, drives bool) error {
	var op operator
	var err error
	var stream *streamJoin
	rightDrives := drives
	switch n.Strategy {
	case planner.StreamStream:
		stream, err = newStreamJoin(b.env.cx, n, to)
		op = stream
	case planner.StreamTable:
		op, err = newLookupJoin(b.env.cx, n, to)
		rightDrives = false
	case planner.TableTable:
		op, err = newTableJoin(b.env.cx, n, to)
	default:
		err = sqlerr.New(sqlerr.InternalError, "a continuous query has a join without a strategy")
	}
	if err != nil {
		return err
	}
	b.p.ops = append(b.p.ops, counted{op, to.from})
	begin := len(b.p.sources)
	if err := b.build(n.L, edge{next: op, port: portLeft, into: to.from}, drives); err != nil {
		return err
	}
	first := len(b.p.sources)
	if err := b.build(n.R, edge{next: op, port: portRight, into: to.from}, rightDrives); err != nil {
		return err
	}
	if n.Strategy == planner.StreamTable {
		for _, s := range b.p.sources[first:] {
			s.isTable = true
		}
	}
	if stream != nil {
		b.p.joins = append(b.p.joins, stream)
		l, r := &stream.sides[portLeft], &stream.sides[portRight]
		l.sources, l.topic = slices.Clone(b.p.sources[begin:first]), sourceTopic(b.env.plan, n.L)
		r.sources, r.topic = slices.Clone(b.p.sources[first:]), sourceTopic(b.env.plan, n.R)
	}
	return nil
}

// sourceTopic is the first topic that n reads, through the exchanges of plan.
func sourceTopic(plan *planner.Persistent, n planner.Node) string {
	switch x := n.(type) {
	case *planner.Scan:
		return x.Rel.Topic
	case *planner.Exchange:
		if x.In == nil {
			return writtenFrom(plan, x.Topic)
		}
	}
	for _, in := range n.Inputs() {
		if topic := sourceTopic(plan, in); topic != "" {
			return topic
		}
	}
	return ""
}

// writtenFrom is the first topic that is read by the fragment which writes an exchange's topic.
func writtenFrom(plan *planner.Persistent, exchange string) string {
	if plan == nil {
		return ""
	}
	for _, f := range plan.Fragments {
		if x, ok := f.Root.(*planner.Exchange); ok && x.Topic == exchange {
			return sourceTopic(plan, x.In)
		}
	}
	return ""
}

func (b *builder) source(tp TopicPartition, to edge, at *opCount, drives bool) *source {
	if b.env.each {
		to = edge{next: &eachRow{cx: b.env.cx, p: b.p, to: to}}
	}
	s := &source{log: b.env.log, timer: b.env.clock, tp: tp, to: to, at: at, drives: drives, exact: drives}
	b.p.sources = append(b.p.sources, s)
	return s
}

func (b *builder) scan(n *planner.Scan, to edge, drives bool) error {
	at := to.from
	if n.Filter != nil {
		f, err := newFilter(b.env.cx, n.Filter, n.P.Mode, schemaOf(n), to)
		if err != nil {
			return err
		}
		b.p.ops = append(b.p.ops, counted{f, at})
		to = edge{next: f, into: at, m: b.p.m}
	}
	first, last := b.env.partition, b.env.partition
	if b.env.all {
		first, last = 0, b.env.counts[n.Rel.Topic]-1
	}
	for p := first; p <= last; p++ {
		s := b.source(TopicPartition{n.Rel.Topic, p}, to, at, drives)
		s.times, s.scan = newTimeTracker(1), n
		s.exact = drives && !b.env.all // one partition's time is not that of an operator that reads several
		if err := newScanSource(s, n, b.env.cx, b.env.clock); err != nil {
			return err
		}
	}
	return nil
}

func nodeName(n planner.Node) string {
	switch n.(type) {
	case *planner.Values:
		return "VALUES"
	case *planner.FuncScan:
		return "a table function"
	case *planner.SetOp:
		return "this set operation"
	case *planner.Distinct:
		return "DISTINCT"
	case *planner.Sort:
		return "ORDER BY"
	case *planner.Limit:
		return "LIMIT"
	case *planner.RecursiveUnion, *planner.WorkScan:
		return "WITH RECURSIVE"
	case *planner.WindowFunc:
		return "OVER"
	default:
		return "this construct"
	}
}

// taskTopics returns the topics that a fragment reads and writes, its changelog aside.
func taskTopics(root planner.Node) []string {
	var topics []string
	add := func(t string) {
		if !slices.Contains(topics, t) {
			topics = append(topics, t)
		}
	}
	var walk func(n planner.Node)
	walk = func(n planner.Node) {
		switch n := n.(type) {
		case *planner.Sink:
			add(n.Rel.Topic)
		case *planner.Scan:
			add(n.Rel.Topic)
		case *planner.Exchange:
			add(n.Topic)
			if n.In == nil {
				return // a leaf; Inputs would give its nil
			}
		}
		for _, in := range n.Inputs() {
			walk(in)
		}
	}
	walk(root)
	return topics
}

// newEnv is the environment of expressions in a task: they depend on nothing but the row, and the clock.
func newEnv(c clock.Clock) *expr.Env {
	return &expr.Env{ClockMicros: func() int64 { return c.Now().UnixMicro() }, NowMicros: c.Now().UnixMicro(), StatementMicros: c.Now().UnixMicro()}
}
