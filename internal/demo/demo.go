// Package demo is the demonstration that "millrace demo" runs: real flights through a stream, a table, a join, a windowed aggregate, a push query, a
// look-up by key, an upsert and a record that cannot be decoded. It is a client like any other: all it does goes through the PostgreSQL protocol.
package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/millracedb/millrace/internal/clock"
)

// Options say where and how to run.
type Options struct {
	// Conn is the connection string of a node that holds none of the demonstration's relations.
	Conn string
	Out  io.Writer
	// Terminal: Out is a terminal, so the progress bar may move.
	Terminal bool
	// Partitions of the flights' topic; 0 means 4.
	Partitions int
	Clock      clock.Clock
}

// Run runs the demonstration and returns when its results are printed.
func Run(ctx context.Context, opts Options) error {
	if opts.Partitions == 0 {
		opts.Partitions = 4
	}
	conn, err := pgx.Connect(ctx, opts.Conn)
	if err != nil {
		return fmt.Errorf("connecting to the node: %w", err)
	}
	d := &demo{opts: opts, conn: conn.PgConn()}
	return errors.Join(d.run(ctx), conn.Close(context.WithoutCancel(ctx)))
}

type demo struct {
	opts Options
	conn *pgconn.PgConn
}

func (d *demo) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		d.tables, d.load, d.queries, d.push, d.look, d.bad, d.results,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.opts.Out, "\n-- "+format+"\n", args...)
}

// sql shows a statement, runs it and prints its rows.
func (d *demo) sql(ctx context.Context, text string) error {
	fmt.Fprintf(d.opts.Out, "%s;\n", text)
	results, err := d.conn.Exec(ctx, text).ReadAll()
	if err != nil {
		return explain(text, err)
	}
	for _, r := range results {
		d.print(r)
	}
	return nil
}

func explain(text string, err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Hint != "" {
		err = fmt.Errorf("%w; hint: %s", err, pg.Hint)
	}
	return fmt.Errorf("%s: %w", strings.TrimSpace(strings.SplitN(text, "\n", 2)[0]), err)
}

func (d *demo) print(r *pgconn.Result) {
	if len(r.FieldDescriptions) == 0 {
		fmt.Fprintf(d.opts.Out, "%s\n", r.CommandTag)
		return
	}
	names := make([]string, len(r.FieldDescriptions))
	right := make([]bool, len(names))
	for i, f := range r.FieldDescriptions {
		names[i] = f.Name
		right[i] = numeric(f.DataTypeOID)
	}
	rows := make([][]string, len(r.Rows))
	for i, row := range r.Rows {
		for _, v := range row {
			rows[i] = append(rows[i], string(v))
		}
	}
	fmt.Fprint(d.opts.Out, table(names, right, rows))
}

func numeric(oid uint32) bool {
	switch oid {
	case 20, 21, 23, 700, 701, 1700:
		return true
	}
	return false
}

func (d *demo) tables(ctx context.Context) error {
	d.say("An ordinary table, and a topic of JSON lines as a Kafka producer would write them.")
	if err := d.sql(ctx, createAirports); err != nil {
		return err
	}
	if err := d.sql(ctx, fmt.Sprintf(createRaw, d.opts.Partitions)); err != nil {
		return err
	}
	d.say("The same topic, read as JSON; event time is the departure.")
	return d.sql(ctx, createFlights)
}

func (d *demo) load(ctx context.Context) error {
	airports, err := Airports()
	if err != nil {
		return err
	}
	d.say("3,376 airports by COPY.")
	if err := d.copy(ctx, "COPY airports FROM STDIN WITH (FORMAT csv, HEADER)", airports); err != nil {
		return err
	}
	flights, err := Flights()
	if err != nil {
		return err
	}
	d.say("20,000 flights by COPY, the lines unchanged.")
	return d.copy(ctx, "COPY flight_lines FROM STDIN", flights)
}

// copy sends data, and shows how far it is.
func (d *demo) copy(ctx context.Context, text string, data []byte) error {
	fmt.Fprintf(d.opts.Out, "%s;\n", text)
	bar := &progress{out: d.opts.Out, terminal: d.opts.Terminal, total: len(data), clock: d.opts.Clock, start: d.opts.Clock.Now()}
	tag, err := d.conn.CopyFrom(ctx, io.TeeReader(bytes.NewReader(data), bar), text)
	if err != nil {
		return explain(text, err)
	}
	bar.done(tag.RowsAffected())
	return nil
}

func (d *demo) queries(ctx context.Context) error {
	d.say("A persistent query: every flight meets its airport. It runs from now on, also for flights yet to come.")
	if err := d.sql(ctx, createDepartures); err != nil {
		return err
	}
	d.say("Another on top of it: delays by state and day of departure.")
	return d.sql(ctx, createDelays)
}

func (d *demo) push(ctx context.Context) error {
	d.say("A push query: rows as they change, here the first five.")
	return d.sql(ctx, pushQuery)
}

func (d *demo) look(ctx context.Context) error {
	d.say("A look-up by key: one row of one partition.")
	if err := d.sql(ctx, lookUp); err != nil {
		return err
	}
	d.say("An upsert. Flights that depart from now on will meet the new name.")
	return d.sql(ctx, upsert)
}

func (d *demo) bad(ctx context.Context) error {
	d.say("A flight whose delay is no number. The stream goes on; the record is kept.")
	if err := d.sql(ctx, insertBad); err != nil {
		return err
	}
	// Reading what it feeds waits until it has been dealt with.
	if _, err := d.conn.Exec(ctx, "SELECT count(*) FROM delays").ReadAll(); err != nil {
		return explain("SELECT count(*)", err)
	}
	return d.sql(ctx, selectErrors)
}

func (d *demo) results(ctx context.Context) error {
	d.say("The ten states whose flights left latest, January to March 2001.")
	return d.sql(ctx, Results)
}
