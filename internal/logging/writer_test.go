package logging_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"receiver/internal/logging"
)

func note(lines uint64) []byte { return fmt.Appendf(nil, "dropped %d\n", lines) }

// dropped adds up what the notes in a log report.
func dropped(t *testing.T, log string) (lines, notes uint64) {
	t.Helper()
	for line := range strings.Lines(log) {
		var n uint64
		if _, err := fmt.Sscanf(line, "dropped %d\n", &n); err == nil {
			lines, notes = lines+n, notes+1
		}
	}
	return lines, notes
}

// Every line is there once and whole, those of one writer in their order, however many write.
func TestLogLinesAreWrittenWholeAndInOrder(t *testing.T) {
	var out bytes.Buffer
	l := logging.NewWriter(&out, note)
	const writers, each = 16, 500
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				fmt.Fprintf(l, "writer %d line %d\n", w, i)
			}
		})
	}
	wg.Wait()
	l.Close()
	next := map[int]int{}
	for line := range strings.Lines(out.String()) {
		var w, i int
		if _, err := fmt.Sscanf(line, "writer %d line %d\n", &w, &i); err != nil || i != next[w] {
			t.Fatalf("line %q, want line %d of its writer", line, next[w])
		}
		next[w]++
	}
	for w := range writers {
		if next[w] != each {
			t.Errorf("writer %d has %d lines, want %d", w, next[w], each)
		}
	}
}

// A line that comes alone waits for no other, and lines that come during a write come together.
func TestALogLineAloneIsWrittenAtOnce(t *testing.T) {
	r, w := io.Pipe()
	l := logging.NewWriter(w, note)
	fmt.Fprintln(l, "first")
	got := make([]byte, 100)
	n, err := r.Read(got[:1]) // its write is under way from here on
	if err != nil || n != 1 {
		t.Fatal(err)
	}
	fmt.Fprintln(l, "second")
	fmt.Fprintln(l, "third")
	for _, want := range []string{"irst\n", "second\nthird\n"} {
		if n, err := r.Read(got); err != nil || string(got[:n]) != want {
			t.Errorf("read %q, %v, want %q", got[:n], err, want)
		}
	}
	l.Close()
}

// The reader of the log may hang: no line waits for it, the process can end, and the reader gets
// the number of missing lines once it reads again.
func TestUnreadLogDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		l := logging.NewWriter(w, note)
		line := append(bytes.Repeat([]byte("x"), 999), '\n')
		const lines = 20_000
		began := time.Now()
		for range lines {
			_, _ = l.Write(line)
		}
		if waited := time.Since(began); waited > 0 {
			t.Errorf("the lines took %v, want no wait", waited)
		}
		l.Close() // or it hangs
		if took := time.Since(began); took > logging.LastWord {
			t.Errorf("Close took %v, want at most %v", took, logging.LastWord)
		}
		var read bytes.Buffer
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.Copy(&read, r)
		}()
		synctest.Wait() // it goes on when it is read again
		_ = w.Close()
		<-done
		written := uint64(bytes.Count(read.Bytes(), line))
		lost, notes := dropped(t, read.String())
		if written == 0 || lost == 0 || written+lost != lines || notes != 1 || lost != l.Dropped() {
			t.Errorf("%d lines were written and %d reported by %d notes, of %d; Dropped() = %d", written, lost, notes, lines, l.Dropped())
		}
	})
}

// broken is a log whose writes fail for as long as there is an error, after some bytes.
type broken struct {
	mu    sync.Mutex
	err   error
	first int // bytes that the first failing write takes
	out   bytes.Buffer
}

func (b *broken) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		return b.out.Write(p)
	}
	n, _ := b.out.Write(p[:min(b.first, len(p))])
	b.first = 0
	return n, b.err
}

// text returns what was written so far.
func (b *broken) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.String()
}

func (b *broken) set(err error, first int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err, b.first = err, first
}

func TestLinesThatCannotBeWrittenAreReported(t *testing.T) {
	for _, row := range []struct {
		name  string
		err   error
		first int
		want  string
	}{
		{"nobody has the pipe open", syscall.EPIPE, 0, "before\ndropped 3\nafter\n"},
		{"the disk is full", syscall.ENOSPC, 0, "before\ndropped 3\nafter\n"},
		{"the disk is full within a line", syscall.ENOSPC, 4, "before\nline\ndropped 3\nafter\n"},
		{"the disk is full after a line", syscall.ENOSPC, 7, "before\nline 0\ndropped 2\nafter\n"},
		{"the disk is broken", syscall.EIO, 0, "before\ndropped 3\nafter\n"},
		{"a shared terminal is full", syscall.EAGAIN, 0, "before\nline 0\nline 1\nline 2\nafter\n"},
		{"a shared terminal is full within a line", syscall.EAGAIN, 4, "before\nline 0\nline 1\nline 2\nafter\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out broken
				l := logging.NewWriter(&out, note)
				fmt.Fprintln(l, "before")
				time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
				out.set(row.err, row.first)
				for i := range 3 {
					fmt.Fprintln(l, "line", i)
				}
				time.Sleep(10 * time.Second) //nolint:forbidigo // in a synctest bubble
				out.set(nil, 0)
				time.Sleep(2 * time.Second) //nolint:forbidigo // in a synctest bubble
				if !errors.Is(row.err, syscall.EAGAIN) && !strings.Contains(out.text(), "dropped") {
					t.Errorf("%q: nothing was reported before the next line", out.text())
				}
				fmt.Fprintln(l, "after")
				l.Close()
				if got := out.text(); got != row.want {
					t.Errorf("the log has %q, want %q", got, row.want)
				}
				if lost, _ := dropped(t, row.want); lost != l.Dropped() {
					t.Errorf("Dropped() = %d, want %d", l.Dropped(), lost)
				}
			})
		})
	}
}

// An end while the log cannot be written is an end.
func TestAWriterEndsOnABrokenLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out broken
		out.set(errors.New("broken"), 0)
		l := logging.NewWriter(&out, note)
		fmt.Fprintln(l, "line")
		began := time.Now()
		l.Close()
		l.Close() // twice is once
		if took := time.Since(began); took > 0 || l.Dropped() != 1 {
			t.Errorf("Close took %v and Dropped() = %d, want 0 and 1", took, l.Dropped())
		}
	})
}
