// Package planner turns statements into plans: names and types resolved, conditions pushed to the sources, and for queries that never
// end every row's identity and place worked out. exec runs the plans; the engine supplies the Catalog and calls the entry points.
//
// Layers, each over the one before:
//
//   - signatures: sig_*.go list operators and functions as text, resolve.go and cast.go choose among them as PostgreSQL does;
//   - binder: scope.go (names), bind_*.go, window.go, windowtable.go and cte.go (syntax tree to plan nodes, plan.go and expr.go); errors carry PostgreSQL's codes,
//     words and positions;
//   - rules: fold.go, rules.go (conditions, join keys, semi-joins), prune.go (columns, projections, key look-ups);
//   - continuous plans: stream.go and stream_join.go give each edge its change mode and keys and insert Normalize and Exchange,
//     persistent.go ends the plan in a Sink, fragment.go cuts it at the exchanges; push.go does the same for one session;
//   - definitions and changes: define.go, options.go, dml*.go.
//
// The entry points are Planner's methods: PlanQuery, PlanPersistent, PlanInsertPersistent, BindDefinition, BindView, PlanInsert, PlanUpdate,
// PlanDelete. A Planner keeps nothing between calls. A plan belongs to the caller; Relations in it are the catalog's and are not changed.
//
// Debugging starts with EXPLAIN (explain.go). A wrong plan: compare it before and after optimize. A wrong type or overload: exprKey prints
// an expression with the ID of every function. checkPlan in the tests states what every plan must hold.
package planner
