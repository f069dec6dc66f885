// Command receiver-bench puts a known load of signed callbacks on a receiver of this machine, and
// measures the receiver against the least that any receiver has to do.
//
// It is a program of its own, so that what measures is no part of what is measured.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"receiver/internal/plain"
)

func main() {
	if program := os.Getenv(asProgram); program != "" {
		os.Exit(be(program))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// app is the streams that the program talks on: results go to out, everything else to talk.
type app struct{ out, talk io.Writer }

// run returns the exit code: 0 done, 1 failed, 2 wrong use.
func run(ctx context.Context, args []string, out, talk io.Writer) int {
	safe := plain.NewWriter(out) // a receiver's answers are among the results
	defer func() { _ = safe.Flush() }()
	a := &app{safe, talk}
	cmd := newBench(a)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	a.say("receiver-bench: %v", err)
	if errors.As(err, new(usageError)) {
		return 2
	}
	return 1
}

// usageError is wrong use: nothing was tried.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// say tells the person in front of the terminal; it is no result.
func (a *app) say(format string, args ...any) {
	fmt.Fprint(a.talk, plain.Lines(fmt.Sprintf(format+"\n", args...)))
}
