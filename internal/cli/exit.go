// Package cli is what every command of a command line shares: how it ends, the errors that say so,
// required flags, and the forms of its output. It knows no command.
package cli

import (
	"errors"
	"fmt"
)

// The exit codes.
const (
	Done    = 0 // done
	Failed  = 1 // tried and failed, or the answer is no
	Usage   = 2 // wrong use or configuration: nothing was tried
	Unknown = 3 // not known: what was asked for may have happened, or may still
)

// UsageError is wrong use or configuration.
type UsageError struct{ error }

func (e UsageError) Unwrap() error { return e.error }

// Usagef makes a UsageError.
func Usagef(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// UnknownError says that the answer is not known, neither yes nor no.
type UnknownError struct{ error }

func (e UnknownError) Unwrap() error { return e.error }

// Unknownf makes an UnknownError.
func Unknownf(format string, args ...any) error { return UnknownError{fmt.Errorf(format, args...)} }

// SilentError is the answer no, already given on standard output.
type SilentError struct{}

func (SilentError) Error() string { return "" }

// Code returns the exit code of a command that ended with err. A question is a command that prints
// its answer: of another error it is not known.
func Code(err error, question bool) int {
	switch {
	case err == nil:
		return Done
	case is[SilentError](err):
		return Failed
	case is[UnknownError](err):
		return Unknown
	case is[UsageError](err):
		return Usage
	case question:
		return Unknown
	}
	return Failed
}

func is[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}
