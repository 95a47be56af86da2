package sql

import (
	"strings"

	"github.com/millracedb/millrace/internal/sqlerr"
)

// foreign are ksqlDB's statements that Millrace does not have, by their first words, with what does their work.
var foreign = []struct{ words, instead string }{
	{"assert", "SELECT ... FROM millrace.topics, or DESCRIBE, shows what there is."},
	{"define", `psql's \set x value and :x do the same.`},
	{"undefine", `psql's \unset does the same.`},
	{"show variables", `psql's \set without a name lists its variables.`},
	{"list variables", `psql's \set without a name lists its variables.`},
	{"run script", "psql -f FILE runs a file."},
	{"spool", `psql's \o FILE writes answers to a file.`},
	{"create source connector", connectInstead},
	{"create sink connector", connectInstead},
	{"drop connector", connectInstead},
	{"describe connector", connectInstead},
	{"show connectors", connectInstead},
	{"list connectors", connectInstead},
	{"describe function", "SHOW FUNCTIONS LIKE 'name' lists the forms of a function."},
	{"describe streams", "SHOW STREAMS lists them, and DESCRIBE name shows the columns of one."},
	{"describe tables", "SHOW TABLES lists them, and DESCRIBE name shows the columns of one."},
	{"alter system", "SET changes a setting of the session; those of a node are flags of millrace serve."},
}

const connectInstead = "A Kafka Connect cluster can use Millrace's topics over Kafka's protocol."

// refuseForeign refuses a statement of ksqlDB's that Millrace does not have.
func (p *parser) refuseForeign() bool {
	for _, f := range foreign {
		if p.isWords(strings.Split(f.words, " ")...) {
			p.err = p.failAt(p.pos(), sqlerr.FeatureNotSupported, "%s is not supported", strings.ToUpper(f.words)).WithHint("%s", f.instead)
			return true
		}
	}
	return false
}
