package nodes

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// names makes, drops and looks for a few tables through any node: what the clients see must be what they would see if the definitions were in one place, and each statement took effect at one moment
// between its beginning and its end (linearizability).
type names struct {
	w  *world
	mu struct {
		sync.Mutex
		begin   time.Time
		history []porcupine.Operation
	}
}

func newNames(w *world) client { return &names{w: w} }

// nameOp is what is asked of a name.
type nameOp struct {
	kind string // create, drop or look
	name int
}

// nameAnswer is what was answered.
type nameAnswer int

const (
	done    nameAnswer = iota // it was made, dropped, or is there
	already                   // it was there before; not there
	unknown
)

const (
	tableNames   = 2
	namingClient = 3
)

func (n *names) prepare(context.Context) error {
	n.mu.begin = time.Now()
	return nil
}

func (n *names) run(ctx context.Context, rng *rand.Rand) {
	var wg sync.WaitGroup
	for i := range namingClient {
		own := rand.New(rand.NewPCG(rng.Uint64(), uint64(i)))
		wg.Go(func() {
			s := &session{w: n.w, rng: own}
			defer s.close()
			for id := i; pause(ctx, between(own, 0, time.Second)); {
				op := nameOp{[]string{"create", "drop", "look"}[own.IntN(3)], own.IntN(tableNames)}
				if n.ask(ctx, s, id, op) == unknown {
					id += namingClient // what it has asked may still come to pass, beside what it asks next
				}
			}
		})
	}
	wg.Wait()
}

// ask asks for op, and notes the answer.
func (n *names) ask(ctx context.Context, s *session, id int, op nameOp) nameAnswer {
	call := time.Since(n.mu.begin)
	err := s.do(ctx, func(ctx context.Context, c *pgx.Conn) error {
		var err error
		switch op.kind {
		case "create":
			_, err = c.Exec(ctx, fmt.Sprintf("CREATE TABLE named_%d (id INT PRIMARY KEY)", op.name))
		case "drop":
			_, err = c.Exec(ctx, fmt.Sprintf("DROP TABLE named_%d", op.name))
		default:
			_, err = c.Exec(ctx, fmt.Sprintf("SELECT id FROM named_%d WHERE id = 0", op.name))
		}
		return err
	})
	n.w.trace.printf("%s named_%d: %v", op.kind, op.name, err)
	answer := answerOf(err)
	if answer == unknown && (op.kind == "look" || refused(err)) {
		return done // it has no effect
	}
	end := int64(time.Since(n.mu.begin))
	if answer == unknown {
		end = math.MaxInt64
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.mu.history = append(n.mu.history, porcupine.Operation{ClientId: id, Input: op, Call: int64(call), Output: answer, Return: end})
	return answer
}

func answerOf(err error) nameAnswer {
	if err == nil {
		return done
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && (pg.Code == "42P07" || pg.Code == "42P01") {
		return already
	}
	return unknown
}

func (n *names) acknowledged() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.mu.history)
}

// linearLimit bounds the search for an order, in real time as a rule: nothing waits meanwhile.
const linearLimit = time.Minute

func (n *names) check(context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !linear(n.mu.history) {
		n.w.violate("there is no order in which these statements could have given their answers: %+v", n.mu.history)
	}
	return nil
}

// linear reports whether an order explains the answers. One that is not found in time is not held against anyone.
func linear(history []porcupine.Operation) bool {
	return porcupine.CheckOperationsTimeout(nameModel, history, linearLimit) != porcupine.Illegal
}

// nameModel is a name that is there or not.
var nameModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		out := make([][]porcupine.Operation, tableNames)
		for _, o := range history {
			i := o.Input.(nameOp).name
			out[i] = append(out[i], o)
		}
		return out
	},
	Init: func() any { return false },
	Step: func(state, input, output any) (bool, any) {
		there := state.(bool)
		switch answer := output.(nameAnswer); input.(nameOp).kind {
		case "create":
			return answer == unknown || there == (answer == already), true
		case "drop":
			return answer == unknown || there == (answer == done), false
		default:
			return there == (answer == done), there
		}
	},
}
