// Package clients runs real PostgreSQL clients against a running millrace serve: psql, pgx, lib/pq, psycopg 3, psycopg2, asyncpg, SQLAlchemy,
// psqlODBC, JDBC, node-postgres and postgres.js.
//
// There is nothing in it but tests. What clients have been seen to send, which is in the package sent, is sent again by every go test. The
// tests with the clients themselves have the build tag clients, since they need what the script install fetches:
//
//	internal/clients/install
//	go test -tags clients ./internal/clients
//
// A program in another language is one file of a folder of that language. It connects by the PG* variables of its environment, does what
// people do with its driver, and prints "ok" and a name for each step that went well; the first that does not ends it. The test knows which
// steps each has, and runs all of them three times: without passwords, with SCRAM-SHA-256, and with SCRAM-SHA-256 over TLS whose certificate
// the client verifies. To look into a failure run the program by hand against a node of your own:
//
//	PGHOST=127.0.0.1 PGPORT=5433 PGUSER=millrace PGDATABASE=millrace bin/clients/python/bin/python internal/clients/python/with_asyncpg.py
package clients
