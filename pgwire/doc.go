// Package pgwire is the listener that speaks PostgreSQL's frontend/backend protocol, versions 3.0 and 3.2: start-up, TLS,
// authentication, simple and extended queries, COPY, cancel. It knows no SQL. What it needs from a database it says in
// backend.go (Backend, Session, Portal); internal/engine implements that.
package pgwire
