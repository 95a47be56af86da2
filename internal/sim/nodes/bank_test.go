package nodes

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// bank moves money between accounts, each time in one transaction block that also notes the transfer in another table: either all three rows have changed or none.
type bank struct {
	w  *world
	mu struct {
		sync.Mutex
		transfers *rowLog
		of        map[int64]transfer
	}
}

type transfer struct{ from, to, amount int64 }

const (
	accounts       = 6
	openingBalance = 1000
)

func newBank(w *world) client {
	b := &bank{w: w}
	b.mu.transfers, b.mu.of = newRowLog(), map[int64]transfer{}
	return b
}

func (b *bank) prepare(ctx context.Context) error {
	rows := make([]string, accounts)
	for i := range rows {
		rows[i] = fmt.Sprintf("(%d, %d)", i, openingBalance)
	}
	return b.w.prepareSQL(
		ctx,
		`CREATE TABLE accounts (id INT PRIMARY KEY, balance BIGINT NOT NULL)`,
		`INSERT INTO accounts VALUES `+strings.Join(rows, ", "),
		`CREATE TABLE transfers (id BIGINT PRIMARY KEY, src INT NOT NULL, dst INT NOT NULL, amount BIGINT NOT NULL)`,
		`CREATE TABLE spent AS SELECT src, count(*) AS n, sum(amount) AS total FROM transfers GROUP BY src`,
	)
}

func (b *bank) run(ctx context.Context, rng *rand.Rand) {
	var wg sync.WaitGroup
	for i := range 2 {
		own := rand.New(rand.NewPCG(rng.Uint64(), uint64(i)))
		wg.Go(func() { b.transferAll(ctx, own) })
	}
	wg.Wait()
}

func (b *bank) transferAll(ctx context.Context, rng *rand.Rand) {
	s := &session{w: b.w, rng: rng}
	defer s.close()
	for pause(ctx, between(rng, 0, 400*time.Millisecond)) {
		p := rng.Perm(accounts)
		t := transfer{int64(p[0]), int64(p[1]), rng.Int64N(50)}
		b.mu.Lock()
		id := b.mu.transfers.take(1)
		b.mu.of[id[0]] = t
		b.mu.Unlock()
		err := s.do(ctx, func(ctx context.Context, c *pgx.Conn) error { return transferOne(ctx, c, id[0], t) })
		b.w.trace.printf("transfer %d %+v: %v", id[0], t, err)
		b.mu.Lock()
		b.mu.transfers.told(id, err)
		b.mu.Unlock()
		if err != nil {
			s.close() // the block may be open
		}
		if rng.IntN(4) == 0 {
			b.look(ctx, s)
		}
	}
}

func transferOne(ctx context.Context, c *pgx.Conn, id int64, t transfer) error {
	for _, sql := range []string{
		"BEGIN",
		fmt.Sprintf("UPDATE accounts SET balance = balance - %d WHERE id = %d", t.amount, t.from),
		fmt.Sprintf("UPDATE accounts SET balance = balance + %d WHERE id = %d", t.amount, t.to),
		fmt.Sprintf("INSERT INTO transfers VALUES (%d, %d, %d, %d)", id, t.from, t.to, t.amount),
	} {
		if _, err := c.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%w: %w", errNotAsked, err) // without COMMIT nothing is written
		}
	}
	_, err := c.Exec(ctx, "COMMIT")
	return err
}

// look holds that a read of all accounts sees transfers whole.
func (b *bank) look(ctx context.Context, s *session) {
	var sum int64
	err := s.do(ctx, func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, "SELECT sum(balance)::bigint FROM accounts").Scan(&sum)
	})
	if err == nil && sum != accounts*openingBalance {
		b.w.violate("a read of all accounts sees %d, which is half of a transfer", sum)
	}
}

func (b *bank) acknowledged() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.mu.transfers.acked)
}

func (b *bank) check(ctx context.Context) error {
	var have map[int64]int
	if err := b.w.read(ctx, "SELECT id FROM transfers", func() { have = map[int64]int{} }, func(rows pgx.Rows) error {
		var id int64
		err := rows.Scan(&id)
		have[id]++
		return err
	}); err != nil {
		return err
	}
	balances, err := b.w.cells(ctx, "SELECT id, balance FROM accounts", func(rows pgx.Rows, c *cell) (string, error) {
		var id int64
		err := rows.Scan(&id, &c.total)
		return fmt.Sprint(id), err
	})
	if err != nil {
		return err
	}
	spent, err := b.w.cells(ctx, "SELECT src, n, total FROM spent", func(rows pgx.Rows, c *cell) (string, error) {
		var id int64
		err := rows.Scan(&id, &c.n, &c.total)
		return fmt.Sprint(id), err
	})
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	counts, wrong := b.mu.transfers.compare(have)
	b.w.violateAll("transfers", wrong)
	wantBalances, wantSpent := b.books(counts)
	b.w.violateAll("accounts", differCells(wantBalances, balances))
	b.w.violateAll("spent", differCells(wantSpent, spent))
	return nil
}

// books are the balances after the given transfers, and what each account has spent. mu is held.
func (b *bank) books(counts map[int64]bool) (balances, spent map[string]cell) {
	balances, spent = map[string]cell{}, map[string]cell{}
	add := func(account, amount int64) {
		k := fmt.Sprint(account)
		balances[k] = cell{total: balances[k].total + amount}
	}
	for i := range int64(accounts) {
		add(i, openingBalance)
	}
	for id := range counts {
		t := b.mu.of[id]
		add(t.from, -t.amount)
		add(t.to, t.amount)
		k := fmt.Sprint(t.from)
		spent[k] = spent[k].add(t.amount)
	}
	return balances, spent
}
