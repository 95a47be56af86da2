package pgwire

import "slices"

// ReportedParameters are the parameters whose values are sent at start-up and again when they change: PostgreSQL 15's
// thirteen (chapter "Message Flow", Asynchronous Operations) and one of ours, by which a client can tell what it talks to.
// JDBC closes a connection whose client_encoding is not UTF8 or whose DateStyle does not start with ISO.
var ReportedParameters = []string{
	"application_name",
	"client_encoding",
	"DateStyle",
	"default_transaction_read_only",
	"in_hot_standby",
	"integer_datetimes",
	"IntervalStyle",
	"is_superuser",
	"server_encoding",
	"server_version",
	"session_authorization",
	"standard_conforming_strings",
	"TimeZone",
	"millrace_version",
}

// IsReported tells whether name, spelt as in ReportedParameters, is sent to clients.
func IsReported(name string) bool { return slices.Contains(ReportedParameters, name) }
