package callback_test

import (
	"context"
	"errors"
	"testing"

	"receiver/internal/callback"
	"receiver/internal/job"
)

// A body signed for one job verifies at every address: it is the token that ties it to the
// submission of its job, as soon as that is known.
func TestATokenOpensItsOwnJobOnly(t *testing.T) {
	const finished = `{"id":"1","status":"COMPLETED"}`
	tokens := newTokens(t, "0123456789abcdef")
	made := func(source, submission string) string {
		return tokens.Make(callback.Grant{Source: source, Object: "contact", Submission: submission})
	}
	known := func(_ context.Context, id string) (string, bool, error) { return "of-" + id, true, nil }
	down := errors.New("down")
	for _, tt := range []struct {
		name, token, body string
		required          bool
		submission        func(context.Context, string) (string, bool, error)
		refused           string
		unavailable       bool
	}{
		{name: "its own", token: made("demo", "of-1"), body: finished, submission: known},
		{name: "another job's", token: made("demo", "of-2"), body: finished, submission: known, refused: callback.MismatchToken},
		{name: "another job's, on its way", token: made("demo", "of-2"), body: `{"id":"1","status":"RUNNING"}`, submission: known, refused: callback.MismatchToken},
		{name: "another source's", token: made("crm", "of-1"), body: finished, submission: known, refused: callback.MismatchToken},
		{name: "of nobody's making", token: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", body: finished, submission: known, refused: callback.MismatchToken},
		{name: "none", body: finished, submission: known},
		{name: "none where one is required", body: finished, required: true, submission: known, refused: callback.MissingToken},
		{name: "before the submission is known", token: made("demo", "of-2"), body: finished, submission: func(context.Context, string) (string, bool, error) {
			return "", false, nil
		}},
		{name: "while nobody knows", token: made("demo", "of-1"), body: finished, unavailable: true, submission: func(context.Context, string) (string, bool, error) {
			return "of-1", true, down
		}},
		{name: "of no job", token: made("demo", "of-2"), body: "hello", submission: known},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &shelf{}
			from := source(t, "demo", demoSecret)
			from.Tokens, from.TokenRequired, from.Submission = tokens, tt.required, tt.submission
			r := newReceiver(t, s, func(o *callback.Options) { o.Sources = []callback.Source{from} })
			q := signed(demoSecret, tt.body)
			q.Token = tt.token
			out, err := r.Accept(t.Context(), q)
			if errors.Is(err, callback.ErrUnavailable) != tt.unavailable || errors.Is(err, callback.ErrUnauthorized) != (tt.refused != "") || out.Reason != tt.refused {
				t.Errorf("Accept = %+v, %v, want it refused as %q, unavailable %v", out, err, tt.refused, tt.unavailable)
			}
			if want := tt.refused == "" && !tt.unavailable; (len(s.events) == 1) != want {
				t.Errorf("%d events, want one: %v", len(s.events), want)
			}
			if tt.refused != "" && (len(s.offered) != 1 || s.offered[0].Verdict != tt.refused || job.NoSource == s.offered[0].Source) {
				t.Errorf("recorded %+v, want %s of demo", s.offered, tt.refused)
			}
		})
	}
}
