//go:build e2e

package main_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// told is a message of JOBS or ATTEMPTS as any consumer sees it.
type told struct {
	sequence uint64
	subject  string
	header   nats.Header
	data     []byte
}

// kind is the last word of the subject: the kind of an event, the verdict on an attempt.
func (m told) kind() string { return m.subject[strings.LastIndexByte(m.subject, '.')+1:] }

// view is the header receiver-job.
type view struct {
	ID, Status, Result string
	Records, Failed    *int
	Payload            json.RawMessage
}

func (m told) view(t *testing.T) view {
	t.Helper()
	var v view
	if err := json.Unmarshal([]byte(m.header.Get("receiver-job")), &v); err != nil {
		t.Errorf("%s at %d: receiver-job: %v", m.subject, m.sequence, err)
	}
	return v
}

// ledger is the contents of the streams, in their order.
type ledger struct {
	mu       sync.Mutex
	jobs     map[string][]told // events by job
	events   map[string]int    // by kind
	attempts map[string][]told // by verdict
	last     map[string]uint64 // sequence by stream
	changed  chan struct{}     // closed and replaced by every message
}

// readLedger reads both streams from their beginning to the end of the test.
func readLedger(t *testing.T, js jetstream.JetStream) *ledger {
	t.Helper()
	l := &ledger{
		jobs: map[string][]told{}, events: map[string]int{}, attempts: map[string][]told{},
		last: map[string]uint64{}, changed: make(chan struct{}),
	}
	for _, stream := range []string{"JOBS", "ATTEMPTS"} {
		ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
		defer cancel()
		consumer, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{})
		if err != nil {
			t.Fatal(err)
		}
		consuming, err := consumer.Consume(func(m jetstream.Msg) {
			meta, err := m.Metadata()
			if err != nil {
				t.Errorf("%s: %v", m.Subject(), err)
				return
			}
			l.add(stream, told{sequence: meta.Sequence.Stream, subject: m.Subject(), header: m.Headers(), data: m.Data()})
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			consuming.Stop()
			<-consuming.Closed()
		})
	}
	return l
}

func (l *ledger) add(stream string, m told) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.sequence <= l.last[stream] {
		return // a consumer that had to start again
	}
	l.last[stream] = m.sequence
	if stream == "JOBS" {
		id := m.header.Get("ce-subject")
		l.jobs[id] = append(l.jobs[id], m)
		l.events[m.kind()]++
	} else {
		l.attempts[m.kind()] = append(l.attempts[m.kind()], m)
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// complete waits for the last message of each stream. If no process writes any more, the ledger
// does not change after it, and may be read without the lock.
func (l *ledger) complete(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	for _, stream := range []string{"JOBS", "ATTEMPTS"} {
		last := state(t, js, stream).LastSeq
		l.await(t, "the last message of "+stream, func(l *ledger) bool { return l.last[stream] >= last })
	}
}

// await returns as soon as the ledger is as wanted. The func done may only read its argument.
func (l *ledger) await(t *testing.T, what string, done func(*ledger) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longTimeout)
	defer cancel()
	for {
		l.mu.Lock()
		ok, changed := done(l), l.changed
		events := len(l.jobs)
		l.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("waiting for %s, with %d jobs heard of: %v", what, events, ctx.Err())
		}
	}
}

// of returns the events of a job of one kind. Its caller holds the lock, or is given l
// by await.
func (l *ledger) of(id, kind string) []told {
	var found []told
	for _, m := range l.jobs[id] {
		if m.kind() == kind {
			found = append(found, m)
		}
	}
	return found
}

// story returns the kinds of a job's events with their most important field, in order. Its caller
// holds the lock.
func (l *ledger) story(id string) []string {
	var words []string
	for _, m := range l.jobs[id] {
		word := m.kind() + " " + m.header.Get("ce-evidence")
		if status := m.header.Get("ce-status"); status != "" {
			word += " " + status
		}
		if m.header.Get("ce-expected") == "false" {
			word += " unexpected"
		}
		words = append(words, word)
	}
	return words
}
