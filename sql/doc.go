// Package sql turns text into statements and statements into text.
//
// Layers, each in files of its own: the lexer (PostgreSQL's lexical rules, byte offsets kept), the statement parser
// (recursive descent over tokens: clauses, DDL, session statements), expression slots (wherever the grammar says
// expression, its tokens are lowered into a slot; all slots of a statement go through TiDB's parser in one call and are
// lifted into this package's nodes), and the deparser String, for which Parse(String(x)) equals x.
//
// Names are folded but not resolved, types are syntactic, nothing here knows a catalog. Trees are immutable once returned.
//
// The parser has no state between calls and may be used from any number of goroutines. A wrong tree is best debugged from
// resolve in tidb.go: print the lowered text and compare it with the table of marks in slots.go.
package sql
