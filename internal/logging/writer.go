// Package logging carries the lines of a log from many goroutines to standard error, and keeps them
// to a rate. It promises that an unread, full or missing log blocks no goroutine and ends no
// process, and that every line that is not written is counted and reported.
//
// It does not interpret the lines.
package logging

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Writer writes the lines of a log that many goroutines write to: those that come within a
// millisecond, or during a write, are written together, in their order. A write for each line
// would cost a busy receiver more than making the line.
//
// No caller waits for the log. Lines that find no room, or cannot be written, are dropped. Their
// number is the next thing that is written, as soon as writing works again.
type Writer struct {
	w       io.Writer
	note    func(lines uint64) []byte
	dropped atomic.Uint64

	mu      sync.Mutex
	lines   []byte
	missed  uint64 // lines that found no room since the last batch was taken
	wake    chan struct{}
	closing chan struct{}
	close   sync.Once
	done    chan struct{}

	// Of the goroutine that writes.
	unsaid uint64 // dropped lines that no note has reported yet
	torn   bool   // the last write ended within a line
}

const (
	linePause  = time.Millisecond // how long a line waits for others
	mostLines  = 4 << 20          // bytes that may wait
	mostSpare  = 1 << 20          // bytes that an idle writer keeps
	retryPause = time.Second      // between two tries to report dropped lines
	againPause = 20 * time.Millisecond

	// LastWord is how long Close waits at most for a log that is not read.
	LastWord = time.Second
)

// NewWriter returns a writer to w. note makes the line that reports dropped lines.
func NewWriter(w io.Writer, note func(lines uint64) []byte) *Writer {
	l := &Writer{
		w: w, note: note,
		wake: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
	}
	go l.run()
	return l
}

// Write takes one line over and never waits. It returns before the line is written.
func (l *Writer) Write(line []byte) (int, error) {
	l.mu.Lock()
	if len(l.lines)+len(line) > mostLines {
		l.missed++
		l.dropped.Add(1)
	} else {
		l.lines = append(l.lines, line...)
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return len(line), nil
}

// Dropped returns how many lines were dropped so far.
func (l *Writer) Dropped() uint64 { return l.dropped.Load() }

// Close returns when every line taken over before is written or dropped, after LastWord at the
// latest. A line that comes later is lost.
func (l *Writer) Close() {
	l.close.Do(func() { close(l.closing) })
	select {
	case <-l.done:
	case <-time.After(LastWord):
	}
}

func (l *Writer) run() {
	defer close(l.done)
	var spare []byte
	for {
		last := l.await()
		l.mu.Lock()
		lines, missed := l.lines, l.missed
		l.lines, l.missed = spare[:0], 0
		l.mu.Unlock()
		l.batch(lines, missed)
		if last {
			return
		}
		spare = lines
		if cap(spare) > mostSpare {
			spare = nil
		}
	}
}

// await returns when there is something to write, and reports whether that is the last.
func (l *Writer) await() (last bool) {
	var retry <-chan time.Time
	if l.unsaid > 0 {
		retry = time.After(retryPause)
	}
	select {
	case <-l.wake:
	case <-retry:
	case <-l.closing:
		return true
	}
	select {
	case <-time.After(linePause):
		return false
	case <-l.closing:
		return true
	}
}

// batch writes lines, and the number of dropped ones where they are missing.
func (l *Writer) batch(lines []byte, missed uint64) {
	if l.unsaid > 0 && !l.report() {
		l.drop(uint64(bytes.Count(lines, newline)), missed)
		return
	}
	l.drop(l.put(lines), missed)
	if l.unsaid > 0 {
		l.report()
	}
}

var newline = []byte("\n")

// drop notes lines that cannot be written, and lines that found no room and are counted already.
func (l *Writer) drop(unwritten, missed uint64) {
	l.dropped.Add(unwritten)
	l.unsaid += unwritten + missed
}

func (l *Writer) report() bool {
	if l.put(l.note(l.unsaid)) > 0 {
		return false
	}
	l.unsaid = 0
	return true
}

// put writes lines and returns how many of them were not written whole.
func (l *Writer) put(lines []byte) (unwritten uint64) {
	all := bytes.Count(lines, newline)
	if l.torn && all > 0 {
		lines = append([]byte("\n"), lines...)
	}
	for len(lines) > 0 {
		n, err := l.w.Write(lines)
		if n > 0 {
			l.torn = lines[n-1] != '\n'
		}
		lines = lines[n:]
		if err != nil && !l.again(err) {
			return uint64(min(all, bytes.Count(lines, newline)))
		}
	}
	return 0
}

// again reports, after a pause, whether a failed write is to be repeated: the terminal or pipe
// is shared with a program that made it non-blocking, and is full for now.
func (l *Writer) again(err error) bool {
	if !errors.Is(err, syscall.EAGAIN) {
		return false
	}
	<-time.After(againPause)
	return true
}
