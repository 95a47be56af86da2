package bench

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// How much data the benchmarks load.
const (
	copyRows   = 200_000
	lookupRows = 100_000
	eventRows  = 1_000_000

	// users is how many groups the events fall into.
	users = 1_000
	// eventsPerMinute of event time.
	eventsPerMinute = 60_000
)

// dataSeed makes every run load the same rows.
const dataSeed = 20_010_101

// dataSets are made when first asked for.
type dataSets struct {
	accounts []byte
	events   []byte
}

// accountRows returns n rows for COPY: five columns, the first a key, in the order of the key.
func accountRows(n int) []byte {
	rnd := rand.New(rand.NewPCG(dataSeed, 1))
	var b []byte
	for i := range n {
		b = fmt.Appendf(b, "%d\taccount %d\t%d\t2026-01-01 %02d:%02d:%02d\tfiller of a length as rows have it\n", i, i, rnd.Int64N(1_000_000), i/3600%24, i/60%60, i%60)
	}
	return b
}

const accountColumns = "(id bigint PRIMARY KEY, name text, balance bigint, at timestamp, note text)"

func (s *dataSets) accountRows() []byte {
	if s.accounts == nil {
		s.accounts = accountRows(copyRows)
	}
	return s.accounts
}

// eventLines returns JSON objects, one a line; one in ten has failed.
func (s *dataSets) eventLines() []byte {
	if s.events != nil {
		return s.events
	}
	rnd := rand.New(rand.NewPCG(dataSeed, 2))
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range eventRows {
		status := "ok"
		if i%10 == 3 {
			status = "failed"
		}
		at := start.Add(time.Duration(i) * time.Minute / eventsPerMinute)
		s.events = fmt.Appendf(s.events, `{"id":%d,"user":"user-%d","amount":%.2f,"status":"%s","at":"%s","note":"checked out from the web shop"}`+"\n",
			i, rnd.IntN(users), rnd.Float64()*500, status, at.Format("2006-01-02T15:04:05.000Z"))
	}
	return s.events
}
