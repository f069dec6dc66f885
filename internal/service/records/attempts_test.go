package records_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"receiver/api"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/service/records"
)

// attempts is the API over a store that a test fills.
func attempts(t *testing.T) (*records.API, *publish.Store) {
	t.Helper()
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	a, err := records.NewAPI(t.Context(), &config.Config{}, bus, nil)
	natstest.Must(t, err)
	return a, bus
}

// attempt is one at a source with a body.
func attempt(source, verdict, body string) job.Attempt {
	a := natstest.Attempt(verdict)
	a.Source, a.Body, a.Size, a.SHA256 = source, []byte(body), int64(len(body)), job.BodySHA256([]byte(body))
	return a
}

// The attempts about a job are those that repeat its events, by word or by bytes, and those whose
// body names it. A body that cannot be read is counted.
func TestAttemptsOfAJob(t *testing.T) {
	t.Parallel()
	a, bus := attempts(t)
	natstest.Store(t, bus, natstest.Event(job.Submitted, "71", "CREATED"))
	finished := natstest.Store(t, bus, natstest.Called(job.Finished, "71", "COMPLETED"))
	own := natstest.Attempt(job.Late) // an answer to our own question
	own.Event = finished.ID()
	duplicate := natstest.Attempt(job.Duplicate)
	duplicate.Event, duplicate.Receipt.Fingerprint = finished.ID(), "sha256:00000001"
	left := attempt("demo", "mismatch", `{"id":"71","status":"RUNNING"}`)
	left.Body = nil
	var want []string
	for i, tt := range []struct {
		name    string
		attempt job.Attempt
		by      api.JobAttemptBy
	}{
		{"a repeat of its end", duplicate, api.JobAttemptByEvent},
		{"the bytes of its end, refused", attempt("demo", "mismatch", string(finished.Data)), api.JobAttemptByDigest},
		{"other bytes that name it, refused", attempt("demo", "mismatch", `{"id":71,"status":"RUNNING"}`), api.JobAttemptByBody},
		{"an escaped id", attempt("demo", "mismatch", `{"id":"7\u0031","status":"RUNNING"}`), api.JobAttemptByBody},
		{"a quarantined one", attempt("demo", job.Quarantined, `{"id":"71","status":"RUNNING"}`), api.JobAttemptByBody},
		{"our own question", own, ""},
		{"another job", attempt("demo", "mismatch", `{"id":"77","status":"COMPLETED"}`), ""},
		{"the id elsewhere", attempt("demo", "mismatch", `{"id":"8","status":"71"}`), ""},
		{"no notification", attempt("demo", "mismatch", `71`), ""},
		{"another source", attempt("crm", "mismatch", string(finished.Data)), ""},
		{"no source", attempt(job.NoSource, job.UnknownSource, string(finished.Data)), ""},
		{"a body that was left out", left, ""},
	} {
		natstest.Must(t, bus.Record(t.Context(), tt.attempt))
		if tt.by != "" {
			want = append(want, fmt.Sprintf("%d %s %s", i+1, tt.by, tt.attempt.Verdict))
		}
	}
	got, err := a.Attempts(t.Context(), "demo", "71", api.ListJobAttemptsParams{})
	if natstest.Must(t, err); !slices.Equal(shown(got), replaced(want, "mismatch", "refused")) || got.Unread != 1 || got.Next != "" {
		t.Errorf("Attempts = %q, %d unread, next %q, want %q and 1", shown(got), got.Unread, got.Next, want)
	}
	// Page by page it is the same.
	var paged []string
	two := 2
	for p := (api.ListJobAttemptsParams{Limit: &two}); ; {
		got, err := a.Attempts(t.Context(), "demo", "71", p)
		natstest.Must(t, err)
		paged = append(paged, shown(got)...)
		if p.After = got.Next; p.After == "" {
			break
		}
	}
	if !slices.Equal(paged, replaced(want, "mismatch", "refused")) {
		t.Errorf("in pages of two: %q, want %q", paged, want)
	}
}

func replaced(all []string, before, after string) []string {
	all = slices.Clone(all)
	for i := range all {
		all[i] = strings.ReplaceAll(all[i], before, after)
	}
	return all
}

func shown(page api.JobAttempts) (all []string) {
	for _, a := range page.Attempts {
		all = append(all, fmt.Sprintf("%d %s %s", a.Callback.Sequence, a.By, a.Callback.Verdict))
	}
	return all
}

// Attempts are looked for while the job can have some.
func TestAttemptsAreOfTheTimeOfTheJob(t *testing.T) {
	t.Parallel()
	a, bus := attempts(t)
	for _, id := range []string{"unknown", "early", "open", "called", "long-ago", "just-now"} {
		natstest.Must(t, bus.Record(t.Context(), attempt("demo", "mismatch", fmt.Sprintf(`{"id":%q,"status":"RUNNING"}`, id))))
	}
	at := func(k job.Kind, id, status string, when time.Duration) {
		e := natstest.Event(k, id, status)
		e.Time = time.Now().Add(when)
		natstest.Store(t, bus, e)
	}
	at(job.Submitted, "early", "CREATED", 2*time.Minute) // two minutes after the attempt
	at(job.Submitted, "open", "CREATED", -time.Hour)
	at(job.Finished, "called", "COMPLETED", 5*time.Hour) // not submitted here: what was refused before may be a first try
	at(job.Finished, "long-ago", "COMPLETED", -11*time.Hour)
	at(job.Finished, "just-now", "COMPLETED", -10*time.Hour)
	for id, want := range map[string]int{"unknown": 1, "early": 0, "open": 1, "called": 1, "long-ago": 0, "just-now": 1, "of no attempt": 0} {
		got, err := a.Attempts(t.Context(), "demo", id, api.ListJobAttemptsParams{})
		if err != nil || len(got.Attempts) != want || got.Next != "" {
			t.Errorf("%s: Attempts = %+v, %v, want %d", id, got, err, want)
		}
	}
}

// A flood makes more pages, not slower ones.
func TestAPageOfAttemptsReadsABoundedPartOfTheStream(t *testing.T) {
	t.Parallel()
	a, bus := attempts(t)
	const flood, writers = 5_056, 64
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range flood / writers {
				if err := bus.Record(t.Context(), attempt("demo", "mismatch", `{"id":"8"}`)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	natstest.Must(t, bus.Record(t.Context(), attempt("demo", "mismatch", `{"id":"7","status":"RUNNING"}`)))
	first, err := a.Attempts(t.Context(), "demo", "7", api.ListJobAttemptsParams{})
	if err != nil || len(first.Attempts) != 0 || first.Next != "5000" {
		t.Fatalf("Attempts = %+v, %v, want none, and to go on after record 5000", first, err)
	}
	second, err := a.Attempts(t.Context(), "demo", "7", api.ListJobAttemptsParams{After: first.Next})
	if err != nil || len(second.Attempts) != 1 || second.Next != "" {
		t.Errorf("Attempts after that = %+v, %v, want the one behind the flood", second, err)
	}
}

func TestWrongQuestionsForAttempts(t *testing.T) {
	t.Parallel()
	a, _ := attempts(t)
	none, many := 0, 1001
	for name, p := range map[string]api.ListJobAttemptsParams{"no attempt": {Limit: &none}, "too many": {Limit: &many}, "no cursor": {After: "x"}} {
		var problem *api.Problem
		if _, err := a.Attempts(t.Context(), "demo", "7", p); !errors.As(err, &problem) || !api.BadRequest.Is(problem) {
			t.Errorf("%s: %v, want a problem", name, err)
		}
	}
	if got, err := a.Attempts(t.Context(), "*", "7", api.ListJobAttemptsParams{}); err != nil || len(got.Attempts) != 0 {
		t.Errorf("of a wildcard: %+v, %v, want none", got, err)
	}
}
