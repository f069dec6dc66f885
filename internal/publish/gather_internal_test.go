package publish

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/job"
)

// A crowd with large bodies is not waited for until its batch is larger than it may be.
func TestACrowdIsAwaitedUpToABound(t *testing.T) {
	const crowd = 64
	for _, tt := range []struct{ body, want int }{{0, crowd}, {512 << 10, 8}, {1 << 20, 4}} {
		g := &gatherer{waiting: make(chan *pending, crowd), crowd: crowd}
		msg := &pending{msg: &message{data: make([]byte, tt.body)}}
		for range crowd {
			g.waiting <- msg
		}
		batch := g.gather([]*pending{<-g.waiting})
		if got := len(g.await(batch, time.Minute)); got != tt.want {
			t.Errorf("a batch of bodies of %d bytes holds %d, want %d", tt.body, got, tt.want)
		}
	}
}

// A batch whose acknowledgement is lost may be stored. Events are stored once by their
// condition; attempts have none, and must not be sent again.
func TestALostAcknowledgementDoublesNothing(t *testing.T) {
	_, b, _ := toServer(t)
	connect := b.server.InProcessConn
	cut := make(chan struct{}, 1)
	b.wire = newWire(func() (net.Conn, error) {
		up, err := connect()
		if err != nil {
			return nil, err
		}
		select {
		case <-cut:
			return cutAtAnswer(up), nil
		default:
			return up, nil
		}
	}, b.server.owner, 4096)
	t.Cleanup(b.wire.close)
	for _, tt := range []struct {
		name   string
		g      *gatherer
		make   func(i int) *message
		stored func() uint64
		fail   bool
	}{
		{"attempts", b.records, func(i int) *message { return b.attempt(refusal(i)) }, func() uint64 { return lastIn(t, b, AttemptsStream) }, true},
		{"events", b.events, func(i int) *message { return sent(fmt.Sprint(i), "x") }, func() uint64 { return lastIn(t, b, JobsStream) }, false},
	} {
		cut <- struct{}{}
		all := make([]*pending, 2*minBatch)
		for i := range all {
			all[i] = &pending{ctx: t.Context(), msg: tt.make(i), done: make(chan outcome, 1)}
		}
		tt.g.commit(all)
		for i, p := range all {
			if o := <-p.done; errors.Is(o.err, ErrUnavailable) != tt.fail || !tt.fail && !isTaken(o.err) {
				t.Fatalf("%s: %d = %v, failing %v", tt.name, i, o.err, tt.fail)
			}
		}
		if got := tt.stored(); got != uint64(len(all)) {
			t.Errorf("%s: %d are stored of %d", tt.name, got, len(all))
		}
		if _, err := tt.g.publish(t.Context(), tt.make(len(all))); err != nil {
			t.Errorf("%s: after that: %v", tt.name, err)
		}
		b.wire.cut(b.wire.link, io.EOF) // so that the next one connects anew
	}
}

// cutAtAnswer returns a link to a server that is cut when the first acknowledgement comes.
func cutAtAnswer(up net.Conn) net.Conn {
	here, there := net.Pipe()
	go func() { _, _ = io.Copy(up, there) }()
	go func() {
		defer there.Close()
		defer up.Close()
		r := bufio.NewReader(up)
		for {
			line, err := r.ReadString('\n')
			if err != nil || strings.HasPrefix(line, "MSG ") {
				return
			}
			fmt.Fprint(there, line)
		}
	}()
	return here
}

func refusal(i int) job.Attempt {
	return job.Attempt{Source: "demo", Verdict: "mismatch", SHA256: fmt.Sprint(i), Receipt: job.Receipt{Received: time.Now()}}
}

func lastIn(t *testing.T, b *Bus, stream string) uint64 {
	t.Helper()
	last, err := b.LastSequence(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// Records that wait for a server that answers nothing hold up nobody's end.
func TestCloseKeepsToItsTime(t *testing.T) {
	_, b, _ := toServer(t)
	b.opts.Timeout, b.opts.Log = 300*time.Millisecond, zerolog.Nop()
	b.wire = toNobody(t, 4096, "")
	for i := range cap(b.queue.waiting) {
		b.Offer(func() job.Attempt { return refusal(i) })
	}
	ctx, cancel := context.WithTimeout(t.Context(), b.opts.Timeout)
	defer cancel()
	began := time.Now()
	if err := b.queue.stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("stop = %v, want that its time was over", err)
	}
	if took := time.Since(began); took > 4*b.opts.Timeout { // 16 batches wait
		t.Errorf("stopping within %v took %v", b.opts.Timeout, took)
	}
}
