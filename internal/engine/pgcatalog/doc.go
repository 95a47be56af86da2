// Package pgcatalog computes pg_catalog, information_schema and the schema millrace as virtual tables, and answers the functions that ask
// about the session or the catalog.
package pgcatalog
