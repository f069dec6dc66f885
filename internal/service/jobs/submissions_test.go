package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/poll"
	"receiver/internal/service/jobs"
	"receiver/internal/submission"
	"receiver/internal/submit"
	"receiver/internal/web/apiserver"
)

// counter submits by the client of a rig, and finds nothing afterwards.
type counter struct {
	*rig
	mu    sync.Mutex
	count int

	outcomes []string // as they are counted
}

func (c *counter) Submit(ctx context.Context, q submission.Request, name string) (job.Event, error) {
	client, err := c.Platform.Clients(q.Source)
	if err != nil {
		return job.Event{}, err
	}
	created, err := client.Upload(ctx, submit.Upload{Object: q.Object, FileName: q.FileName, File: q.Body, Size: q.Size})
	if errors.Is(err, submit.ErrMayExist) {
		err = fmt.Errorf("%w: %w", submission.ErrMayExist, err)
	}
	if err != nil {
		return job.Event{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	return submit.Submission{ID: name, Source: q.Source, Object: q.Object, Direction: q.Direction}.Event(created)
}

func (c *counter) Find(context.Context, job.Submission) (*job.Event, error) { return nil, nil }

func (c *counter) Record(ctx context.Context, e job.Event) error {
	_, err := c.store.Publish(ctx, e)
	return err
}

func (c *counter) outcome(source, outcome string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outcomes = append(c.outcomes, source+" "+outcome)
}

func openDesk(t *testing.T) (*counter, jobs.Submissions) {
	c := &counter{rig: open(t)}
	return c, jobs.Submissions{
		Submitter: &submission.Submitter{Store: c.store, Platform: c}, Platform: c.Platform, Log: zerolog.Nop(), Count: c.outcome,
		Ready: func(source string) error {
			if source == "deaf" {
				return errors.New("source deaf has no callback_base_url")
			}
			return nil
		},
	}
}

func file(source, key, text string) submission.Request {
	return submission.Request{Source: source, Key: key, Direction: "UPLOAD", Object: "contact", FileName: "c.csv", Body: strings.NewReader(text), Size: int64(len(text))}
}

func TestASubmissionIsOneJob(t *testing.T) {
	t.Parallel()
	c, s := openDesk(t)
	c.answer = func(string) (int, string) { return 200, `{"id":"7","status":"CREATED"}` }
	for range 3 {
		made, err := s.Submit(t.Context(), file("demo", "order-7", "a,b\n"))
		if err != nil || made.State != job.SubmissionSubmitted || made.Job != "7" || c.count != 1 {
			t.Fatalf("Submit = %+v, %v, with %d uploads", made, err, c.count)
		}
		found, err := s.Submission(t.Context(), "demo", made.Name)
		if err != nil || found.Job != "7" {
			t.Errorf("Submission = %+v, %v", found, err)
		}
	}
	j, err := c.Job(t.Context(), "demo", "7", false, 0)
	if err != nil || j.View.Submission == "" || j.State != joblist.Submitted {
		t.Errorf("the job is %+v, %v, want submitted", j, err)
	}
	for name, tt := range map[string]struct {
		q    submission.Request
		want api.ProblemKind
	}{
		"another file":             {file("demo", "order-7", "a,c\n"), api.KeyReused},
		"a source that is not":     {file("none", "", "a"), api.UnknownSource},
		"a source without secrets": {file("mute", "", "a"), api.NotConfigured},
		"an object that cannot be": {submission.Request{Source: "demo", Object: "..", FileName: "c", Body: strings.NewReader("a")}, api.BadRequest},
		"a file that breaks off":   {submission.Request{Source: "demo", Object: "contact", FileName: "c", Body: iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("ab"))), Size: -1}, api.BadRequest},
		"a form with too much":     {submission.Request{Source: "demo", Object: "contact", FileName: "c", Body: iotest.ErrReader(api.TooLarge.Problem("much")), Size: -1}, api.TooLarge},
	} {
		_, err := s.Submit(t.Context(), tt.q)
		kind(t, name, err, tt.want)
	}
	_, err = s.Submission(t.Context(), "demo", "none")
	kind(t, "a submission that is not", err, api.UnknownSubmission)
	_, err = s.Submission(t.Context(), "demo", strings.Repeat("x", 5000)) // must not cost the connection to NATS
	kind(t, "what is too long for a submission", err, api.UnknownSubmission)
	_, err = s.Submission(t.Context(), "*", "none")
	kind(t, "a source that is a wildcard", err, api.UnknownSubmission)
	c.answer = func(string) (int, string) { return 400, `{"message":"no such object"}` }
	_, err = s.Submit(t.Context(), file("demo", "order-8", "a"))
	kind(t, "what the platform refuses", err, api.PlatformRefused)
	if want := "demo submitted,demo submitted,demo submitted,"; !strings.HasPrefix(strings.Join(c.outcomes, ","), want) || c.outcomes[len(c.outcomes)-1] != "demo platform-refused" {
		t.Errorf("counted %v, want %s… and at last demo platform-refused", c.outcomes, want)
	}
	c.answer = func(string) (int, string) { return 502, `{}` }
	if made, err := s.Submit(t.Context(), file("demo", "order-9", "a")); err != nil || made.State != job.SubmissionUnknown {
		t.Errorf("an answer that is lost = %+v, %v, want unknown", made, err)
	}
}

// Actions are recorded before they are done, with who asked and why; what cannot be done is not
// recorded as done.
func TestActions(t *testing.T) {
	t.Parallel()
	r := open(t)
	var recorded []string
	watcher, err := poll.New(poll.Options{
		Store: r.store, Log: zerolog.Nop(), Count: func(string, string, string) {},
		Rows:   func(context.Context, string, string) iter.Seq2[poll.Row, error] { return nil },
		Status: func(context.Context, string, string) ([]byte, error) { return nil, errors.New("not asked here") },
	})
	if err != nil {
		t.Fatal(err)
	}
	a := jobs.Actions{Reader: r.Reader, Watcher: watcher, Record: func(_ context.Context, a job.Action, details map[string]any) error {
		recorded = append(recorded, fmt.Sprint(a.What, " ", a.Operator, " ", a.Reason, " ", details["source"], "/", details["job"], " ", details["request"]))
		return nil
	}}
	by := apiserver.By{Operator: "token ops", Reason: "wrong file", RequestID: "r-1"}
	r.event(job.Submitted, "1", "CREATED")
	r.event(job.Submitted, "2", "CREATED")
	finished := r.event(job.Finished, "2", "COMPLETED")
	r.answer = func(path string) (int, string) {
		if strings.HasSuffix(path, "/1/cancel") {
			return http.StatusOK, `{"id":"1","status":"CANCELLATION_PENDING"}`
		}
		return http.StatusNotFound, `{"message":"no such job"}`
	}
	if status, err := a.Cancel(t.Context(), by, "demo", "1"); err != nil || status.Status != "CANCELLATION_PENDING" {
		t.Errorf("Cancel = %+v, %v", status, err)
	}
	_, err = a.Cancel(t.Context(), by, "demo", "2")
	kind(t, "cancel of a finished job", err, api.AlreadyEnded)
	_, err = a.Cancel(t.Context(), by, "demo", "3")
	kind(t, "cancel of a job that the platform does not know", err, api.UnknownAtPlatform)
	_, err = a.Cancel(t.Context(), by, "none", "1")
	kind(t, "cancel at no source", err, api.UnknownSource)
	replay, err := a.Replay(t.Context(), by, "demo", "2", job.Finished)
	if want := (api.Replay{Stream: "REPLAYS", Sequence: 1, Subject: "replays." + finished.Subject(), Of: finished.Sequence}); err != nil || replay != want {
		t.Errorf("Replay = %+v, %v, want %+v", replay, err, want)
	}
	_, err = a.Replay(t.Context(), by, "demo", "1", job.Finished)
	kind(t, "replay of a job that has not ended", err, api.UnknownRecord)
	_, err = a.Replay(t.Context(), by, "demo", "3", job.Finished)
	kind(t, "replay of no job", err, api.UnknownJob)
	_, err = a.Release(t.Context(), by, "demo", "1")
	kind(t, "release of nothing", err, api.NotQuarantined)
	_, err = a.Release(t.Context(), by, "*", "1")
	kind(t, "release at no source", err, api.UnknownSource)
	kind(t, "poll of no job", a.Poll(t.Context(), "demo", "3"), api.UnknownJob)
	kind(t, "poll of a source without secrets", a.Poll(t.Context(), "mute", "1"), api.UnknownJob)
	if err := a.Poll(t.Context(), "demo", "1"); err != nil {
		t.Errorf("Poll = %v", err)
	}
	if w, there, err := r.store.Watched(t.Context(), "demo", "1"); err != nil || !there || w.Step != 0 {
		t.Errorf("the watch is %+v, %v, %v, want one that is due", w, there, err)
	}
	want := []string{
		"cancel token ops wrong file demo/1 r-1", "cancel token ops wrong file demo/3 r-1", "replay token ops wrong file demo/2 r-1",
		"release token ops wrong file demo/1 r-1",
	}
	if strings.Join(recorded, "\n") != strings.Join(want, "\n") {
		t.Errorf("recorded\n%s\nwant\n%s", strings.Join(recorded, "\n"), strings.Join(want, "\n"))
	}
	a.Record = func(context.Context, job.Action, map[string]any) error { return io.ErrClosedPipe }
	r.answer = func(path string) (int, string) { t.Errorf("%s was asked without a record", path); return 500, "" }
	if _, err := a.Cancel(t.Context(), by, "demo", "1"); err == nil {
		t.Error("a cancellation that cannot be recorded was done")
	}
	if _, err := a.Replay(t.Context(), by, "demo", "2", job.Finished); err == nil {
		t.Error("a replay that cannot be recorded was done")
	}
}
