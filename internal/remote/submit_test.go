package remote_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"receiver/api"
	"receiver/internal/job"
	"receiver/internal/remote"
)

// receiverThat answers submissions one after the other, and reads the file before an answer that
// begins with a space.
func receiverThat(t *testing.T, answers ...string) (*remote.Receiver, func() (keys, files []string)) {
	t.Helper()
	var mu sync.Mutex
	var keys, files []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		answer := answers[min(len(keys), len(answers)-1)]
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		if strings.HasPrefix(answer, " ") {
			file, _ := io.ReadAll(r.Body)
			files = append(files, string(file))
		}
		var p *api.Problem
		switch kind := strings.TrimSpace(answer); kind {
		case "made", "unknown":
			made := job.Submission{Source: "demo", Name: "n", State: job.SubmissionSubmitted, Job: "7"}
			if kind == "unknown" {
				made.State, made.Job = job.SubmissionUnknown, ""
			}
			w.WriteHeader(http.StatusAccepted)
			_ = json.NewEncoder(w).Encode(made)
			return
		case "lost":
			panic(http.ErrAbortHandler)
		case "proxy":
			w.WriteHeader(http.StatusBadGateway)
			return
		default:
			for _, k := range api.ProblemKinds {
				if strings.HasSuffix(k.Type(), ":"+kind) {
					p = k.Problem("what is the case; what to do")
				}
			}
		}
		p.RequestID = "r"
		w.WriteHeader(p.Status)
		_ = json.NewEncoder(w).Encode(p)
	}))
	t.Cleanup(s.Close)
	r, err := remote.Context{URL: s.URL}.Receiver("test")
	if err != nil {
		t.Fatal(err)
	}
	return r, func() ([]string, []string) {
		mu.Lock()
		defer mu.Unlock()
		return keys, files
	}
}

// A submission is repeated where that may help, always under one key and with the whole file, and
// an error says whether there may be a job.
func TestSubmissionsAreRepeatedUnderOneKey(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		answers  string // see receiverThat
		pipe     bool   // the file cannot be read again
		requests int
		says     string // of the error; empty for none
		mayExist bool
		wrong    bool
	}{
		{answers: " made", requests: 1},
		{answers: " unknown", requests: 1},
		{answers: " lost, made", requests: 2},
		{answers: "busy, made", requests: 2},
		{answers: "unavailable, made", requests: 2},
		{answers: " platform-failed, made", requests: 2},
		{answers: "too-many-requests, made", requests: 2},
		{answers: " proxy, made", requests: 2},
		{answers: "busy, made", pipe: true, requests: 2},
		{answers: " lost, made", pipe: true, requests: 1, says: "--key order-7", mayExist: true},
		{answers: " platform-failed, made", pipe: true, requests: 1, says: "what to do"},
		{answers: " platform-refused, made", requests: 1, says: "what is the case (request r); what to do"},
		{answers: " lost, platform-refused", requests: 2, says: "what is the case"},
		{answers: " lost, unauthorized", requests: 2, says: "receiver tokens add NAME --scope submit", mayExist: true, wrong: true},
		{answers: "key-reused", requests: 1, says: "what to do", wrong: true},
		{answers: "bad-request", requests: 1, says: "what to do", wrong: true},
		{answers: "not-configured", requests: 1, says: "what to do"},
	} {
		t.Run(fmt.Sprintf("%s, %v", tt.answers, tt.pipe), func(t *testing.T) {
			t.Parallel()
			const rows = "a\n1\n"
			r, seen := receiverThat(t, strings.Split(tt.answers, ",")...)
			u := remote.Upload{
				Source: "demo", Object: "contact", FileName: "a.csv", Key: "order-7", File: strings.NewReader(rows), Size: int64(len(rows)),
				Progress: func(int64) {}, Failed: func(error, time.Duration) {},
			}
			if tt.pipe {
				u.Size = -1
			} else {
				u.Again = func() (io.Reader, error) { return strings.NewReader(rows), nil }
			}
			made, err := r.Submit(t.Context(), u)
			if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) || err == nil && made.Name != "n" {
				t.Errorf("Submit = %+v, %v, want %q", made, err, tt.says)
			}
			if errors.Is(err, remote.ErrMayExist) != tt.mayExist || errors.Is(err, remote.ErrUse) != tt.wrong {
				t.Errorf("%v is ErrMayExist: %v, and ErrUse: %v; want %v, %v", err, errors.Is(err, remote.ErrMayExist), errors.Is(err, remote.ErrUse), tt.mayExist, tt.wrong)
			}
			keys, files := seen()
			if strings.Join(keys, " ") != strings.TrimSpace(strings.Repeat("order-7 ", tt.requests)) {
				t.Errorf("there were requests with the keys %q, want %d", keys, tt.requests)
			}
			for _, file := range files {
				if file != rows {
					t.Errorf("a request had the file %q, want %q", file, rows)
				}
			}
		})
	}
}
