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
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/rs/zerolog"

	"receiver/internal/cli"
	"receiver/internal/config"
	"receiver/internal/input"
	"receiver/internal/plain"
	"receiver/internal/remote"
	"receiver/internal/show"
)

func main() {
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00" // callbacks come faster than once a second
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	// Otherwise a write to standard error whose reader has gone ends the process.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, cli.NewResults(os.Stdout), os.Stderr))
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
	if err == nil {
		return exitDone
	}
	failure := show.Failure(err, show.AsksForJSON(args))
	if !errors.As(err, new(silentError)) {
		cli.LastWord(talk, failure)
	}
	if errors.As(err, new(config.UseError)) || errors.Is(err, remote.ErrUse) {
		err = usagef("%w", err)
	}
	return cli.Code(err, cmd.Annotations[cli.Question] != "")
}

// The exit codes, and what else commands share.
const (
	exitDone    = cli.Done
	exitFailed  = cli.Failed
	exitUsage   = cli.Usage
	exitUnknown = cli.Unknown
)

type (
	usageError   = cli.UsageError
	unknownError = cli.UnknownError
	silentError  = cli.SilentError
)

var (
	usagef   = cli.Usagef
	unknownf = cli.Unknownf
	required = cli.Required
)
