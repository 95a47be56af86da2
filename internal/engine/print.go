package engine

import (
	"context"

	"github.com/millracedb/millrace/internal/sqlerr"
	"github.com/millracedb/millrace/sql"
)

func printColumns() []column { return textColumns("partition", "offset", "timestamp", "key", "value") }

// print runs PRINT.
func (s *session) print(context.Context, *sql.Print) (rows, error) {
	return nil, sqlerr.New(sqlerr.FeatureNotSupported, "PRINT is not supported yet").
		WithHint("CREATE STREAM lines (line BYTEA) WITH (topic = ..., value_format = 'kafka') and SELECT from it.")
}
