package engine

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/millracedb/millrace/exec"
	"github.com/millracedb/millrace/internal/engine/pgcatalog"
	"github.com/millracedb/millrace/planner"
	"github.com/millracedb/millrace/replication/metadata"
)

func tpOf(topic string, partition int32) exec.TopicPartition {
	return exec.TopicPartition{Topic: topic, Partition: partition}
}

func seconds2duration(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// queryStats fills in what the tasks of a query have counted.
func (e *Engine) queryStats(oid uint64, q *pgcatalog.Query, far farStats) {
	if r, ok := e.super.query(uint32(oid)); ok {
		q.Nodes = nodeList(e.super.nodesOf(r))
	}
	addCounts(q, e.stats(oid, far))
}

// nodeList is how SHOW prints nodes.
func nodeList(nodes []int32) string {
	var names []string
	for _, n := range nodes {
		if n != metadata.NoLeader {
			names = append(names, strconv.Itoa(int(n)))
		}
	}
	return strings.Join(names, ",")
}

func addCounts(q *pgcatalog.Query, tasks []taskCount) {
	for _, t := range tasks {
		q.RowsIn += t.SourceRows
		q.RowsOut += t.SinkRows
		q.LateRows += t.Errors.Late
		q.ErrorRows += t.Errors.Eval + t.Errors.Decode
		q.StateBytes += t.StateBytes
		q.Lag += t.Lag
	}
}

func (e *Engine) taskStats(oid uint64, name, state string, far farStats) []pgcatalog.Task {
	var out []pgcatalog.Task
	standbys := e.standbysOf(oid)
	for _, t := range e.stats(oid, far) {
		out = append(out, pgcatalog.Task{
			Query: name, Fragment: int32(t.Fragment), Partition: t.Partition, State: state, Node: t.Node,
			RowsIn: t.RowsIn, RowsOut: t.RowsOut, StateBytes: t.StateBytes, RowsPerSecond: t.RowsPerSecond, LateRows: t.Errors.Late,
			ErrorRows: t.Errors.Eval + t.Errors.Decode, Commits: t.Commits, Lag: t.Lag, Micros: t.Time.Microseconds(),
			Standbys: nodeList(standbys[exec.TaskKey{Query: oid, Fragment: t.Fragment, Partition: t.Partition}]),
		})
	}
	return out
}

// explainRunning shows the plan of a persistent query with what its tasks have counted.
func (s *session) explainRunning(o *metadata.Object) (string, error) {
	def, err := queryDef(o)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "query %s: %s\n", o.Name, def.State)
	if def.Error != "" {
		fmt.Fprintf(&b, "error %s: %s\n", def.SQLState, def.Error)
	}
	if q, ok := s.e.super.query(uint32(o.OID)); ok {
		b.WriteString(planner.ExplainPersistent(q.plan))
	}
	stats := s.e.stats(uint64(o.OID), farStats{})
	if len(stats) == 0 {
		return b.String(), nil
	}
	explainTasks(&b, stats)
	explainOperators(&b, stats)
	return b.String(), nil
}

// explainTasks says what each task has done, and under them what all have: read of streams and tables, and written as the query's result.
func explainTasks(b *strings.Builder, stats []taskCount) {
	fmt.Fprintf(b, "\n%-9s %-9s %-5s %12s %10s %12s %8s %8s %8s %10s %8s %10s\n",
		"fragment", "partition", "node", "rows in", "rows/s", "rows out", "late", "errors", "commits", "state", "lag", "ms")
	var all exec.TaskStats
	line := func(fragment, partition, node string, t exec.TaskStats) {
		fmt.Fprintf(b, "%-9s %-9s %-5s %12d %10.1f %12d %8d %8d %8d %10d %8d %10.1f\n", fragment, partition, node, t.RowsIn, t.RowsPerSecond, t.RowsOut,
			t.Errors.Late, t.Errors.Eval+t.Errors.Decode, t.Commits, t.StateBytes, t.Lag, milliseconds(t.Time))
	}
	for _, t := range stats {
		line(strconv.Itoa(int(t.Fragment)), strconv.Itoa(int(t.Partition)), strconv.Itoa(int(t.Node)), t.TaskStats)
		all.RowsIn += t.SourceRows
		all.RowsPerSecond += t.RowsPerSecond * float64(t.SourceRows) / float64(max(t.RowsIn, 1))
		all.RowsOut += t.SinkRows
		all.Errors.Late += t.Errors.Late
		all.Errors.Eval += t.Errors.Eval
		all.Errors.Decode += t.Errors.Decode
		all.Commits += t.Commits
		all.StateBytes += t.StateBytes
		all.Lag += t.Lag
		all.Time += t.Time
	}
	if len(stats) > 1 {
		line("all", "", "", all)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// explainOperators says what left each operator of a fragment, how long it took and what part that is of all, and what it keeps in memory, over all
// tasks.
func explainOperators(b *strings.Builder, stats []taskCount) {
	type key struct {
		fragment uint32
		at       int
	}
	sums := map[key]*operatorCount{}
	var order []key
	var total time.Duration
	for _, t := range stats {
		for i, o := range t.Counts {
			k := key{t.Fragment, i}
			if sums[k] == nil {
				sums[k], order = &operatorCount{Name: o.Name}, append(order, k)
			}
			sums[k].Rows += o.Rows
			sums[k].Time += o.Time
			sums[k].StateBytes += o.StateBytes
			total += o.Time
		}
	}
	if len(order) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%-9s %12s %10s %5s %10s  %s\n", "fragment", "rows", "ms", "%", "state", "operator")
	for _, k := range order {
		o := sums[k]
		fmt.Fprintf(b, "%-9d %12d %10.1f %5.1f %10d  %s\n", k.fragment, o.Rows, milliseconds(o.Time), 100*float64(o.Time)/float64(max(total, 1)),
			o.StateBytes, o.Name)
	}
}

// collector gives Prometheus the counters of queries.
type collector struct {
	e                                *Engine
	rowsIn, rowsOut, late, errs, lag *prometheus.Desc
	sessions, tableRows, tableErrs   *prometheus.Desc
}

// Collectors are the engine's metrics.
func (e *Engine) Collectors() []prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("millrace_"+name, help, labels, nil)
	}
	return []prometheus.Collector{&collector{
		e:         e,
		rowsIn:    desc("query_rows_in_total", "Rows that the tasks of a persistent query on this node have read, in this life of the node and before.", "query"),
		rowsOut:   desc("query_rows_out_total", "Rows that they have written.", "query"),
		late:      desc("query_late_rows_total", "Rows that came after their window had closed.", "query"),
		errs:      desc("query_error_rows_total", "Rows that took no part: late, not decodable, or failing in an expression.", "query"),
		lag:       desc("query_lag_records", "Records that are readable and not read yet.", "query"),
		sessions:  desc("sessions", "Open PostgreSQL sessions."),
		tableRows: desc("table_rows_read_total", "Rows that this node has read from the topics of tables and results to keep them, since it serves tables or is their standby."),
		tableErrs: desc("table_error_rows_total", "Records of a table's topic that do not decode and so are not among its rows, told by the node that serves tables.", "table"),
	}}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.rowsIn, c.rowsOut, c.late, c.errs, c.lag, c.sessions, c.tableRows, c.tableErrs} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	for _, o := range queries(c.e.meta.Image()) {
		var q pgcatalog.Query
		addCounts(&q, c.e.ownCounts(uint64(o.OID)))
		counter := func(d *prometheus.Desc, v int64) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), o.Name)
		}
		counter(c.rowsIn, q.RowsIn)
		counter(c.rowsOut, q.RowsOut)
		counter(c.late, q.LateRows)
		counter(c.errs, q.ErrorRows)
		ch <- prometheus.MustNewConstMetric(c.lag, prometheus.GaugeValue, float64(q.Lag), o.Name)
	}
	ch <- prometheus.MustNewConstMetric(c.tableRows, prometheus.CounterValue, float64(c.e.tables.kept.RowsRead()))
	if !c.e.opts.Worker {
		c.collectTables(ch)
	}
	c.e.mu.Lock()
	n := len(c.e.mu.sessions)
	c.e.mu.Unlock()
	ch <- prometheus.MustNewConstMetric(c.sessions, prometheus.GaugeValue, float64(n))
}

// collectTables gives those of tables that have any.
func (c *collector) collectTables(ch chan<- prometheus.Metric) {
	for _, rel := range c.e.super.tables() {
		if n, ok := c.e.tables.skipped(rel); ok && n > 0 {
			ch <- prometheus.MustNewConstMetric(c.tableErrs, prometheus.CounterValue, float64(n), rel.Schema+"."+rel.Name)
		}
	}
}
