package oracle

import "strings"

// A part of a query that is said differently on either side is written as both, between marks that no SQL holds.
const (
	forkOpen  = '\x01'
	forkNext  = '\x02'
	forkClose = '\x03'
)

// fork is a text that is one thing on this side and another on PostgreSQL's. Either may hold forks itself.
func fork(millrace, postgres string) string {
	return string(forkOpen) + millrace + string(forkNext) + postgres + string(forkClose)
}

// here is a query as it is said to Millrace, there as it is said to PostgreSQL.
func here(q string) string { return oneSide(q, false) }

func there(q string) string { return oneSide(q, true) }

func oneSide(q string, postgres bool) string {
	var out strings.Builder
	var second []bool // of the forks that are open
	for _, c := range q {
		switch c {
		case forkOpen:
			second = append(second, false)
			continue
		case forkNext:
			second[len(second)-1] = true
			continue
		case forkClose:
			second = second[:len(second)-1]
			continue
		}
		shown := true
		for _, s := range second {
			shown = shown && s == postgres
		}
		if shown {
			out.WriteRune(c)
		}
	}
	return out.String()
}
