package doctest

import (
	"os"
	"regexp"
	"strings"

	"github.com/millracedb/millrace/sql"
)

// page is a Markdown file as lines, which a rewrite changes in place.
type page struct {
	path  string
	lines []string
}

// example is a piece of a page that runs.
type example struct {
	line       int      // of its first statement, from 1
	statements []string // at least one
	// The expected answer stands in lines from to to (exclusive); from is 0 where the page shows none.
	from, to int
	// cell is set for a row of a table: the index of the line and of the result's cell in it.
	cell  int
	loose bool // the result is not compared
}

func readPage(path string) (*page, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return &page{path, strings.Split(string(data), "\n")}, nil
}

// examples finds what runs, from top to bottom.
func (p *page) examples() (out []example) {
	for i := 0; i < len(p.lines); i++ {
		line := p.lines[i]
		switch {
		case line == "```sql":
			e, next := p.block(i)
			out, i = append(out, e), next
		case strings.HasPrefix(line, "```"):
			for i++; i < len(p.lines) && !strings.HasPrefix(p.lines[i], "```"); i++ { // of another language
			}
		case strings.HasPrefix(line, "|") && i+1 < len(p.lines) && strings.HasPrefix(p.lines[i+1], "|-"):
			rows, next := p.table(i)
			out, i = append(out, rows...), next
		}
	}
	return out
}

// block reads a block of SQL that begins at line i, and the block of its answer.
func (p *page) block(i int) (e example, last int) {
	end := i + 1
	for end < len(p.lines) && p.lines[end] != "```" {
		end++
	}
	e.line = i + 2
	text := strings.Join(p.lines[i+1:end], "\n")
	parsed, err := sql.Parse(text, sql.Options{})
	if err != nil {
		e.statements = []string{text} // the node will say what is wrong with it
	}
	for _, s := range parsed {
		e.statements = append(e.statements, s.Text)
	}
	next := end + 1
	for next < len(p.lines) && p.lines[next] == "" {
		next++
	}
	if next >= len(p.lines) || p.lines[next] != "```" {
		return e, end
	}
	e.from = next + 1
	for e.to = e.from; e.to < len(p.lines) && p.lines[e.to] != "```"; e.to++ {
	}
	return e, e.to
}

// table reads a table whose header is line i.
func (p *page) table(i int) (out []example, last int) {
	head := cells(p.lines[i])
	example0, result, loose := -1, -1, false
	for n, h := range head {
		switch h {
		case "Example":
			example0 = n
		case "Result", "Result ~":
			result, loose = n, h != "Result"
		}
	}
	last = i + 1
	for n := i + 2; n < len(p.lines) && strings.HasPrefix(p.lines[n], "|"); n++ {
		last = n
		row := cells(p.lines[n])
		if example0 < 0 || result < 0 || len(row) != len(head) || row[example0] == "" {
			continue
		}
		out = append(out, example{line: n + 1, statements: []string{"SELECT " + uncode(row[example0])}, from: n, to: n + 1, cell: result, loose: loose})
	}
	return out, last
}

var cellEnd = regexp.MustCompile(`(?:\\.|[^\\|])*`)

// cells splits a row of a table; \| does not end a cell.
func cells(line string) []string {
	var out []string
	for rest := strings.TrimPrefix(strings.TrimSpace(line), "|"); rest != ""; {
		c := cellEnd.FindString(rest)
		out = append(out, strings.TrimSpace(c))
		rest = strings.TrimPrefix(rest[len(c):], "|")
	}
	return out
}

// uncode is the text of a cell of code.
func uncode(s string) string {
	s = strings.ReplaceAll(s, `\|`, "|")
	if strings.HasPrefix(s, "`` ") {
		return strings.TrimSuffix(strings.TrimPrefix(s, "`` "), " ``")
	}
	return strings.TrimSuffix(strings.TrimPrefix(s, "`"), "`")
}

// code is the cell of a text of code.
func code(s string) string {
	s = strings.ReplaceAll(s, "|", `\|`)
	if strings.Contains(s, "`") {
		return "`` " + s + " ``"
	}
	return "`" + s + "`"
}

// expected is the answer that the page shows.
func (p *page) expected(e example) string {
	if e.cell > 0 {
		return uncode(cells(p.lines[e.from])[e.cell])
	}
	return strings.Join(p.lines[e.from:e.to], "\n")
}

// replace puts another answer in; it tells by how many lines the page became longer.
func (p *page) replace(e example, answer string) int {
	if e.cell > 0 {
		row := cells(p.lines[e.from])
		row[e.cell] = code(answer)
		p.lines[e.from] = "| " + strings.Join(row, " | ") + " |"
		return 0
	}
	lines := strings.Split(answer, "\n")
	p.lines = append(append(append([]string{}, p.lines[:e.from]...), lines...), p.lines[e.to:]...)
	return len(lines) - (e.to - e.from)
}
