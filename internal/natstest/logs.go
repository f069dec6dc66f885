package natstest

import (
	"bytes"
	"sync"

	"github.com/rs/zerolog"
)

// Logs collects what is logged.
type Logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *Logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns everything that was logged.
func (l *Logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Logger returns a logger that writes here.
func (l *Logs) Logger() zerolog.Logger { return zerolog.New(l) }
