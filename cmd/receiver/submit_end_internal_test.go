package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/submit"
)

// Whoever waits for a job gets exit code 0 for success alone.
func TestOnlySuccessEndsWaitingWell(t *testing.T) {
	for body, says := range map[string]string{
		`{"id":"x","status":"COMPLETED","recordsCount":2,"recordsFailedCount":0}`: "",
		`{"status":"COMPLETED"}`: "",
		`{"id":"x","status":"COMPLETED","numOfLeadsProcessed":10,"numOfRowsFailed":3}`: "job x did not succeed: partial, status COMPLETED; see `receiver jobs errors x`",
		`{"id":"x","status":"COMPLETED","error":"gone"}`:                               "job x did not succeed: partial, status COMPLETED; see `receiver jobs errors x`",
		`{"id":"x","status":"COMPLETED","recordsCount":"many"}`:                        "job x is over, and the platform does not say in words that can be read how it ended: status COMPLETED; see `receiver jobs status x` and `receiver jobs show x`",
		`{"id":"x","status":"COMPLETED","jobStatus":"ABORTED","recordsFailedCount":0}`: "job x is over, and the platform does not say in words that can be read how it ended: status COMPLETED/ABORTED; see `receiver jobs status x` and `receiver jobs show x`",
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
	}
}

// An end that cannot be read is no answer to whoever waits; that of the platform is.
func TestWhoWaitsHearsHowAnUnreadableEndWasMeant(t *testing.T) {
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
		`{"status":"COMPLETED","recordsFailedCount":"some"}`:             "does not say in words that can be read how it ended",
	} {
		platform := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, answer)
		}))
		client, err := submit.New(submit.Options{BaseURL: platform.URL, Element: "e", User: "u"})
		if err != nil {
			t.Fatal(err)
		}
		var out, talk bytes.Buffer
		err = (&app{out: &out, talk: &talk}).follow(t.Context(), follow{
			attach: func(context.Context) (*publish.Bus, closer, error) { return bus, func() {}, nil },
			client: client, source: "demo", id: "77", timeout: time.Minute, every: 50 * time.Millisecond,
		})
		platform.Close()
		if got := errorText(err); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("the platform says %s, and follow = %v, want %q\n%s", answer, err, want, talk.String())
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
