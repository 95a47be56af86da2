// Package sqlerr is the error that a SQL user sees: an SQLSTATE, a message with the names the user wrote, and where it
// helps a detail, a hint and the position in the text. Every layer of the language half returns it; pgwire turns it into an
// ErrorResponse. An error that is not one of these is an internal error (XX000) by the time it reaches a client.
package sqlerr

import (
	"errors"
	"fmt"
)

// Code is an SQLSTATE: five characters, PostgreSQL 15 appendix A.
type Code string

// The codes in use.
const (
	SuccessfulCompletion         Code = "00000"
	Warning                      Code = "01000"
	ConnectionFailure            Code = "08006"
	ProtocolViolation            Code = "08P01"
	FeatureNotSupported          Code = "0A000"
	InvalidTransactionInit       Code = "0B000"
	CardinalityViolation         Code = "21000"
	DataException                Code = "22000"
	StringDataRightTruncation    Code = "22001"
	NumericValueOutOfRange       Code = "22003"
	InvalidDatetimeFormat        Code = "22007"
	DatetimeFieldOverflow        Code = "22008"
	DivisionByZero               Code = "22012"
	InvalidRegularExpression     Code = "2201B"
	InvalidRowCountInLimit       Code = "2201W"
	InvalidRowCountInOffset      Code = "2201X"
	InvalidParameterValue        Code = "22023"
	InvalidSQLJSONSubscript      Code = "22033"
	NonNumericSQLJSONItem        Code = "22036"
	SingletonSQLJSONItemRequired Code = "22038"
	SQLJSONArrayNotFound         Code = "22039"
	SQLJSONMemberNotFound        Code = "2203A"
	SQLJSONNumberNotFound        Code = "2203B"
	SQLJSONObjectNotFound        Code = "2203C"
	InvalidEscapeSequence        Code = "22025"
	InvalidTextRepresentation    Code = "22P02"
	InvalidBinaryRepresentation  Code = "22P03"
	BadCopyFileFormat            Code = "22P04"
	UntranslatableCharacter      Code = "22P05"
	CharacterNotInRepertoire     Code = "22021"
	ArraySubscriptError          Code = "2202E"
	NotNullViolation             Code = "23502"
	UniqueViolation              Code = "23505"
	CheckViolation               Code = "23514"
	InvalidCursorState           Code = "24000"
	InvalidTransactionState      Code = "25000"
	ActiveSQLTransaction         Code = "25001"
	NoActiveSQLTransaction       Code = "25P01"
	InFailedSQLTransaction       Code = "25P02"
	ReadOnlySQLTransaction       Code = "25006"
	InvalidSQLStatementName      Code = "26000"
	InvalidAuthorization         Code = "28000"
	InvalidPassword              Code = "28P01"
	DependentObjectsStillExist   Code = "2BP01"
	InvalidSavepoint             Code = "3B001"
	InvalidCatalogName           Code = "3D000"
	InvalidSchemaName            Code = "3F000"
	InvalidCursorName            Code = "34000"
	SerializationFailure         Code = "40001"
	StatementCompletionUnknown   Code = "40003"
	DeadlockDetected             Code = "40P01"
	SyntaxError                  Code = "42601"
	InsufficientPrivilege        Code = "42501"
	GroupingError                Code = "42803"
	WindowingError               Code = "42P20"
	DatatypeMismatch             Code = "42804"
	WrongObjectType              Code = "42809"
	CannotCoerce                 Code = "42846"
	UndefinedColumn              Code = "42703"
	UndefinedFunction            Code = "42883"
	UndefinedTable               Code = "42P01"
	UndefinedParameter           Code = "42P02"
	UndefinedObject              Code = "42704"
	DuplicateColumn              Code = "42701"
	DuplicateCursor              Code = "42P03"
	DuplicateSchema              Code = "42P06"
	DuplicateTable               Code = "42P07"
	DuplicateAlias               Code = "42712"
	DuplicateObject              Code = "42710"
	DuplicatePreparedStatement   Code = "42P05"
	AmbiguousColumn              Code = "42702"
	AmbiguousFunction            Code = "42725"
	InvalidColumnReference       Code = "42P10"
	InvalidGrantOperation        Code = "0LP01"
	SequenceGeneratorLimit       Code = "2200H"
	GeneratedAlways              Code = "428C9"
	InvalidTableDefinition       Code = "42P16"
	InvalidObjectDefinition      Code = "42P17"
	IndeterminateDatatype        Code = "42P18"
	InvalidName                  Code = "42602"
	ReservedName                 Code = "42939"
	InvalidSchemaDefinition      Code = "42P15"
	InsufficientResources        Code = "53000"
	DiskFull                     Code = "53100"
	OutOfMemory                  Code = "53200"
	TooManyConnections           Code = "53300"
	ProgramLimitExceeded         Code = "54000"
	StatementTooComplex          Code = "54001"
	TooManyArguments             Code = "54023"
	TooManyColumns               Code = "54011"
	ObjectNotInPrerequisiteState Code = "55000"
	ObjectInUse                  Code = "55006"
	LockNotAvailable             Code = "55P03"
	QueryCanceled                Code = "57014"
	AdminShutdown                Code = "57P01"
	CannotConnectNow             Code = "57P03"
	SystemError                  Code = "58000"
	IOError                      Code = "58030"
	DataCorrupted                Code = "XX001"
	NullValueNotAllowed          Code = "22004"
	InvalidRecursion             Code = "42P19"
	InternalError                Code = "XX000"
)

// Error is an error with an SQLSTATE. Build one with New and the With methods; test for one with errors.As or CodeOf.
type Error struct {
	Code     Code
	Severity string // "" means ERROR; otherwise FATAL, PANIC, WARNING, NOTICE
	Message  string
	Detail   string
	Hint     string
	// Position is 1 plus the byte offset into the statement's text; 0 when unknown. pgwire turns it into characters.
	Position int
	// Schema, Table, Column and Constraint name the object at fault, for drivers that report it.
	Schema, Table, Column, Constraint string
	cause                             error
}

// New returns an error with a message in the manner of fmt.Sprintf; a %w verb keeps its operand as the cause.
func New(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), cause: errors.Unwrap(err)}
}

// Error returns the message and the SQLSTATE.
func (e *Error) Error() string { return e.Message + " (SQLSTATE " + string(e.Code) + ")" }

// Unwrap returns the cause given to New with %w, or nil.
func (e *Error) Unwrap() error { return e.cause }

// WithDetail sets the detail and returns e.
func (e *Error) WithDetail(format string, args ...any) *Error {
	e.Detail = fmt.Sprintf(format, args...)
	return e
}

// WithHint sets the hint, which says what to do, and returns e.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// At sets the position, a byte offset into the statement's text, and returns e. It keeps a position already set.
func (e *Error) At(offset int) *Error {
	if e.Position == 0 && offset >= 0 {
		e.Position = offset + 1
	}
	return e
}

// From returns err as an *Error: itself if it is one, else an XX000 that wraps it; nil for nil.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: InternalError, Message: err.Error(), cause: err}
}

// CodeOf returns the SQLSTATE of err: 00000 for nil, XX000 for an error that carries none.
func CodeOf(err error) Code {
	if err == nil {
		return SuccessfulCompletion
	}
	return From(err).Code
}
