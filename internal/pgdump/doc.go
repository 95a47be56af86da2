// Package pgdump holds tests of pg_dump against a node: a dump of Millrace is read by Millrace and by PostgreSQL, and one of PostgreSQL by Millrace.
package pgdump
