package sqllogictest

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxIncludes bounds how deep files may include one another.
const maxIncludes = 8

// kind is what a record asks for.
type kind int

const (
	kindStatement kind = iota
	kindQuery
	kindPush
	kindCopy
	kindCopyOut
	kindLet
	kindConnection
	kindRestart
	kindTimeout
	kindHalt
)

// record is one step of a script.
type record struct {
	kind kind
	file string
	line int // of the directive, from 1
	sql  string

	// a condition on the engine; empty: none
	onlyIf, skipIf string

	// statement
	wantState string // SQLSTATE; empty: it must succeed
	wantError *regexp.Regexp
	wantCount int64 // rows; -1: any

	// query and push
	types              string
	sort               string // nosort, rowsort, valuesort
	names              bool
	label              string
	rows               []string
	resultLo, resultHi int // lines of the expected rows, from 0, half open; in the script's own file
	pushRows           int

	name    string // let, connection
	timeout time.Duration
}

func (r *record) pos() string { return fmt.Sprintf("%s:%d", r.file, r.line) }

// Script is a parsed file with what it includes.
type Script struct {
	// Path is the file's name as given to Parse.
	Path string
	// NoRestart says that the script holds state of a session, see the package documentation.
	NoRestart bool

	lines   []string
	records []*record
	results map[*record]result // of the last run, for Rewritten
}

// Statements counts the records that talk to the server: Options.RestartAt chooses one of them.
func (s *Script) Statements() int {
	n := 0
	for _, r := range s.records {
		if r.kind <= kindLet {
			n++
		}
	}
	return n
}

// Parse reads a script and the files it includes. Errors name file and line.
func Parse(files fs.FS, name string) (*Script, error) {
	s := &Script{Path: name}
	lines, err := readLines(files, name)
	if err != nil {
		return nil, err
	}
	s.lines = lines
	s.records, err = s.parseFile(files, name, lines, 0)
	return s, err
}

func readLines(files fs.FS, name string) ([]string, error) {
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), nil
}

// parser reads one file.
type parser struct {
	script *Script
	files  fs.FS
	file   string
	lines  []string
	at     int // next line
	depth  int

	onlyIf, skipIf string // of the next record
	records        []*record
}

func (s *Script) parseFile(files fs.FS, name string, lines []string, depth int) ([]*record, error) {
	p := &parser{script: s, files: files, file: name, lines: lines, depth: depth}
	for p.at < len(p.lines) {
		line := strings.TrimSpace(p.lines[p.at])
		p.at++
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := p.directive(strings.Fields(line)); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, p.at, err)
		}
	}
	return p.records, nil
}

// directive parses a record whose first line is words.
func (p *parser) directive(words []string) error {
	r := &record{file: p.file, line: p.at, wantCount: -1}
	args := words[1:]
	switch words[0] {
	case "onlyif", "skipif":
		return p.condition(words[0], args)
	case "include":
		return p.include(args)
	case "norestart":
		p.script.NoRestart = true
		return nil
	}
	r.onlyIf, r.skipIf, p.onlyIf, p.skipIf = p.onlyIf, p.skipIf, "", ""
	var err error
	switch words[0] {
	case "statement":
		err = p.statement(r, args)
	case "query":
		r.kind = kindQuery
		err = p.query(r, args)
	case "copy":
		r.kind = kindCopy
		if err = p.statement(r, args); err == nil {
			p.rows(r)
		}
	case "copyout":
		r.kind = kindCopyOut
		err = p.query(r, args)
	case "push":
		err = p.push(r, args)
	case "let":
		err = p.let(r, args)
	case "connection":
		r.kind = kindConnection
		r.name, err = one("connection name", args)
	case "restart":
		r.kind = kindRestart
	case "halt":
		r.kind = kindHalt
	case "timeout":
		var text string
		r.kind = kindTimeout
		if text, err = one("timeout duration", args); err == nil {
			r.timeout, err = time.ParseDuration(text)
		}
	default:
		err = fmt.Errorf("unknown directive %q; known: statement, query, push, copy, copyout, let, connection, restart, norestart, include, skipif, onlyif, timeout, halt", words[0])
	}
	p.records = append(p.records, r)
	return err
}

func one(form string, args []string) (string, error) {
	if len(args) != 1 {
		return "", fmt.Errorf("want: %s", form)
	}
	return args[0], nil
}

func (p *parser) condition(word string, args []string) error {
	engine, err := one(word+" engine", args)
	if word == "onlyif" {
		p.onlyIf = engine
	} else {
		p.skipIf = engine
	}
	return err
}

func (p *parser) include(args []string) error {
	name, err := one("include file", args)
	if err != nil {
		return err
	}
	if p.depth == maxIncludes {
		return fmt.Errorf("files include one another more than %d deep", maxIncludes)
	}
	name = path.Join(path.Dir(p.file), name)
	lines, err := readLines(p.files, name)
	if err != nil {
		return err
	}
	records, err := p.script.parseFile(p.files, name, lines, p.depth+1)
	p.records = append(p.records, records...)
	return err
}

var sqlState = regexp.MustCompile(`^[0-9A-Z]{5}$`)

func (p *parser) statement(r *record, args []string) error {
	const form = "ok | count n | error SQLSTATE [regular expression]"
	if len(args) == 0 {
		return fmt.Errorf("want: %s", form)
	}
	switch {
	case args[0] == "ok" && len(args) == 1:
	case args[0] == "count" && len(args) == 2:
		n, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("want: %s", form)
		}
		r.wantCount = n
	case args[0] == "error" && len(args) >= 2 && sqlState.MatchString(args[1]):
		r.wantState = args[1]
		if len(args) > 2 {
			re, err := regexp.Compile(strings.Join(args[2:], " "))
			if err != nil {
				return err
			}
			r.wantError = re
		}
	default:
		return fmt.Errorf("want: %s", form)
	}
	var err error
	r.sql, err = p.text()
	return err
}

// text reads the SQL: everything up to a blank line or the line of dashes, which is left.
func (p *parser) text() (string, error) {
	from := p.at
	for p.at < len(p.lines) && strings.TrimSpace(p.lines[p.at]) != "" && p.lines[p.at] != "----" {
		p.at++
	}
	if p.at == from {
		return "", fmt.Errorf("SQL is missing")
	}
	return strings.Join(p.lines[from:p.at], "\n"), nil
}

const typeLetters = "BINFTDXUJAO?"

func (p *parser) query(r *record, args []string) error {
	r.sort = "nosort"
	if len(args) > 0 && strings.Trim(args[0], typeLetters) == "" {
		r.types, args = args[0], args[1:]
	}
	for _, a := range args {
		switch {
		case a == "nosort" || a == "rowsort" || a == "valuesort":
			r.sort = a
		case a == "names":
			r.names = true
		case r.label == "":
			r.label = a
		default:
			return fmt.Errorf("two labels, %q and %q", r.label, a)
		}
	}
	var err error
	if r.sql, err = p.text(); err != nil {
		return err
	}
	p.rows(r)
	return nil
}

// rows reads the line of dashes and what follows it up to a blank line.
func (p *parser) rows(r *record) {
	if p.at < len(p.lines) && p.lines[p.at] == "----" {
		p.at++
	}
	r.resultLo = p.at
	for p.at < len(p.lines) && strings.TrimSpace(p.lines[p.at]) != "" {
		p.at++
	}
	r.resultHi = p.at
	r.rows = slices.Clone(p.lines[r.resultLo:r.resultHi])
}

func (p *parser) push(r *record, args []string) error {
	r.kind = kindPush
	if len(args) == 0 {
		return fmt.Errorf("want: push n types [sort]")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 {
		return fmt.Errorf("push: %q is no number of rows", args[0])
	}
	r.pushRows = n
	return p.query(r, args[1:])
}

var variableName = regexp.MustCompile(`^\$[a-zA-Z][a-zA-Z0-9_]*$`)

func (p *parser) let(r *record, args []string) error {
	r.kind = kindLet
	name, err := one("let $name", args)
	if err != nil {
		return err
	}
	if !variableName.MatchString(name) {
		return fmt.Errorf("let: %q is no variable; a variable is $ and a name", name)
	}
	r.name = name[1:]
	r.sql, err = p.text()
	return err
}
