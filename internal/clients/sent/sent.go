// Package sent holds the statements that PostgreSQL clients have been seen to send. README.md says how they came here and how its files are written. Tests of the
// parser, of the planner and of the whole server read the same statements.
package sent

import (
	"bufio"
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

//go:embed *.sql
var files embed.FS

// Statement is one statement that a client sends.
type Statement struct {
	File     string
	Line     int
	Extended bool     // it came in a Parse message, not in a Query
	Values   []string // of its parameters; without them it is described and not run
	Differs  string   // why its rows are not PostgreSQL's
	Other    bool     // not only its rows
	Text     string   // with placeholders for OIDs: see Fill
}

// header begins a statement: whether it came as Query or Parse, what the client was asked to do, values for parameters, and why rows differ.
var header = regexp.MustCompile(`^--- (simple|extended) (\S+)(?: values (\S+))?(?: (rows differ|answered otherwise): (.+))?$`)

// All returns the statements of all clients, in the order of files and lines.
func All() ([]Statement, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	var out []Statement
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		of := read(name, text)
		if len(of) == 0 {
			return nil, fmt.Errorf("%s has no statement", name)
		}
		out = append(out, of...)
	}
	return out, nil
}

func read(name string, text []byte) []Statement {
	var out []Statement
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, len(text)+1)
	for n := 1; lines.Scan(); n++ {
		if m := header.FindStringSubmatch(lines.Text()); m != nil {
			s := Statement{File: name, Line: n, Extended: m[1] == "extended", Differs: m[5], Other: m[4] == "answered otherwise"}
			if m[3] != "" {
				s.Values = strings.Split(m[3], ",")
			}
			out = append(out, s)
		} else if len(out) > 0 {
			out[len(out)-1].Text += lines.Text() + "\n"
		}
	}
	return out
}

var placeholder = regexp.MustCompile(`\{([a-z_]+)\}`)

// Fill puts OIDs in the place of the names of relations, types and functions that stand for them in a text.
func Fill(text string, oid func(name string) string) string {
	return placeholder.ReplaceAllStringFunc(text, func(name string) string { return oid(strings.Trim(name, "{}")) })
}

// Numbered returns the text with some OID for each placeholder, for tests without a database.
func (s Statement) Numbered() string {
	return strings.TrimSpace(Fill(s.Text, func(string) string { return "16403" }))
}
