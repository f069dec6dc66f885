package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"receiver/internal/logging"
)

// Results is standard output. When its reader has gone, writing to it ends the process by SIGPIPE,
// as it does other tools in a pipeline.
type Results struct{ file *os.File }

// NewResults returns the results that are written to file.
func NewResults(file *os.File) Results { return Results{file} }

// Write implements io.Writer.
func (r Results) Write(p []byte) (int, error) {
	n, err := r.file.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		signal.Reset(syscall.SIGPIPE)
		_, err = r.file.Write(p[n:])
	}
	return n, err
}

// Fd returns the file descriptor, for callers that check whether it is a terminal.
func (r Results) Fd() uintptr { return r.file.Fd() }

// LastWord writes to standard error and does not wait long for a reader: a process that has ended
// its work must end.
func LastWord(talk io.Writer, text string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = fmt.Fprint(talk, text)
	}()
	select {
	case <-done:
	case <-time.After(logging.LastWord):
	}
}
