package publish

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/sender"
)

// A batch does not wait for more callers once their bodies have reached its limit in bytes.
func TestBatchOfEventsIsLimitedInBytes(t *testing.T) {
	t.Parallel()
	const callers = 64
	for _, tt := range []struct{ body, want int }{{0, callers}, {512 << 10, 8}, {1 << 20, 4}} {
		g := &groupCommit{waiting: make(chan *pending, callers), lastConcurrency: callers}
		msg := &pending{msg: &message{data: make([]byte, tt.body)}}
		for range callers {
			g.waiting <- msg
		}
		batch := g.addWaiting([]*pending{<-g.waiting})
		if got := len(g.waitForMore(batch, time.Minute)); got != tt.want {
			t.Errorf("a batch of bodies of %d bytes holds %d, want %d", tt.body, got, tt.want)
		}
	}
}

// A batch whose acknowledgement is lost may be stored. The condition of an event prevents a second
// copy; attempts have no condition, and must not be sent again.
func TestLostAcknowledgementStoresNothingTwice(t *testing.T) {
	t.Parallel()
	b, line := onALine(t)
	for _, tt := range []struct {
		name   string
		g      *groupCommit
		make   func(i int) *message
		stored func() uint64
		fail   bool
	}{
		{"attempts", b.records, func(i int) *message { return b.attempt(refusal(i)) }, func() uint64 { return lastIn(t, b, conn.AttemptsStream) }, true},
		{"events", b.events, func(i int) *message { return sent(fmt.Sprint(i)) }, func() uint64 { return lastIn(t, b, conn.JobsStream) }, false},
	} {
		line.state.Store(cutAtAnswer)
		all := make([]*pending, 2*minBatch)
		for i := range all {
			all[i] = &pending{ctx: t.Context(), msg: tt.make(i), done: make(chan outcome, 1)}
		}
		tt.g.commit(all)
		for i, p := range all {
			if o := <-p.done; !errors.Is(o.err, conn.ErrUnavailable) && (tt.fail || !sender.Taken(o.err)) {
				t.Fatalf("%s: %d = %v, failing %v", tt.name, i, o.err, tt.fail)
			}
		}
		for deadline := time.Now().Add(time.Minute); !b.nc.IsConnected(); <-time.After(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the connection is not restored")
			}
		}
		if got := tt.stored(); got != uint64(len(all)) {
			t.Errorf("%s: %d are stored of %d", tt.name, got, len(all))
		}
		if _, err := tt.g.add(t.Context(), tt.make(len(all))); err != nil {
			t.Errorf("%s: after that: %v", tt.name, err)
		}
	}
}

// line is the way to a server that can be cut.
type line struct {
	server interface{ InProcessConn() (net.Conn, error) }
	state  atomic.Int32
}

// The states of a line.
const (
	open        = iota
	cutAtAnswer // it is cut at the next answer, and open again for the next connection
	silent      // nothing comes back
)

func (l *line) InProcessConn() (net.Conn, error) {
	up, err := l.server.InProcessConn()
	if err != nil {
		return nil, err
	}
	here, there := net.Pipe()
	go func() { _, _ = io.Copy(up, there) }()
	go func() {
		defer there.Close()
		defer up.Close()
		r := bufio.NewReader(up)
		for {
			text, err := r.ReadString('\n')
			if err != nil || strings.HasPrefix(text, "MSG ") && l.state.CompareAndSwap(cutAtAnswer, open) {
				return
			}
			if l.state.Load() != silent {
				fmt.Fprint(there, text)
			}
		}
	}()
	return here, nil
}

// onALine returns a store on a real server, and the line between the two.
func onALine(t *testing.T) (*Store, *line) {
	t.Helper()
	s, err := natsserver.Start(natsserver.Embedded{Folder: t.TempDir(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	at, err := s.Endpoint()
	if err != nil {
		t.Fatal(err)
	}
	l := &line{server: s}
	b, err := connect(t.Context(), at, l, conn.Options{Timeout: time.Minute, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	b.server = s
	t.Cleanup(func() { _ = b.Close(context.WithoutCancel(t.Context())) })
	return b, l
}

func sent(id string) *message {
	return &message{subject: "jobs.demo." + id + ".finished", header: header("ce-id", id), data: []byte("x")}
}

func refusal(i int) job.Attempt {
	return job.Attempt{Source: "demo", Verdict: "mismatch", SHA256: fmt.Sprint(i), Receipt: job.Receipt{Received: time.Now()}}
}

func lastIn(t *testing.T, b *Store, stream string) uint64 {
	t.Helper()
	last, err := b.LastSequence(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// Queued attempts do not delay the stop when the server answers nothing.
func TestStopEndsAtItsDeadline(t *testing.T) {
	b, line := onALine(t)
	b.opts.Timeout = 300 * time.Millisecond
	line.state.Store(silent)
	for i := range cap(b.queue.waiting) {
		b.Offer(func() job.Attempt { return refusal(i) })
	}
	ctx, cancel := context.WithTimeout(t.Context(), b.opts.Timeout)
	defer cancel()
	began := time.Now()
	if err := b.queue.stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stop = %v, want that its time was over", err)
	}
	if took := time.Since(began); took > 8*b.opts.Timeout { // 16 batches wait
		t.Errorf("stopping within %v took %v", b.opts.Timeout, took)
	}
}
