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
	"time"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/submit"
)

// A wait for a job ends with exit code 0 for success only.
func TestOnlySuccessEndsAWaitWithExitCode0(t *testing.T) {
	t.Parallel()
	for body, says := range map[string]string{
		`{"id":"x","status":"COMPLETED","recordsCount":2,"recordsFailedCount":0}`: "",
		`{"status":"COMPLETED"}`: "",
		`{"id":"x","status":"COMPLETED","numOfLeadsProcessed":10,"numOfRowsFailed":3}`: "job x did not succeed: partial, status COMPLETED; see `receiver jobs errors x`",
		`{"id":"x","status":"COMPLETED","error":"gone"}`:                               "job x did not succeed: partial, status COMPLETED; see `receiver jobs errors x`",
		`{"id":"x","status":"COMPLETED","recordsCount":"many"}`:                        "job x has ended, but the platform reports no clear result: status COMPLETED; see `receiver jobs status x` and `receiver jobs show x`",
		`{"id":"x","status":"COMPLETED","jobStatus":"ABORTED","recordsFailedCount":0}`: "job x has ended, but the platform reports no clear result: status COMPLETED/ABORTED; see `receiver jobs status x` and `receiver jobs show x`",
	} {
		v, err := job.ReadAnswer("x", []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		var talk bytes.Buffer
		err = (&app{out: &talk, talk: &talk}).end(v, "test")
		if got := errorText(err); got != says {
			t.Errorf("%s ends waiting with %q, want %q", body, got, says)
		}
		var unknown unknownError
		if got, want := errors.As(err, &unknown), strings.Contains(says, "no clear result"); got != want {
			t.Errorf("%s is the answer \"not known\": %v, want %v", body, got, want)
		}
	}
}

// A wait does not end with an unreadable outcome, but with the platform's answer to a poll.
func TestWaitPollsAfterAnUnreadableOutcome(t *testing.T) {
	t.Parallel()
	server, err := natsserver.Start(natsserver.Embedded{Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	bus, err := publish.Open(t.Context(), server, conn.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close(context.Background())
	v, err := job.Read([]byte(`{"id":"77","status":"COMPLETED","recordsFailedCount":"some"}`))
	if err != nil {
		t.Fatal(err)
	}
	e := job.Event{Kind: job.Finished, Source: "demo", Job: v, Time: time.Now(), Evidence: job.ByPoll, Data: []byte(`{}`)}
	if _, err := bus.Publish(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	for answer, want := range map[string]string{
		`{"status":"COMPLETED","recordsFailedCount":0}`:                  "",
		`{"status":"COMPLETED","recordsCount":2,"recordsFailedCount":1}`: "did not succeed: partial",
		`{"status":"COMPLETED","recordsFailedCount":"some"}`:             "the platform reports no clear result",
	} {
		platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, answer)
		}))
		client, err := submit.New(submit.Options{BaseURL: platform.URL, Element: "e", User: "u"})
		if err != nil {
			t.Fatal(err)
		}
		var out, talk bytes.Buffer
		err = (&app{out: &out, talk: &talk}).follow(t.Context(), client, time.Minute, submit.Following{
			ID: "77", Every: 50 * time.Millisecond, Listen: finishedIn(bus),
		})
		platform.Close()
		if got := errorText(err); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("the platform says %s, and follow = %v, want %q\n%s", answer, err, want, talk.String())
		}
		if n := strings.Count(talk.String(), "asking the platform"); n != 1 {
			t.Errorf("the command says %d times that the result is unclear, want once", n)
		}
	}
}

// finishedIn waits for the finished event of job 77 in a store.
func finishedIn(store *publish.Store) func(context.Context) (job.Stored, bool) {
	return func(ctx context.Context) (job.Stored, bool) {
		for e, err := range store.Follow(ctx, job.Subject("demo", "77", job.Finished)) {
			return e, err == nil
		}
		return job.Stored{}, false
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
