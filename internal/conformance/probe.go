package conformance

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// expectation is what should come of a request.
type expectation string

const (
	accepted expectation = "2xx"
	refused  expectation = "no 2xx, no 500; or closed"
	either   expectation = "2xx or refused, no 500"
)

// probe is one case.
type probe struct {
	name   string
	expect expectation
	// request says in short what is sent; of a signature only the beginning.
	request string
	to      *target
	raw     []byte // the bytes to send
	body    []byte // what a right signature would be over; nil if nothing could be right
	method  string // HEAD has no body in its answer
	half    bool   // close the sending side after it
	// check says what is wrong with an outcome that is as expected; empty if nothing is.
	check func(seen) string
	// run replaces the exchange; it returns what was seen, and what is wrong with it.
	run func(ctx context.Context) (saw, wrong string)
	// want replaces the text of expect.
	want string
	// skip is why the case cannot be judged.
	skip string
}

// answer is one answer of the receiver.
type answer struct {
	code   int
	header http.Header
	body   []byte
}

// seen is what came of one connection.
type seen struct {
	answers []answer
	closed  bool
	took    time.Duration
}

func (a answer) ok() bool { return a.code >= 200 && a.code < 300 }

func (s seen) any2xx() bool { return slices.ContainsFunc(s.answers, answer.ok) }

// String says it in short.
func (s seen) String() string {
	var parts []string
	for _, a := range s.answers {
		text := fmt.Sprint(a.code)
		if body := strings.TrimSpace(string(a.body)); body != "" {
			text += " " + plain(body)
		}
		parts = append(parts, text)
	}
	switch {
	case len(parts) > 0:
		return strings.Join(parts, ", then ")
	case s.closed:
		return fmt.Sprintf("closed after %v", s.took.Round(10*time.Millisecond))
	}
	return fmt.Sprintf("no response, and open after %v", s.took.Round(10*time.Millisecond))
}

// plain is a text of strangers as it may be printed, cut.
func plain(text string) string {
	const most = 70
	text = strings.ToValidUTF8(text, "?")
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	quoted := fmt.Sprintf("%+q", text)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// wrong says in what an outcome is not as expected; empty if it is.
func (e expectation) wrong(s seen) string {
	if len(s.answers) == 0 && !s.closed {
		return "no response, and the connection stays open"
	}
	for _, a := range s.answers {
		if a.code == http.StatusInternalServerError {
			return "internal server error"
		}
	}
	switch {
	case e == accepted && (len(s.answers) == 0 || !s.answers[0].ok()):
		return "not accepted"
	case e == refused && s.any2xx():
		return "accepted"
	}
	return ""
}

// judge sends a probe and judges what comes of it.
func (r *runner) judge(ctx context.Context, class string, p probe) Result {
	if p.skip == "" && ctx.Err() != nil {
		return Result{class, p.name, p.request, string(p.expect), "not run: timeout; raise --time", Fail}
	}
	if p.skip != "" {
		return Result{class, p.name, p.request, string(p.expect), p.skip, Skip}
	}
	if p.run != nil {
		saw, wrong := p.run(ctx)
		res := Result{class, p.name, p.request, p.want, saw, Pass}
		if wrong != "" {
			res.Verdict, res.Seen = Fail, saw+": "+wrong
		}
		if after, ok := strings.CutPrefix(wrong, skipped); ok {
			res.Verdict, res.Seen = Skip, after
		}
		return res
	}
	got, err := r.exchange(ctx, p)
	return r.result(class, p, got, err)
}

// skipped begins what run says is wrong, when the case turns out not to be judged.
const skipped = "skipped: "

func (r *runner) result(class string, p probe, got seen, err error) Result {
	want := p.want
	if want == "" {
		want = string(p.expect)
	}
	res := Result{class, p.name, p.request, want, r.redact(p, got.String()), Pass}
	if err != nil {
		res.Verdict, res.Seen = Fail, plain(err.Error())
		return res
	}
	wrong := p.expect.wrong(got)
	if wrong == "" {
		wrong = r.leak(p, got)
	}
	if wrong == "" && p.check != nil {
		wrong = p.check(got)
	}
	if wrong != "" {
		res.Verdict, res.Seen = Fail, res.Seen+": "+wrong
	}
	return res
}

// leak says what an answer gives away that was not in the request.
func (r *runner) leak(p probe, s seen) string {
	right := spellings(mac(sha256.New, r.Key, p.body))
	for _, a := range s.answers {
		if len(r.Key) >= 8 && bytes.Contains(a.body, r.Key) {
			return "the response contains the key"
		}
		for _, text := range right {
			if bytes.Contains(a.body, []byte(text)) && !bytes.Contains(p.raw, []byte(text)) {
				return "the response contains the correct signature"
			}
		}
	}
	return ""
}

// redact takes signatures and the key out of what a receiver echoes.
func (r *runner) redact(p probe, text string) string {
	for _, secret := range append(spellings(mac(sha256.New, r.Key, p.body)), string(r.Key)) {
		if len(secret) > 8 {
			// Printed bodies are cut, so only the beginning of a secret may be there.
			text = strings.ReplaceAll(text, secret[:9], "[secret]")
		}
	}
	return text
}

// quiet is how long a connection is watched for a second answer.
const quiet = 150 * time.Millisecond

// exchange sends a probe on a connection of its own, and reads what comes.
func (r *runner) exchange(ctx context.Context, p probe) (seen, error) {
	return r.exchangeWithin(ctx, p, answerTime)
}

func (r *runner) exchangeWithin(ctx context.Context, p probe, within time.Duration) (seen, error) {
	began := time.Now()
	c, err := p.to.dial(ctx)
	if err != nil {
		return seen{}, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	_ = c.SetDeadline(began.Add(within)) // a connection that is closed shows below
	sent := make(chan struct{})
	go func() { // an answer may come before all is sent
		defer close(sent)
		if _, err := c.Write(p.raw); err == nil && p.half {
			closeWrite(c)
		}
	}()
	s := read(c, p.method)
	s.took = time.Since(began)
	_ = c.Close()
	<-sent
	return s, ctx.Err()
}

func closeWrite(c net.Conn) {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		_ = h.CloseWrite() // else the other side has closed
	}
}

// read reads answers until the connection is closed, or nothing more comes.
func read(c net.Conn, method string) seen {
	var s seen
	const most = 8
	in := bufio.NewReader(io.LimitReader(c, 1<<20))
	for len(s.answers) < most {
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			s.closed = !timedOut(err)
			return s
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		_ = resp.Body.Close()
		if resp.StatusCode >= 200 {
			s.answers = append(s.answers, answer{resp.StatusCode, resp.Header, body})
		}
		if err != nil {
			s.closed = !timedOut(err)
			return s
		}
		_ = c.SetReadDeadline(time.Now().Add(quiet))
	}
	return s
}

func timedOut(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}
