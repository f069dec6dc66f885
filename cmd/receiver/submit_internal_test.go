package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/submit"
)

// The platform has taken the job; that the store is away for a moment must not lose it.
func TestASubmittedEventIsInsistedOn(t *testing.T) {
	other := errors.New("another fault")
	for _, tt := range []struct {
		name  string
		away  time.Duration // the store
		then  error
		leave time.Duration // whoever submits, if at all
		want  error
	}{
		{name: "there"},
		{name: "away for a moment", away: 30 * time.Second},
		{name: "away for good", away: time.Hour, want: publish.ErrUnavailable},
		{name: "a fault that stays", then: other, want: other},
		{name: "nobody waits any more", away: 30 * time.Second, leave: 10 * time.Second, want: publish.ErrUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.leave > 0 {
					defer time.AfterFunc(tt.leave, cancel).Stop()
				}
				began := time.Now()
				stored, err := insist(ctx, func(ctx context.Context, e job.Event) (job.Stored, error) {
					switch {
					case ctx.Err() != nil:
						t.Error("published with a context that has ended")
					case time.Since(began) < tt.away:
						return job.Stored{}, publish.ErrUnavailable
					}
					return job.Stored{Event: e, Sequence: 1}, tt.then
				}, job.Event{Kind: job.Submitted})
				if !errors.Is(err, tt.want) || err == nil && stored.Sequence != 1 {
					t.Errorf("insist = %+v, %v, want %v", stored, err, tt.want)
				}
				if took := time.Since(began); took > insistence+5*time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// Each row is what the platform answers to one question after another about job 77.
func TestWhoWaitsBelievesNoAnswerAboutAnotherJob(t *testing.T) {
	const other, ended = `{"id":"78","status":"COMPLETED","recordsFailedCount":0}`, `{"id":"77","status":"COMPLETED","recordsFailedCount":0}`
	server, err := publish.Start(publish.Embedded{Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	bus, err := server.Open(t.Context(), publish.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close(context.Background())
	for _, tt := range []struct {
		name    string
		answers []string
		want    error
	}{
		{"always another", []string{other}, submit.ErrOtherJob},
		{"another now and then", []string{other, other, `{"id":"77","status":"RUNNING"}`, other, ended}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := 0
			platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, tt.answers[min(asked, len(tt.answers)-1)])
				asked++
			}))
			defer platform.Close()
			client, err := submit.New(submit.Options{BaseURL: platform.URL, Element: "e", User: "u"})
			if err != nil {
				t.Fatal(err)
			}
			attach := func(context.Context) (*publish.Bus, closer, error) { return bus, func() {}, nil }
			var out, talk bytes.Buffer
			a := &app{out: &out, talk: &talk}
			err = a.follow(t.Context(), follow{attach: attach, client: client, source: "demo", id: "77", timeout: time.Minute, every: time.Millisecond})
			if !errors.Is(err, tt.want) {
				t.Fatalf("follow = %v, want %v", err, tt.want)
			}
			if err != nil && !(strings.Contains(err.Error(), `"77"`) && strings.Contains(err.Error(), `"78"`)) {
				t.Errorf("follow = %v, want both ids in it", err)
			}
			if strings.Contains(talk.String(), "job 78 succeeded") {
				t.Errorf("the other job's end was believed:\n%s", talk.String())
			}
		})
	}
}
