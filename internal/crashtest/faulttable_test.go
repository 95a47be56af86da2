//go:build faults && linux

package crashtest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// table prints the cycles as they end, and what they come to, in Markdown.
type table struct {
	meters []*meter
	faults []string // in the order of their first cycle
	rows   map[string][]row
	all    []row
}

func newTable(meters []*meter) *table {
	tb := &table{meters: meters, rows: map[string][]row{}}
	tb.head("| cycle | fault | node |", "| whole again | errors of producers | ended by themselves | rows so far | wrong |")
	return tb
}

func (tb *table) head(before, behind string) {
	line := before
	for _, m := range tb.meters {
		line += " " + m.name + " |"
	}
	line += behind[1:]
	fmt.Println(line)
	fmt.Println(strings.Repeat("|---", strings.Count(line, "|")-1) + "|")
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f", d.Seconds()) }

func (tb *table) add(n int, r row) {
	line := fmt.Sprintf("| %d | %s | %s |", n, r.fault, r.node)
	producers := 0
	for i, m := range tb.meters {
		if i < len(r.pauses) {
			line += " " + seconds(r.pauses[i]) + " |"
			if m.producer {
				producers += r.errs[i]
			}
		} else {
			line += " |"
		}
	}
	fmt.Printf("%s %s | %d | %d | %d | %s |\n", line, seconds(r.healed), producers, r.ends, r.rows, r.wrong)
	for _, said := range r.said {
		fmt.Println("  " + said)
	}
	if tb.rows[r.fault] == nil {
		tb.faults = append(tb.faults, r.fault)
	}
	tb.rows[r.fault], tb.all = append(tb.rows[r.fault], r), append(tb.all, r)
}

// summary prints the median and the longest pause of each client by fault, in seconds.
func (tb *table) summary() {
	fmt.Println("\nLongest time without a success in a cycle, median / slowest cycle, in seconds:")
	tb.head("| fault | cycles |", "| whole again |")
	slices.Sort(tb.faults)
	wrong := 0
	for _, name := range tb.faults {
		rows := tb.rows[name]
		line := fmt.Sprintf("| %s | %d |", name, len(rows))
		of := func(pick func(row) time.Duration) {
			var all []time.Duration
			for _, r := range rows {
				if r.pauses != nil {
					all = append(all, pick(r))
				}
			}
			if len(all) == 0 {
				line += " |"
				return
			}
			slices.Sort(all)
			line += fmt.Sprintf(" %s / %s |", seconds(all[len(all)/2]), seconds(all[len(all)-1]))
		}
		for i := range tb.meters {
			of(func(r row) time.Duration { return r.pauses[i] })
		}
		of(func(r row) time.Duration { return r.healed })
		fmt.Println(line)
	}
	ends := 0
	for _, r := range tb.all {
		ends += r.ends
		if r.wrong != "" {
			wrong++
		}
	}
	last := row{}
	if len(tb.all) > 0 {
		last = tb.all[len(tb.all)-1]
	}
	fmt.Printf("\n%d cycles, %d of them wrong; %d rows; %d times a process ended by itself and was started again\n", len(tb.all), wrong, last.rows, ends)
}
