package pgwire

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

// postgresAddr names an environment variable: with the address of a PostgreSQL server that trusts user postgres, the
// scripts of testdata/protocol run against that server, to prove what they expect.
const postgresAddr = "PGWIRE_TEST_POSTGRES_ADDR"

// TestProtocolScripts runs the scripts of testdata/protocol. Each begins with a fresh connection that has had its first
// ReadyForQuery. Commands:
//
//	send             each line of input is a message: its type, then its fields as JSON where it has any
//	until T [T ...]  prints the messages up to the first T, then up to the next, one a line; see render
func TestProtocolScripts(t *testing.T) {
	addr := os.Getenv(postgresAddr)
	if addr == "" {
		_, addr = serveFake(t)
	}
	runProtocolScripts(t, addr)
}

// TestProtocolScriptsOverARelay: a client does not notice that another server runs its session.
func TestProtocolScriptsOverARelay(t *testing.T) {
	_, addr := serveRelayed(t, testConfig(newFakeBackend()))
	runProtocolScripts(t, addr)
}

func runProtocolScripts(t *testing.T, addr string) {
	datadriven.Walk(t, "testdata/protocol", func(t *testing.T, path string) {
		c := newRawClient(t, dial(t, addr))
		c.startup(map[string]string{"user": "postgres"}, pgproto3.ProtocolVersion30)
		c.until("ReadyForQuery")
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			return c.script(t, d)
		})
		c.sendAll(&pgproto3.Terminate{})
	})
}

// script runs a command of a script.
func (c *rawClient) script(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "send":
		for line := range strings.Lines(d.Input) {
			c.Send(parseScriptLine(t, strings.TrimSpace(line)))
		}
		require.NoError(t, c.Flush())
		return ""
	case "until":
		var out []string
		for _, arg := range d.CmdArgs {
			out = append(out, c.until(arg.Key)...)
		}
		return strings.Join(out, "\n") + "\n"
	}
	d.Fatalf(t, "unknown command %s", d.Cmd)
	return ""
}

var frontendTypes = map[string]func() pgproto3.FrontendMessage{
	"Bind":         func() pgproto3.FrontendMessage { return &pgproto3.Bind{} },
	"Close":        func() pgproto3.FrontendMessage { return &pgproto3.Close{} },
	"CopyData":     func() pgproto3.FrontendMessage { return &pgproto3.CopyData{} },
	"CopyDone":     func() pgproto3.FrontendMessage { return &pgproto3.CopyDone{} },
	"CopyFail":     func() pgproto3.FrontendMessage { return &pgproto3.CopyFail{} },
	"Describe":     func() pgproto3.FrontendMessage { return &pgproto3.Describe{} },
	"Execute":      func() pgproto3.FrontendMessage { return &pgproto3.Execute{} },
	"Flush":        func() pgproto3.FrontendMessage { return &pgproto3.Flush{} },
	"FunctionCall": func() pgproto3.FrontendMessage { return &pgproto3.FunctionCall{} },
	"Parse":        func() pgproto3.FrontendMessage { return &pgproto3.Parse{} },
	"Query":        func() pgproto3.FrontendMessage { return &pgproto3.Query{} },
	"Sync":         func() pgproto3.FrontendMessage { return &pgproto3.Sync{} },
}

func parseScriptLine(t *testing.T, line string) pgproto3.FrontendMessage {
	name, fields, _ := strings.Cut(line, " ")
	require.Contains(t, frontendTypes, name)
	m := frontendTypes[name]()
	if data, ok := m.(*pgproto3.CopyData); ok {
		text, err := strconv.Unquote(fields)
		require.NoError(t, err)
		data.Data = []byte(text)
	} else if fields != "" {
		require.NoError(t, json.Unmarshal([]byte(fields), m), line)
	}
	return m
}

func typeName(m pgproto3.BackendMessage) string {
	return strings.TrimPrefix(reflect.TypeOf(m).String(), "*pgproto3.")
}

// render writes a message on one line: its type, then the fields that clients rely on.
func render(m pgproto3.BackendMessage) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	switch m := m.(type) {
	case *pgproto3.RowDescription:
		for _, f := range m.Fields {
			add("%s:%d:%d:%d:%d:%d:%d", f.Name, f.TableOID, f.TableAttributeNumber, f.DataTypeOID, f.DataTypeSize, f.TypeModifier, f.Format)
		}
	case *pgproto3.DataRow:
		for _, v := range m.Values {
			if v == nil {
				add("NULL")
			} else {
				add("%q", v)
			}
		}
	case *pgproto3.CommandComplete:
		add("%s", m.CommandTag)
	case *pgproto3.ReadyForQuery:
		add("%c", m.TxStatus)
	case *pgproto3.ParameterDescription:
		add("%v", m.ParameterOIDs)
	case *pgproto3.ParameterStatus:
		add("%s=%s", m.Name, m.Value)
	case *pgproto3.ErrorResponse:
		add("%s", problem(m))
	case *pgproto3.NoticeResponse:
		add("%s", problem((*pgproto3.ErrorResponse)(m)))
	case *pgproto3.CopyData:
		add("%q", m.Data)
	case *pgproto3.CopyInResponse:
		add("%d %v", m.OverallFormat, m.ColumnFormatCodes)
	case *pgproto3.CopyOutResponse:
		add("%d %v", m.OverallFormat, m.ColumnFormatCodes)
	case *pgproto3.NotificationResponse:
		add("%s %q", m.Channel, m.Payload)
	}
	return strings.Join(append([]string{typeName(m)}, parts...), " ")
}

func problem(e *pgproto3.ErrorResponse) string {
	s := fmt.Sprintf("%s %s %s", e.Severity, e.Code, e.Message)
	if e.Position != 0 {
		s += fmt.Sprintf(" at %d", e.Position)
	}
	return s
}
