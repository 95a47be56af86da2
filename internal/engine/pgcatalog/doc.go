// Package pgcatalog computes pg_catalog, information_schema and the schema millrace as virtual tables, and answers the functions
// that ask about the session or the catalog (PostgreSQL docs, chapters 9.26, 9.27, 37, 53 and 54).
//
// From the bottom: World and Session (world.go) are what the engine tells about itself. schema.go reads the shapes of the virtual tables from the
// schema_*.txt files. row.go collects rows; class.go, attribute.go, constraint.go, relview.go, type.go, proc.go, opclass.go, cluster.go,
// timezone.go, infoschema.go and millrace.go fill them, one function a table, listed in pgcatalog.go. A table without such a function is always empty: it is there
// because clients ask it. call_*.go hold the functions, a family each; reg.go the reg* types.
//
// There is no state: every call computes from the World it is given, but for the rows that are the same in every world, which are made once.
// Rows are plain values that the engine scans like any table, so a query over them that misbehaves is to be looked for in the planner and
// the executor first. testdata/postgres.txt holds queries with PostgreSQL's answers; a client's query that fails belongs there.
//
// docs/catalog.md says what clients see and where it differs from PostgreSQL.
package pgcatalog
