package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// Every line is there once and whole, those of one writer in their order, however many write.
func TestLogLinesAreWrittenWholeAndInOrder(t *testing.T) {
	var out bytes.Buffer
	l := newLogWriter(&out)
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
	l := newLogWriter(w)
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

// Who logs faster than can be written waits; nothing is dropped, and nothing grows.
func TestALogThatIsWrittenSlowlyHoldsItsWriters(t *testing.T) {
	r, w := io.Pipe()
	l := newLogWriter(w)
	line := bytes.Repeat([]byte("x"), 1000)
	done := make(chan struct{})
	const lines = 3 * mostLines / 1000
	go func() {
		defer close(done)
		for range lines {
			_, _ = l.Write(line)
		}
		l.Close()
		_ = w.Close() // it always succeeds
	}()
	read, err := io.Copy(io.Discard, r)
	<-done
	if err != nil || read != lines*1000 {
		t.Errorf("read %d bytes, %v, want %d", read, err, lines*1000)
	}
}

// Whoever reads our log may hang; callbacks are answered all the same, and we can end.
func TestALogThatIsNotWrittenStopsNothing(t *testing.T) {
	r, w := io.Pipe()
	l := newPatientLogWriter(w, 10*time.Millisecond)
	line := append(bytes.Repeat([]byte("x"), 999), '\n')
	const lines = 3 * mostLines / 1000
	for range lines { // or it hangs
		_, _ = l.Write(line)
	}
	l.Close() // or this does
	var read bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(&read, r)
	}()
	<-l.done // it goes on when it is read again
	_ = w.Close()
	<-done
	written := bytes.Count(read.Bytes(), line)
	var dropped int
	for text := range strings.Lines(read.String()) {
		var note struct{ Lines int }
		if json.Unmarshal([]byte(text), &note) == nil {
			dropped += note.Lines
		}
	}
	if written == 0 || dropped == 0 || written+dropped != lines {
		t.Errorf("%d lines were written and %d said to be dropped, of %d", written, dropped, lines)
	}
}
