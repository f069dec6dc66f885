package callback_test

import (
	"errors"
	"testing"
	"time"

	"receiver/internal/callback"
	"receiver/internal/job"
	"receiver/internal/verify"
)

// offers is a store that remembers what was refused.
type offers struct {
	ledger
	refused []job.Attempt
}

func (o *offers) Offer(make func() job.Attempt) bool {
	o.refused = append(o.refused, make())
	return true
}

// A key whose signature was right is in use, though the callback was refused for
// something else: the record of the attempt names it.
func TestRefusalsNameTheKeyThatVerified(t *testing.T) {
	key, err := verify.NewKey("2026", []byte("MySecretEventSignatureKey"), verify.Window{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(key)
	if err != nil {
		t.Fatal(err)
	}
	// The platform's published vector. OC: section 7.1.
	body := []byte("<INSERT_EVENT_NOTIFICATION_RESPONSE_BODY>")
	right, wrong := "sha256=jHdbRx5EZAsOfTwAPJOGkNUzQMVVdu5VJlxcsk+G6jQ=", "sha256=YPOUrgFptfbT6xD0JAKBGAIFKjzc8LzFHdG097iMnmo="
	for _, tt := range []struct {
		name, signature, verdict, key string
	}{
		{"right signature, no credentials", right, callback.BadCredentials, "2026"},
		{"wrong signature", wrong, "mismatch", ""},
		{"none", "", "missing", ""},
	} {
		store := &offers{}
		r, err := callback.New(callback.Options{Store: store, Sources: []callback.Source{{Name: "crm", Verifier: v, Username: "u", Password: "p"}}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.Accept(t.Context(), callback.Request{
			Source: "crm", Signatures: []string{tt.signature}, Body: body, Received: time.Now(),
		})
		if !errors.Is(err, callback.ErrUnauthorized) || len(store.refused) != 1 {
			t.Fatalf("%s: Accept = %v and %d attempts, want ErrUnauthorized and one", tt.name, err, len(store.refused))
		}
		if a := store.refused[0]; a.Verdict != tt.verdict || a.Receipt.Key != tt.key || (a.Receipt.Fingerprint != "") != (tt.key != "") {
			t.Errorf("%s: recorded as %s by key %q %s, want %s by %q", tt.name, a.Verdict, a.Receipt.Key, a.Receipt.Fingerprint, tt.verdict, tt.key)
		}
	}
}

func TestBothCredentialsMustBeRight(t *testing.T) {
	from := source(t, "demo", demoSecret)
	from.Username, from.Password = "u", "p"
	r := newReceiver(t, &shelf{}, func(o *callback.Options) { o.Sources = []callback.Source{from} })
	for _, tt := range []struct{ user, password, want string }{
		{"u", "p", ""},
		{"u", "x", callback.BadCredentials},
		{"x", "p", callback.BadCredentials},
		{"x", "x", callback.BadCredentials},
		{"", "", callback.BadCredentials},
	} {
		q := signed(demoSecret, "hello")
		q.Username, q.Password = tt.user, tt.password
		if out, err := r.Accept(t.Context(), q); out.Reason != tt.want || (err != nil) != (tt.want != "") {
			t.Errorf("Accept as %q with password %q = %q, %v, want %q", tt.user, tt.password, out.Reason, err, tt.want)
		}
	}
}
