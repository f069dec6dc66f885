// Command receiver submits bulk jobs to SAP Open Connectors, accepts the callbacks,
// proves by HMAC that the platform sent them, and publishes exactly one verified
// event for each job to NATS JetStream.
//
// This package has one file for each command, signals and exit codes. The packages under internal
// do the work.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/config"
	"receiver/internal/input"
	"receiver/internal/logging"
	"receiver/internal/plain"
	"receiver/internal/remote"
	"receiver/internal/show"
)

// The exit codes.
const (
	exitDone    = 0 // done
	exitFailed  = 1 // tried and failed, or the answer is no
	exitUsage   = 2 // wrong use or configuration: nothing was tried
	exitUnknown = 3 // not known: what was asked for may have happened, or may still
)

func main() {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00" // callbacks come faster than once a second
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	// Otherwise a write to standard error whose reader has gone ends the process.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, results{os.Stdout}, os.Stderr))
}

// results is standard output. When its reader has gone, writing to it ends the process by SIGPIPE,
// as it does other tools in a pipeline.
type results struct{ file *os.File }

// Write implements io.Writer.
func (r results) Write(p []byte) (int, error) {
	n, err := r.file.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		signal.Reset(syscall.SIGPIPE)
		_, err = r.file.Write(p[n:])
	}
	return n, err
}

// Fd returns the file descriptor, for callers that check whether it is a terminal.
func (r results) Fd() uintptr { return r.file.Fd() }

// lastWord writes to standard error and does not wait long for a reader: a process that has ended
// its work must end.
func lastWord(talk io.Writer, text string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		fmt.Fprint(talk, text)
	}()
	select {
	case <-done:
	case <-time.After(logging.LastWord):
	}
}

// run runs one command and returns its exit code.
func run(ctx context.Context, args []string, in io.Reader, out, talk io.Writer) int {
	if plain.IsTerminal(out) { // which would obey what strangers wrote
		safe := plain.NewWriter(out)
		safe.Colours = plain.ColoursWanted(os.Getenv)
		defer func() { _ = safe.Flush() }() // nothing is left to report to
		out = safe
	}
	root := newRoot(&app{in: input.Reader(ctx, in), out: out, talk: talk})
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	var silent silentError
	var usage usageError
	var fault config.UseError
	var unknown unknownError
	if err == nil {
		return exitDone
	}
	failure := show.Failure(err, show.AsksForJSON(args))
	if errors.As(err, &silent) {
		return exitFailed
	}
	lastWord(talk, failure)
	switch {
	case errors.As(err, &unknown):
		return exitUnknown
	case errors.As(err, &usage), errors.As(err, &fault), errors.Is(err, remote.ErrUse):
		return exitUsage
	case cmd.Annotations[question] != "":
		return exitUnknown
	}
	return exitFailed
}

// usageError is wrong use or configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// question is the annotation of a command that prints its answer: of another error it is not known.
const question = "question"

// unknownError says that the answer is not known, neither yes nor no.
type unknownError struct{ error }

func (e unknownError) Unwrap() error { return e.error }

func unknownf(format string, args ...any) error { return unknownError{fmt.Errorf(format, args...)} }

// silentError is the answer no, already given on standard output.
type silentError struct{}

func (silentError) Error() string { return "" }
