package main

import (
	"io"
	"sync"
)

// logWriter writes the lines of a log that many goroutines write to. A line that comes
// alone is written at once; those that come while the last write is under way are written
// together. A write for each line would cost a busy receiver more than making the line.
type logWriter struct {
	w io.Writer

	mu      sync.Mutex
	lines   []byte
	changed *sync.Cond // lines were added or taken, or closing has begun
	closing bool
	done    chan struct{}
}

// mostLines is how many bytes may wait to be written; whoever comes then waits, too.
const mostLines = 1 << 20

func newLogWriter(w io.Writer) *logWriter {
	l := &logWriter{w: w, done: make(chan struct{})}
	l.changed = sync.NewCond(&l.mu)
	go l.run()
	return l
}

// Write takes a line over. What becomes of it is not known then: a log that cannot be
// written must stop nothing.
func (l *logWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.lines) >= mostLines && !l.closing {
		l.changed.Wait()
	}
	l.lines = append(l.lines, line...)
	l.changed.Broadcast()
	return len(line), nil
}

func (l *logWriter) run() {
	defer close(l.done)
	var spare []byte
	for {
		l.mu.Lock()
		for len(l.lines) == 0 && !l.closing {
			l.changed.Wait()
		}
		lines := l.lines
		l.lines = spare[:0]
		l.changed.Broadcast()
		l.mu.Unlock()
		if len(lines) == 0 {
			return
		}
		_, _ = l.w.Write(lines)
		spare = lines
	}
}

// Close returns when every line taken over before has been written. A line that comes
// later is lost.
func (l *logWriter) Close() {
	l.mu.Lock()
	l.closing = true
	l.changed.Broadcast()
	l.mu.Unlock()
	<-l.done
}
