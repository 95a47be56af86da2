package sql

import (
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// The statements of PostgreSQL that Millrace does not have, by their first words, with what does their work. Those of objects come with CREATE, ALTER and DROP.
var (
	postgresStatements = []struct{ words, instead string }{
		{"do", `There are no procedural languages: send the statements one by one. psql's \gexec runs what a query has written.`},
		{"call", "There are no procedures: send their statements one by one."},
		{"merge", "INSERT ... ON CONFLICT DO UPDATE, or UPDATE and DELETE in the WITH of an INSERT."},
		{"cluster", "Rows lie by their key; CREATE INDEX serves another order."},
		{"load", "There are no libraries to load."},
		{"reassign owned", "ALTER ... OWNER TO, object by object."},
		{"drop owned", "DROP what the role owns, and REVOKE what was granted to it."},
		{"security label", "GRANT and REVOKE."},
		{"import foreign schema", foreignInstead},
		{"alter default privileges", "GRANT ... ON ALL TABLES IN SCHEMA, again when there are new ones."},
		{"alter large object", "BYTEA holds bytes."},
		{"alter database", "Settings are given by SET, or in the connection string."},
	}
	postgresObjects = []struct{ words, instead string }{
		{"function", functionInstead},
		{"procedure", functionInstead},
		{"routine", functionInstead},
		{"aggregate", functionInstead},
		{"language", functionInstead},
		{"transform", functionInstead},
		{"cast", functionInstead},
		{"operator", functionInstead},
		{"access method", functionInstead},
		{"trigger", triggerInstead},
		{"event trigger", triggerInstead},
		{"rule", triggerInstead},
		{"extension", "What is most used is built in: gen_random_uuid(), md5(), sha256(), percentiles, jsonb. SHOW FUNCTIONS lists all functions."},
		{"domain", "Use the type that it is of, with CHECK in the tables' columns."},
		{"policy", "A view that shows some rows, and privileges on the view."},
		{"publication", "Every table is a topic, whose changes Kafka clients read."},
		{"subscription", "CREATE STREAM or TABLE ... WITH (topic = '...') over a topic that others write."},
		{"server", foreignInstead},
		{"foreign data wrapper", foreignInstead},
		{"foreign table", foreignInstead},
		{"user mapping", foreignInstead},
		{"statistics", "Plans do not go by statistics."},
		{"collation", "Text compares by bytes; lower() folds cases."},
		{"conversion", "Text is UTF-8."},
		{"tablespace", "--data names the directory of all data."},
		{"text search", "LIKE, ILIKE and regular expressions look into text."},
	}
)

const (
	functionInstead = "There are no functions of users: a view names an expression, and a continuous query (CREATE TABLE ... AS SELECT) computes what rows lead to."
	triggerInstead  = "A continuous query follows every change: CREATE TABLE ... AS SELECT, or INSERT INTO ... SELECT ... EMIT CHANGES."
	foreignInstead  = "CREATE STREAM or TABLE ... WITH (topic = '...') reads what others write to a topic."
)

// namePostgres makes the syntax error of a statement that begins at token start one that names what Millrace does not have.
func (p *parser) namePostgres(start int) {
	if p.err == nil || p.err.Code != sqlerr.SyntaxError {
		return
	}
	end := p.i
	p.i = start
	for _, f := range postgresStatements {
		if p.isWords(strings.Fields(f.words)...) {
			p.refusePostgres(f.words, f.instead)
			return
		}
	}
	if verb, ok := p.acceptOneOf("create", "alter", "drop"); ok {
		for ok {
			_, ok = p.acceptOneOf("or", "replace", "trusted", "procedural", "constraint", "default")
		}
		for _, f := range postgresObjects {
			if p.isWords(strings.Fields(f.words)...) {
				p.i = start
				p.refusePostgres(verb+" "+f.words, f.instead)
				return
			}
		}
	}
	p.i = end
}

func (p *parser) refusePostgres(words, instead string) {
	pos := p.pos()
	p.err = nil
	p.err = p.failAt(pos, sqlerr.FeatureNotSupported, "%s is not supported", strings.ToUpper(words)).WithHint("%s", instead)
}
