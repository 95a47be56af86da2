package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/millracedb/millrace/internal/clock"
)

// table lays rows out as psql does.
func table(names []string, right []bool, rows [][]string) string {
	width := make([]int, len(names))
	for i, n := range names {
		width[i] = utf8.RuneCountInString(n)
		for _, r := range rows {
			width[i] = max(width[i], utf8.RuneCountInString(r[i]))
		}
	}
	var b strings.Builder
	line := func(cells []string, header bool) {
		for i, c := range cells {
			if i > 0 {
				b.WriteString("|")
			}
			pad := width[i] - utf8.RuneCountInString(c)
			left := 0
			switch {
			case header:
				left = pad / 2
			case right[i]:
				left = pad
			}
			cell := " " + strings.Repeat(" ", left) + c + strings.Repeat(" ", pad-left) + " "
			if i == len(cells)-1 {
				cell = strings.TrimRight(cell, " ")
			}
			b.WriteString(cell)
		}
		b.WriteByte('\n')
	}
	line(names, true)
	for i, w := range width {
		if i > 0 {
			b.WriteByte('+')
		}
		b.WriteString(strings.Repeat("-", w+2))
	}
	b.WriteByte('\n')
	for _, r := range rows {
		line(r, false)
	}
	if len(rows) == 1 {
		b.WriteString("(1 row)\n")
	} else {
		fmt.Fprintf(&b, "(%d rows)\n", len(rows))
	}
	return b.String()
}

// barWidth is the length of the progress bar in characters.
const barWidth = 40

// progress draws a bar for bytes that pass through it.
type progress struct {
	out         io.Writer
	terminal    bool
	total, seen int
	drawn       int
	clock       clock.Clock
	start       time.Time
}

// Write implements io.Writer.
func (p *progress) Write(b []byte) (int, error) {
	p.seen += len(b)
	if filled := barWidth * p.seen / max(p.total, 1); p.terminal && filled != p.drawn {
		p.drawn = filled
		fmt.Fprintf(p.out, "\r[%s%s] %3d %%", strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled), 100*p.seen/max(p.total, 1))
	}
	return len(b), nil
}

func (p *progress) done(rows int64) {
	took := p.clock.Since(p.start)
	rate := float64(rows) / max(took.Seconds(), 1e-6)
	start := ""
	if p.terminal {
		start = "\r"
	}
	fmt.Fprintf(p.out, "%s[%s] 100 %%  COPY %d (%d ms, %.0f rows/s)\n", start, strings.Repeat("#", barWidth), rows, took.Milliseconds(), rate)
}
