package conformance

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// pollTime is the pause between two attempts, and between two bytes of a slow sender.
const pollTime = 200 * time.Millisecond

// pause waits, and reports whether ctx still lives.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// slow are senders that take their time, all at once. The receiver must cut them off.
func (r *runner) slow(ctx context.Context) []Result {
	if !r.wanted("slow") {
		return nil
	}
	body := []byte(strings.Repeat("x", 4000))
	q := r.post(body, r.line(r.Scheme.sign([]byte("not the key"), body)))
	whole := q.bytes(r.to)
	chunked := r.post(nil, "Transfer-Encoding: chunked")
	chunked.noLength = true
	head := len(whole) - len(body)
	var results [7]Result
	var all sync.WaitGroup
	for i, c := range []struct {
		name  string
		first []byte // sent at once
		slow  []byte // then byte by byte, again and again
	}{
		{"nothing is sent", nil, nil},
		{"half a head, and nothing more", whole[:head/2], nil},
		{"a head byte by byte", nil, whole[:head-2]},
		{"a head of new lines without an end", whole[:head-2], []byte("X-Slow: x\r\n")},
		{"a head, and no body", whole[:head], nil},
		{"a body byte by byte", whole[:head], []byte("x")},
		{"chunks of a byte without an end", chunked.bytes(r.to), []byte("1\r\nx\r\n")},
	} {
		all.Go(func() {
			p := probe{
				name: c.name, request: "POST, slowly", to: r.to, want: fmt.Sprintf("closed or refused within %v", r.CutOff),
				run: func(ctx context.Context) (string, string) { return r.drip(ctx, c.first, c.slow) },
			}
			results[i] = r.judge(ctx, "slow", p)
		})
	}
	all.Wait()
	return results[:]
}

// drip sends a beginning at once and the rest slowly, until the receiver ends it.
func (r *runner) drip(ctx context.Context, first, slow []byte) (string, string) {
	began := time.Now()
	outer := ctx
	ctx, cancel := context.WithTimeout(ctx, r.CutOff)
	defer cancel()
	c, err := r.to.dial(ctx)
	if err != nil {
		return plain(err.Error()), "no connection"
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	done := make(chan seen, 1)
	go func() { done <- read(c, "POST") }()
	_, _ = c.Write(first) // a closed connection shows at reading
	for i := 0; len(slow) > 0; i++ {
		if !pause(ctx, pollTime) {
			break
		}
		if _, err := c.Write(slow[i%len(slow) : i%len(slow)+1]); err != nil {
			break
		}
	}
	s := <-done
	s.took = time.Since(began)
	if ctx.Err() != nil {
		if outer.Err() != nil {
			return fmt.Sprintf("open for %v", s.took.Round(100*time.Millisecond)), "timeout; raise --time"
		}
		return fmt.Sprintf("open for %v", s.took.Round(100*time.Millisecond)), "the connection was not closed"
	}
	return fmt.Sprintf("%s, after %v", s, s.took.Round(100*time.Millisecond)), refused.wrong(s)
}

// connections sends a signed callback while many idle connections are open.
func (r *runner) connections() []probe {
	body := []byte(strings.Repeat("x", 4000))
	whole := r.post(body).bytes(r.to)
	keep := r.post(r.fresh())
	keep.keep = true
	var probes []probe
	for _, c := range []struct {
		name  string
		first []byte
		reply bool
	}{
		{"connections that send nothing", nil, false},
		{"connections with half a head", whole[:40], false},
		{"connections with half a body", whole[:len(whole)-2000], false},
		{"connections kept open after a response", keep.bytes(r.to), true},
	} {
		probes = append(probes, probe{
			name: fmt.Sprintf("%d %s", r.Idle, c.name), request: "POST, signed, among them", want: "2xx",
			run: func(ctx context.Context) (string, string) { return r.among(ctx, c.first, c.reply) },
		})
	}
	return probes
}

// among sends a signed callback while many connections are open.
func (r *runner) among(ctx context.Context, first []byte, reply bool) (string, string) {
	var open []net.Conn
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	for range r.Idle {
		c, err := r.to.dial(ctx)
		if err != nil {
			break // the receiver, or this process, has no more
		}
		open = append(open, c)
		_ = c.SetDeadline(time.Now().Add(answerTime))
		if _, err = c.Write(first); err == nil && reply {
			_, _ = io.ReadAtLeast(c, make([]byte, 4<<10), 12) // a receiver may close it instead
		}
	}
	p := r.signed("", accepted, r.fresh())
	got, err := r.exchange(ctx, p)
	if err != nil {
		return plain(err.Error()), fmt.Sprintf("no response among %d connections", len(open))
	}
	return fmt.Sprintf("%s, among %d", r.redact(p, got.String()), len(open)), accepted.wrong(got)
}
