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

	"receiver/internal/natsserver"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/submit"
)

// Each row is what the platform answers to one question after another about job 77.
func TestWaitIgnoresAnswersAboutOtherJobs(t *testing.T) {
	t.Parallel()
	const other, ended = `{"id":"78","status":"COMPLETED","recordsFailedCount":0}`, `{"id":"77","status":"COMPLETED","recordsFailedCount":0}`
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
			var out, talk bytes.Buffer
			a := &app{out: &out, talk: &talk}
			err = a.follow(t.Context(), client, time.Minute, submit.Following{ID: "77", Every: time.Millisecond, Listen: finishedIn(bus)})
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
