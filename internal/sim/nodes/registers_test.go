package nodes

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/jackc/pgx/v5"
)

// registers reads and changes a few rows of a table through any node, some of them only if they hold what was read before: each row must be what it would be if there were one of it, and each statement took effect
// at one moment between its beginning and its end (linearizability).
type registers struct {
	w  *world
	mu struct {
		sync.Mutex
		begin   time.Time
		next    int64 // every value is written once
		history []porcupine.Operation
	}
}

func newRegisters(w *world) client { return &registers{w: w} }

const (
	registerRows   = 4
	registerClient = 3
)

// registerOp is what is asked of a row: to read it (want and value are 0), to write value, or to write value in place of want.
type registerOp struct {
	row         int
	want, value int64
}

func (o registerOp) sql() string {
	switch {
	case o.value == 0:
		return fmt.Sprintf("SELECT v FROM registers WHERE id = %d", o.row)
	case o.want == 0:
		return fmt.Sprintf("UPDATE registers SET v = %d WHERE id = %d RETURNING v", o.value, o.row)
	}
	return fmt.Sprintf("UPDATE registers SET v = %d WHERE id = %d AND v = %d RETURNING v", o.value, o.row, o.want)
}

// registerAnswer is what was answered: the value that was read, or written; 0 if the row held another than the one wanted.
type registerAnswer struct {
	unknown bool
	value   int64
}

func (r *registers) prepare(ctx context.Context) error {
	r.mu.begin = time.Now()
	rows := make([]string, registerRows)
	for i := range rows {
		rows[i] = fmt.Sprintf("(%d, 0)", i)
	}
	return r.w.prepareSQL(ctx, `CREATE TABLE registers (id INT PRIMARY KEY, v BIGINT NOT NULL)`, `INSERT INTO registers VALUES `+strings.Join(rows, ", "))
}

func (r *registers) run(ctx context.Context, rng *rand.Rand) {
	var wg sync.WaitGroup
	for i := range registerClient {
		own := rand.New(rand.NewPCG(rng.Uint64(), uint64(i)))
		wg.Go(func() { r.useAll(ctx, own, i) })
	}
	wg.Wait()
}

func (r *registers) useAll(ctx context.Context, rng *rand.Rand, id int) {
	s := &session{w: r.w, rng: rng}
	defer s.close()
	var seen [registerRows]int64
	for pause(ctx, between(rng, 0, 400*time.Millisecond)) {
		op := registerOp{row: rng.IntN(registerRows)}
		if kind := rng.IntN(5); kind > 1 {
			r.mu.Lock()
			r.mu.next++
			op.value = r.mu.next
			r.mu.Unlock()
			if kind > 2 {
				op.want = seen[op.row]
			}
		}
		answer, done := r.ask(ctx, s, id, op)
		switch {
		case answer.unknown:
			id += registerClient // what it has asked may still come to pass, beside what it asks next
		case done && answer.value != 0:
			seen[op.row] = answer.value
		}
		if rng.IntN(4) == 0 {
			s.close() // the next one may be on another node
		}
	}
}

// ask asks for op and notes the answer; done is false if it surely has no effect.
func (r *registers) ask(ctx context.Context, s *session, id int, op registerOp) (answer registerAnswer, done bool) {
	call := int64(time.Since(r.mu.begin))
	err := s.do(ctx, func(ctx context.Context, c *pgx.Conn) error {
		rows, err := c.Query(ctx, op.sql())
		if err != nil {
			return err
		}
		values, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if len(values) > 0 {
			answer.value = values[0]
		}
		return err
	})
	r.w.trace.printf("%s: %d, %v", op.sql(), answer.value, err)
	end := int64(time.Since(r.mu.begin))
	if err != nil {
		if op.value == 0 || refused(err) {
			return registerAnswer{}, false
		}
		answer, end = registerAnswer{unknown: true}, math.MaxInt64
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.history = append(r.mu.history, porcupine.Operation{ClientId: id, Input: op, Call: call, Output: answer, Return: end})
	return answer, true
}

func (r *registers) acknowledged() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.mu.history)
}

// check looks at each row once more, so that what was lost at the end is missed too.
func (r *registers) check(ctx context.Context) error {
	for row := range registerRows {
		s := &session{w: r.w, rng: rand.New(rand.NewPCG(r.w.seed, uint64(row)))}
		for {
			if _, done := r.ask(ctx, s, -1-row, registerOp{row: row}); done {
				break
			}
			if !pause(ctx, 100*time.Millisecond) {
				return fmt.Errorf("reading register %d: %w", row, context.Cause(ctx))
			}
		}
		s.close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for row, ok := range registersLinear(r.mu.history) {
		if !ok {
			r.w.violate("there is no order in which what was asked of register %d could have been answered as it was", row)
		}
	}
	return nil
}

// registersLinear reports of each row whether an order explains the answers. One that is not found in time is not held against anyone.
func registersLinear(history []porcupine.Operation) (ok [registerRows]bool) {
	for row, part := range registerModel.Partition(history) {
		ok[row] = porcupine.CheckOperationsTimeout(registerModel, part, linearLimit) != porcupine.Illegal
	}
	return ok
}

// registerModel is a row.
var registerModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		out := make([][]porcupine.Operation, registerRows)
		for _, o := range history {
			i := o.Input.(registerOp).row
			out[i] = append(out[i], o)
		}
		return out
	},
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		v, op, answer := state.(int64), input.(registerOp), output.(registerAnswer)
		switch {
		case op.value == 0:
			return answer.value == v, v
		case op.want != 0 && op.want != v:
			return answer.unknown || answer.value == 0, v
		}
		return answer.unknown || answer.value == op.value, op.value
	},
}
