package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// logWriter writes the lines of a log that many goroutines write to: those that come within
// a millisecond, or while the last write is under way, are written together. A write for
// each line would cost a busy receiver more than making the line.
//
// A log that is written slowly holds its writers up; one that is not written at all stops
// nothing: lines that find no room are dropped, and counted in the next that is written.
type logWriter struct {
	w        io.Writer
	patience time.Duration

	mu      sync.Mutex
	lines   []byte
	dropped int        // lines since the last write that ended
	writes  int        // begun
	stalled bool       // the write under way takes longer than patience
	changed *sync.Cond // any of these has changed, or closing has begun
	closing bool
	done    chan struct{}
}

// linePause is how long a line waits for what comes with it.
const linePause = time.Millisecond

// mostLines is how many bytes may wait to be written, and logPatience how long a write may
// take before the log counts as one that is not written.
const (
	mostLines   = 1 << 20
	logPatience = time.Second
)

func newLogWriter(w io.Writer) *logWriter { return newPatientLogWriter(w, logPatience) }

func newPatientLogWriter(w io.Writer, patience time.Duration) *logWriter {
	l := &logWriter{w: w, patience: patience, done: make(chan struct{})}
	l.changed = sync.NewCond(&l.mu)
	go l.run()
	return l
}

// Write takes a line over. What becomes of it is not known then.
func (l *logWriter) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.lines) >= mostLines && !l.closing && !l.stalled {
		l.changed.Wait()
	}
	if len(l.lines) >= mostLines {
		l.dropped++
		return len(line), nil
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
		l.writes, l.stalled = l.writes+1, false
		for len(l.lines) == 0 && !l.closing {
			l.changed.Wait()
		}
		if !l.closing {
			l.mu.Unlock()
			<-time.After(linePause)
			l.mu.Lock()
		}
		write, lines := l.writes, l.lines
		l.lines = spare[:0]
		if l.dropped > 0 { // they came after these
			lines = fmt.Appendf(lines, `{"level":"warn","lines":%d,"message":"lines of the log were dropped: it was not written"}`+"\n", l.dropped)
			l.dropped = 0
		}
		l.changed.Broadcast()
		l.mu.Unlock()
		if len(lines) == 0 {
			return
		}
		late := time.AfterFunc(l.patience, func() { l.stall(write) })
		_, _ = l.w.Write(lines)
		late.Stop()
		spare = lines
	}
}

// stall notes that a write takes too long, if it is still under way.
func (l *logWriter) stall(write int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stalled = l.writes == write
	l.changed.Broadcast()
}

// Close returns when every line taken over before has been written, or when the log is not
// written any more. A line that comes later is lost.
func (l *logWriter) Close() {
	l.mu.Lock()
	l.closing = true
	l.changed.Broadcast()
	l.mu.Unlock()
	select {
	case <-l.done:
	case <-time.After(2 * l.patience):
	}
}
