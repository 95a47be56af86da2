// Package pgcatalog computes pg_catalog, information_schema and the schema millrace as virtual tables, and answers the functions
// that ask about the session or the catalog (PostgreSQL docs, chapters 9.26, 37 and 53).
//
// From the bottom: World and Session (world.go) are what the engine tells about itself. schema.go reads the shapes of the virtual tables from the
// schema_*.txt files; a shape is PostgreSQL 15's, with its OID, and with text in place of types that Millrace lacks (xid is int8).
// row.go collects rows; class.go, attribute.go, constraint.go, type.go, proc.go, misc.go, infoschema.go and millrace.go fill them, one function a table. A table of
// the schema files without such a function is always empty. call.go and its neighbours hold the functions, reg.go the reg* types.
//
// There is no state: every call computes from the World it is given, but for the rows of built-in functions and types, which are
// made once. Rows are plain values that the engine scans like any table, so a query over them that misbehaves is to be looked for in the planner and
// the executor first: Rows itself can be printed in a test.
//
// # OIDs
//
// Built-in objects have PostgreSQL's OIDs where it has them; all are below 16384. Objects that belong to one with an OID of its own have one
// derived from it: see indexOID, attrdefOID and funcOID.
package pgcatalog
