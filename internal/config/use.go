package config

import "fmt"

// UseError is an error of a configuration that Load does not find: only its use does, before
// anything is tried.
type UseError struct{ error }

// UseErrorf returns a UseError with a text as fmt.Errorf makes it.
func UseErrorf(format string, args ...any) error { return UseError{fmt.Errorf(format, args...)} }

// Unwrap returns the error that it says.
func (e UseError) Unwrap() error { return e.error }
