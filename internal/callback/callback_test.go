package callback_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"receiver/internal/callback"
	"receiver/internal/job"
	"receiver/internal/verify"
)

const (
	demoSecret  = "MySecretEventSignatureKey"
	otherSecret = "another key"
)

// shelf is a store in memory that keeps the promises of one.
type shelf struct {
	mu                      sync.Mutex
	events                  []job.Stored
	recorded, offered       []job.Attempt
	failPublish, failRecord error
	full                    bool
}

func (s *shelf) Publish(_ context.Context, e job.Event) (job.Stored, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failPublish != nil {
		return job.Stored{}, s.failPublish
	}
	for _, there := range s.events {
		once := e.Kind == job.Finished && there.Subject() == e.Subject()
		if once || there.ID() == e.ID() && there.Source == e.Source {
			there.Existed = true
			return there, nil
		}
	}
	stored := job.Stored{Event: e, Sequence: uint64(len(s.events) + 1)}
	s.events = append(s.events, stored)
	return stored, nil
}

func (s *shelf) Record(_ context.Context, a job.Attempt) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failRecord == nil {
		s.recorded = append(s.recorded, a)
	}
	return s.failRecord
}

func (s *shelf) Offer(make func() job.Attempt) bool {
	a := make()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.full {
		s.offered = append(s.offered, a)
	}
	return !s.full
}

// One receiver gets all of these, in this order.
func TestOutcomesOfAuthenticCallbacks(t *testing.T) {
	s := &shelf{}
	r := newReceiver(t, s)
	for _, tt := range []struct {
		name, body, contentType string
		kind, subject           string
		seq                     uint64
		existing                string // the event that a recorded duplicate names
	}{
		{name: "progress", body: `{"id":"1","status":"RUNNING"}`, kind: callback.Accepted, subject: "jobs.demo.1.progress", seq: 1},
		{name: "the end", body: `{"id":"1","status":"COMPLETED"}`, kind: callback.Accepted, subject: "jobs.demo.1.finished", seq: 2},
		{name: "the end again", body: `{"id":"1","status":"COMPLETED"}`, kind: callback.Duplicate, subject: "jobs.demo.1.finished", seq: 2, existing: "1.finished"},
		{name: "the end in other words", body: `{"jobId":1,"jobStatus":"success","x":2}`, kind: callback.Duplicate, subject: "jobs.demo.1.finished", seq: 2, existing: "1.finished"},
		{name: "another end", body: `{"id":"1","status":"ABORTED"}`, kind: callback.Accepted, subject: "jobs.demo.1.conflict", seq: 3},
		{name: "that other end again", body: `{"id":"1","status":"aborted"}`, kind: callback.Duplicate, subject: "jobs.demo.1.conflict", seq: 3, existing: "1.conflict.ABORTED.failed"},
		{name: "the same word with other counts", body: `{"id":"1","status":"COMPLETED","recordsCount":2,"recordsFailedCount":1}`, kind: callback.Accepted, subject: "jobs.demo.1.conflict", seq: 4},
		{name: "progress again", body: `{"id":"1","status":"running"}`, kind: callback.Duplicate, subject: "jobs.demo.1.progress", seq: 1, existing: "1.progress.RUNNING"},
		{name: "an unknown status", body: `{"id":"1","status":"DREAMING"}`, kind: callback.Accepted, subject: "jobs.demo.1.progress", seq: 5},
		{name: "no JSON", body: "<html>", contentType: "text/html", kind: callback.Unrecognised, subject: "jobs.demo.*.unrecognised", seq: 6},
		{name: "the same no JSON", body: "<html>", kind: callback.Duplicate, subject: "jobs.demo.*.unrecognised", seq: 6, existing: "unrecognised." + job.BodySHA256([]byte("<html>"))},
		{name: "nothing", body: "", kind: callback.Unrecognised, subject: "jobs.demo.*.unrecognised", seq: 7},
		{name: "an event notification", body: `{"message":{"eventId":"1"}}`, kind: callback.Unrecognised, subject: "jobs.demo.*.unrecognised", seq: 8},
		{name: "two documents", body: `{"id":"1","status":"COMPLETED"}{}`, kind: callback.Unrecognised, subject: "jobs.demo.*.unrecognised", seq: 9},
		{name: "a key twice", body: `{"id":"1","id":"2","status":"COMPLETED"}`, kind: callback.Unrecognised, subject: "jobs.demo.*.unrecognised", seq: 10},
		{name: "no id", body: `{"status":"COMPLETED"}`, kind: callback.Unrecognised, subject: "jobs.demo.*.unrecognised", seq: 11},
	} {
		s.recorded = nil
		tt.subject = strings.Replace(tt.subject, "*", job.BodySHA256([]byte(tt.body)), 1)
		q := signed(demoSecret, tt.body)
		q.ContentType = tt.contentType
		got, err := r.Accept(t.Context(), q)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got.Kind != tt.kind || got.Event.Subject() != tt.subject || got.Event.Sequence != tt.seq || got.Reason != "" {
			t.Errorf("%s: %s %s %d %q, want %s %s %d", tt.name, got.Kind, got.Event.Subject(), got.Event.Sequence, got.Reason, tt.kind, tt.subject, tt.seq)
		}
		if got.Key == nil || got.Key.Name() != "2026" {
			t.Errorf("%s: by key %v, want 2026", tt.name, got.Key)
		}
		if (len(s.recorded) == 1) != (tt.kind == callback.Duplicate) || len(s.recorded) > 1 {
			t.Errorf("%s: %d attempts are recorded", tt.name, len(s.recorded))
		}
		for _, a := range s.recorded {
			want := tt.body // being small
			if a.Subject() != "attempts.demo.duplicate" || a.Event != tt.existing || string(a.Body) != want || a.Receipt.Key != "2026" ||
				a.SHA256 != job.BodySHA256([]byte(tt.body)) || a.Size != int64(len(tt.body)) {
				t.Errorf("%s: recorded %s of event %q with body %q, want one of %q with %q", tt.name, a.Subject(), a.Event, a.Body, tt.existing, want)
			}
		}
	}
	if len(s.offered) != 0 {
		t.Errorf("%d authentic callbacks were recorded as refused", len(s.offered))
	}
}

func TestAnEventIsItsOwnEvidence(t *testing.T) {
	s := &shelf{}
	q := signed(demoSecret, `{"id":"1","status":"COMPLETED"}`)
	q.Remote, q.Headers = "192.0.2.7", headers(`{"Host":["x"]}`)
	if _, err := newReceiver(t, s).Accept(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	e := s.events[0].Event
	want := job.Receipt{
		Signature: q.Signatures[0], Key: "2026", Fingerprint: e.Receipt.Fingerprint,
		Remote: q.Remote, Received: q.Received, Request: q.Headers.String(),
	}
	if *e.Receipt != want || e.Receipt.Fingerprint == "" || string(e.Data) != string(q.Body) || e.Evidence != job.ByCallback || !e.Time.Equal(q.Received) {
		t.Errorf("event %+v with receipt %+v, want the body as it came and %+v", e, e.Receipt, want)
	}
	for _, tt := range []struct{ given, want string }{{"text/html", "text/html"}, {"", "application/octet-stream"}} {
		q := signed(demoSecret, "no JSON "+tt.given)
		q.ContentType = tt.given
		if _, err := newReceiver(t, s).Accept(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		if e := s.events[len(s.events)-1]; e.ContentType != tt.want || e.Reason != "not_json" {
			t.Errorf("unrecognised as %q of type %q, want not_json of %q", e.Reason, e.ContentType, tt.want)
		}
	}
}

func TestInvalidSignaturesAreRefused(t *testing.T) {
	const body = `{"id":"1","status":"COMPLETED"}`
	right := sign(demoSecret, body)
	for _, tt := range []struct {
		name, source string
		signatures   []string
		body         string
		wantReason   string
		wantSubject  string
		wantClaimed  string
	}{
		{"unknown source", "nobody", []string{right}, body, "unknown_source", "attempts._.unknown_source", "nobody"},
		{"unknown source, nothing signed", "nobody", nil, "", "unknown_source", "attempts._.unknown_source", "nobody"},
		{"no source", "", []string{right}, body, "unknown_source", "attempts._.unknown_source", ""},
		{"the decoy", "_", []string{right}, body, "unknown_source", "attempts._.unknown_source", "_"},
		{"a source that would be two subject tokens", "demo.x", []string{right}, body, "unknown_source", "attempts._.unknown_source", "demo.x"},
		{"a long source", strings.Repeat("x", 300), []string{right}, body, "unknown_source", "attempts._.unknown_source", strings.Repeat("x", 256)},
		{"no signature", "demo", nil, body, "missing", "attempts.demo.missing", ""},
		{"an empty signature", "demo", []string{" "}, body, "missing", "attempts.demo.missing", ""},
		{"two signatures", "demo", []string{right, right}, body, "ambiguous", "attempts.demo.ambiguous", ""},
		{"another algorithm", "demo", []string{"sha1=x"}, body, "unsupported_algorithm", "attempts.demo.unsupported_algorithm", ""},
		{"hexadecimal", "demo", []string{"sha256=" + strings.Repeat("0a", 32)}, body, "malformed", "attempts.demo.malformed", ""},
		{"another key", "demo", []string{sign("no key of ours", body)}, body, "mismatch", "attempts.demo.mismatch", ""},
		{"another source's key", "demo", []string{sign(otherSecret, body)}, body, "mismatch", "attempts.demo.mismatch", ""},
		{"another body", "demo", []string{right}, body + " ", "mismatch", "attempts.demo.mismatch", ""},
		{"no JSON either", "demo", []string{right}, "\x00{", "mismatch", "attempts.demo.mismatch", ""},
		{"no body", "demo", []string{right}, "", "mismatch", "attempts.demo.mismatch", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &shelf{}
			q := signed(demoSecret, tt.body)
			q.Source, q.Signatures = tt.source, tt.signatures
			out, err := newReceiver(t, s).Accept(t.Context(), q)
			if !errors.Is(err, callback.ErrUnauthorized) || out.Reason != tt.wantReason || out.Key != nil || out.Kind != "" {
				t.Errorf("Accept = %+v, %v, want ErrUnauthorized for %s", out, err, tt.wantReason)
			}
			if len(s.events) > 0 || len(s.recorded) > 0 || len(s.offered) != 1 {
				t.Fatalf("%d published, %d recorded and %d offered, want one offered", len(s.events), len(s.recorded), len(s.offered))
			}
			a := s.offered[0]
			if a.Subject() != tt.wantSubject || a.Claimed != tt.wantClaimed || string(a.Body) != tt.body || a.Size != int64(len(tt.body)) || a.SHA256 != job.BodySHA256([]byte(tt.body)) {
				t.Errorf("offered %+v, want it on %s claiming %q", a, tt.wantSubject, tt.wantClaimed)
			}
			if a.Receipt.Key != "" || a.Receipt.Fingerprint != "" || a.Receipt.Signature != strings.Join(tt.signatures, ",") {
				t.Errorf("offered with receipt %+v, want the signature as received and no key", a.Receipt)
			}
		})
	}
}

func TestTheBodyOfARefusedCallback(t *testing.T) {
	for _, tt := range []struct {
		bound int
		body  string
		keep  bool
	}{
		{4, "12345", false}, {4, "1234", true}, {0, "1", false}, {0, "", true},
	} {
		s := &shelf{}
		r := newReceiver(t, s, func(o *callback.Options) { o.AttemptBody = tt.bound })
		buffer := []byte(tt.body)
		q := callback.Request{Source: "demo", Body: buffer, Received: time.Now()}
		if _, err := r.Accept(t.Context(), q); !errors.Is(err, callback.ErrUnauthorized) {
			t.Fatal(err)
		}
		clear(buffer) // the caller uses it again
		a := s.offered[0]
		if kept := string(a.Body) == tt.body; kept != tt.keep || a.Size != int64(len(tt.body)) || a.SHA256 != job.BodySHA256([]byte(tt.body)) {
			t.Errorf("a body of %d bytes with room for %d: kept %q, size %d, digest %s", len(tt.body), tt.bound, a.Body, a.Size, a.SHA256)
		}
	}
}

func TestDroppedAttemptIsReported(t *testing.T) {
	out, err := newReceiver(t, &shelf{full: true}).Accept(t.Context(), callback.Request{Source: "demo"})
	if !errors.Is(err, callback.ErrUnauthorized) || !out.Dropped {
		t.Errorf("Accept = %+v, %v, want ErrUnauthorized and Dropped", out, err)
	}
}

func TestUnstoredCallbackIsUnavailable(t *testing.T) {
	done := &shelf{}
	if _, err := newReceiver(t, done).Accept(t.Context(), signed(demoSecret, `{"id":"1","status":"COMPLETED"}`)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		store *shelf
		body  string
	}{
		{"publishing fails", &shelf{failPublish: errDown}, `{"id":"1","status":"COMPLETED"}`},
		{"publishing what is unrecognised fails", &shelf{failPublish: errDown}, `x`},
		{"recording a duplicate fails", &shelf{events: done.events, failRecord: errDown}, `{"id":"1","status":"COMPLETED"}`},
		{"publishing a conflict fails", &shelf{events: done.events}, `{"id":"1","status":"ABORTED"}`},
	} {
		var store callback.Store = tt.store
		if tt.store.failPublish == nil && tt.store.failRecord == nil {
			store = noConflict{tt.store}
		}
		out, err := newReceiver(t, store).Accept(t.Context(), signed(demoSecret, tt.body))
		if !errors.Is(err, callback.ErrUnavailable) || errors.Is(err, callback.ErrUnauthorized) || out.Kind != "" || out.Key == nil {
			t.Errorf("%s: Accept = %+v, %v, want ErrUnavailable, no kind and the key", tt.name, out, err)
		}
		if !errors.Is(err, errDown) {
			t.Errorf("%s: %v does not say why", tt.name, err)
		}
		if len(tt.store.offered) > 0 {
			t.Errorf("%s: an authentic callback was recorded as refused", tt.name)
		}
	}
}

var errDown = errors.New("down")

// noConflict fails on the second event of a callback.
type noConflict struct{ *shelf }

func (n noConflict) Publish(ctx context.Context, e job.Event) (job.Stored, error) {
	if e.Kind == job.Conflict {
		return job.Stored{}, errDown
	}
	return n.shelf.Publish(ctx, e)
}

func TestSourcesAreReplacedUnderLoad(t *testing.T) {
	s := &shelf{}
	r := newReceiver(t, s)
	demo, other := source(t, "demo", demoSecret), source(t, "demo", otherSecret)
	done := make(chan bool)
	go func() {
		defer close(done)
		for i := range 200 {
			r.SetSources([]callback.Source{[]callback.Source{demo, other}[i%2]})
		}
		r.SetSources([]callback.Source{other})
	}()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				out, err := r.Accept(t.Context(), signed(demoSecret, fmt.Sprintf(`{"id":%d,"status":"COMPLETED"}`, i)))
				if (err == nil) == (out.Reason != "") || err != nil && out.Reason != "mismatch" {
					t.Errorf("Accept = %+v, %v, want it accepted or mismatch", out, err)
				}
			}
		})
	}
	wg.Wait()
	if _, err := r.Accept(t.Context(), signed(demoSecret, "x")); !errors.Is(err, callback.ErrUnauthorized) {
		t.Errorf("a key that was replaced: %v, want ErrUnauthorized", err)
	}
	if _, err := r.Accept(t.Context(), signed(otherSecret, "x")); err != nil {
		t.Errorf("the key in its place: %v", err)
	}
}

// The time of refusing a large body does not tell a sender whether the source exists, nor how many
// keys it has.
func TestEverySourceIsTheSameWork(t *testing.T) {
	three := source(t, "three", "a", "b", "c")
	r := newReceiver(t, &shelf{}, func(o *callback.Options) {
		o.Sources = []callback.Source{source(t, "one", "d"), three}
	})
	body := bytes.Repeat([]byte("x"), 256<<10)
	// The shortest of many, as the machine has other things to do; the wrong work would
	// never look right, and the right work does at last.
	var took map[string]time.Duration
	for range 10 {
		took = map[string]time.Duration{"one": time.Hour, "three": time.Hour, "none": time.Hour}
		for range 15 {
			for name := range took {
				began := time.Now()
				_, _ = r.Accept(t.Context(), callback.Request{Source: name, Body: body})
				took[name] = min(took[name], time.Since(began))
			}
		}
		least, most := min(took["one"], took["three"], took["none"]), max(took["one"], took["three"], took["none"])
		if least > most*4/5 { // one HMAC instead of three would be about half
			return
		}
	}
	t.Errorf("a refusal takes %v, want the same whatever the source", took)
}

func newReceiver(t *testing.T, s callback.Store, change ...func(*callback.Options)) *callback.Receiver {
	t.Helper()
	o := callback.Options{Store: s, AttemptBody: 1 << 10, Sources: []callback.Source{
		source(t, "demo", demoSecret), source(t, "other", otherSecret),
	}}
	for _, c := range change {
		c(&o)
	}
	r, err := callback.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// source makes a source with keys named 2026, 2027 and so on.
func source(t *testing.T, name string, secrets ...string) callback.Source {
	t.Helper()
	var keys []*verify.Key
	for i, secret := range secrets {
		k, err := verify.NewKey(fmt.Sprint(2026+i), []byte(secret), verify.Window{})
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	v, err := verify.New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return callback.Source{Name: name, Verifier: v}
}

// signed is a callback to the source demo.
func signed(secret, body string) callback.Request {
	return callback.Request{
		Source: "demo", Signatures: []string{sign(secret, body)}, Body: []byte(body),
		Received: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
	}
}

func sign(secret, body string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(body))
	return "sha256=" + base64.StdEncoding.EncodeToString(h.Sum(nil))
}
