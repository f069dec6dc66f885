package callback_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"testing"
	"time"

	"receiver/internal/callback"
	"receiver/internal/job"
	"receiver/internal/verify"
)

// ledger is a store that remembers what it was given, and that may hold one event.
type ledger struct {
	there     *job.Stored
	published []job.Event
	recorded  []job.Attempt
	fail      error
}

func (l *ledger) Publish(_ context.Context, e job.Event) (job.Stored, error) {
	if l.there != nil && l.there.Kind == e.Kind {
		return *l.there, l.fail
	}
	l.published = append(l.published, e)
	return job.Stored{Event: e, Sequence: 7}, l.fail
}

func (l *ledger) Record(_ context.Context, a job.Attempt) error {
	l.recorded = append(l.recorded, a)
	return l.fail
}

func (l *ledger) Offer(func() job.Attempt) bool { return true }

func TestQuarantine(t *testing.T) {
	const finished, progress, other = `{"id":"1","status":"COMPLETED"}`, `{"id":"1","status":"RUNNING"}`, `hello`
	down := errors.New("down")
	says := func(ok bool, err error) func(context.Context, job.View) (bool, error) {
		return func(context.Context, job.View) (bool, error) { return ok, err }
	}
	expected := func(ok bool, err error) func(context.Context, string) (bool, error) {
		return func(context.Context, string) (bool, error) { return ok, err }
	}
	polled := stored(t, finished, job.ByPoll)
	for _, tt := range []struct {
		name           string
		body           string
		source         callback.Source
		there          *job.Stored
		want           string
		unavailable    bool
		wantKind       job.Kind // published; empty if nothing is
		wantUnexpected bool
		wantVerdict    string // recorded; empty if nothing is
	}{
		{name: "nobody asks", body: finished, want: callback.Accepted, wantKind: job.Finished},
		{name: "expected", body: finished, source: callback.Source{Expected: expected(true, nil), Quarantine: true}, want: callback.Accepted, wantKind: job.Finished},
		{name: "unexpected, accepted", body: finished, source: callback.Source{Expected: expected(false, nil)}, want: callback.Accepted, wantKind: job.Finished, wantUnexpected: true},
		{name: "unexpected, quarantined", body: finished, source: callback.Source{Expected: expected(false, nil), Quarantine: true}, want: callback.Quarantined, wantVerdict: job.Quarantined},
		{name: "unexpected progress, quarantined", body: progress, source: callback.Source{Expected: expected(false, nil), Quarantine: true}, want: callback.Quarantined, wantVerdict: job.Quarantined},
		{name: "no job to expect", body: other, source: callback.Source{Expected: expected(false, nil), Quarantine: true}, want: callback.Unrecognised, wantKind: job.Unrecognised},
		{name: "not known whether expected", body: finished, source: callback.Source{Expected: expected(false, down)}, unavailable: true},
		{name: "confirmed", body: finished, source: callback.Source{Confirm: says(true, nil)}, want: callback.Accepted, wantKind: job.Finished},
		{name: "not confirmed", body: finished, source: callback.Source{Confirm: says(false, nil)}, want: callback.Unconfirmed, wantVerdict: job.Unconfirmed},
		{name: "not known whether confirmed", body: finished, source: callback.Source{Confirm: says(false, down)}, unavailable: true},
		{name: "nothing to confirm", body: progress, source: callback.Source{Confirm: says(false, nil)}, want: callback.Accepted, wantKind: job.Progress},
		{name: "after our question", body: finished, there: &polled, want: callback.Late, wantVerdict: job.Late},
		{name: "after our question, otherwise", body: `{"id":"1","status":"ABORTED"}`, there: &polled, want: callback.Accepted, wantKind: job.Conflict},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &ledger{there: tt.there}
			out, err := accept(t, l, tt.source, tt.body)
			if errors.Is(err, callback.ErrUnavailable) != tt.unavailable || out.Kind != tt.want {
				t.Fatalf("Accept = %q, %v, want %q, unavailable %v", out.Kind, err, tt.want, tt.unavailable)
			}
			var kinds []job.Kind
			for _, e := range l.published {
				kinds = append(kinds, e.Kind)
				if e.Unexpected != tt.wantUnexpected {
					t.Errorf("published with Unexpected %v, want %v", e.Unexpected, tt.wantUnexpected)
				}
			}
			if want := list(tt.wantKind); !slices.Equal(kinds, want) {
				t.Errorf("published %q, want %q", kinds, want)
			}
			var verdicts []string
			for _, a := range l.recorded {
				verdicts = append(verdicts, a.Verdict)
				if a.Source != "demo" || string(a.Body) != tt.body || a.Receipt.Key != "k" {
					t.Errorf("recorded %+v, want the whole callback", a)
				}
			}
			if want := list(tt.wantVerdict); !slices.Equal(verdicts, want) {
				t.Errorf("recorded %q, want %q", verdicts, want)
			}
		})
	}
}

func TestQuarantinedCallbackMustBeStored(t *testing.T) {
	l := &ledger{fail: errors.New("down")}
	s := callback.Source{Confirm: func(context.Context, job.View) (bool, error) { return false, nil }}
	if out, err := accept(t, l, s, `{"id":"1","status":"COMPLETED"}`); !errors.Is(err, callback.ErrUnavailable) {
		t.Errorf("Accept = %q, %v, want ErrUnavailable", out.Kind, err)
	}
}

// accept gives a receiver one rightly signed callback.
func accept(t *testing.T, store callback.Store, s callback.Source, body string) (callback.Outcome, error) {
	t.Helper()
	secret := []byte("MySecretEventSignatureKey")
	key, err := verify.NewKey("k", secret, verify.Window{})
	if err != nil {
		t.Fatal(err)
	}
	s.Name = "demo"
	if s.Verifier, err = verify.New(key); err != nil {
		t.Fatal(err)
	}
	r, err := callback.New(callback.Options{Sources: []callback.Source{s}, Store: store})
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(body))
	return r.Accept(t.Context(), callback.Request{
		Source: "demo", Signatures: []string{"sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))},
		Body: []byte(body), Received: time.Now(),
	})
}

func stored(t *testing.T, body string, by job.Evidence) job.Stored {
	t.Helper()
	v, err := job.Read([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return job.Stored{Event: job.Event{Kind: job.Finished, Source: "demo", Job: v, Evidence: by}, Sequence: 3, Existed: true}
}

func list[T ~string](word T) []T {
	if word == "" {
		return nil
	}
	return []T{word}
}
