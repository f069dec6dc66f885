// Command receiver submits bulk jobs to SAP Open Connectors, accepts the callbacks,
// proves by HMAC that the platform sent them, and publishes exactly one verified
// event for each job to NATS JetStream.
//
// This package is the wiring: one file for each command, signals and exit codes. What
// the program does is decided in the packages under internal.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/rs/zerolog"
)

// The exit codes.
const (
	exitDone   = 0 // done
	exitFailed = 1 // tried and failed, or the answer is no
	exitUsage  = 2 // wrong use or configuration: nothing was tried
)

func main() {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00" // callbacks come faster than once a second
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run runs one command and returns its exit code.
func run(ctx context.Context, args []string, in io.Reader, out, talk io.Writer) int {
	root := newRoot(&app{in: in, out: out, talk: talk})
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	var silent silentError
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &silent):
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintf(talk, "receiver: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(talk, "receiver: %v\n", err)
	return exitFailed
}

// usageError is wrong use or configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// silentError is the answer no, already given on standard output.
type silentError struct{}

func (silentError) Error() string { return "" }
