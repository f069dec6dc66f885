package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	"receiver/api"
	"receiver/api/client"
	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/keyusage"
	"receiver/internal/preflight"
	"receiver/internal/submit"
	"receiver/internal/words"
)

// Receiver is a receiver that is asked by HTTP. Its answers are what the commands on its machine
// print. An error has ErrUse in its chain if the receiver did not do what it was asked for because
// of how it was asked.
type Receiver struct {
	c *client.Client
}

// Receiver returns the receiver of a context. It sends nothing.
func (c Context) Receiver(userAgent string) (*Receiver, error) {
	made, err := c.Open(userAgent)
	if err != nil {
		return nil, err
	}
	return &Receiver{c: made}, nil
}

// answerTime is how long an answer is waited for, besides what the receiver is asked to wait.
const answerTime = 2*time.Minute + 30*time.Second

// pollTime is how long the receiver is asked to wait at once.
const pollTime = time.Minute

// answer asks for something in JSON.
func answer[T any](ctx context.Context, call func(context.Context) (*http.Response, error)) (made T, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime+pollTime, errors.New("the receiver did not answer in time"))
	defer cancel()
	made, err = client.Answer[T](call(ctx))
	return made, told(err)
}

// told returns an error as a person in front of a terminal understands it.
func told(err error) error {
	var refused *client.Refusal
	if !errors.As(err, &refused) {
		return err
	}
	p := refused.Problem
	text := p.Error()
	if api.Unauthorized.Is(p) {
		text = "the receiver takes no request without a token that it knows; make one on its machine with `receiver tokens add NAME --scope " +
			scopeOf(refused.Method, refused.Path) + "`, and name its file with --token-file"
	}
	what, next := words.Advice(text)
	for _, a := range advice {
		if a.kind.Is(p) {
			next = a.next
		}
	}
	if next != "" {
		next = "; " + next
	}
	err = &refusal{error: p, text: fmt.Sprintf("%s (request %s)%s", what, p.RequestID, next)}
	for _, kind := range []api.ProblemKind{api.BadRequest, api.Unauthorized, api.MissingScope, api.NotLocal, api.UnknownSource, api.KeyReused} {
		if kind.Is(p) {
			return wrong{err}
		}
	}
	return err
}

// advice is what to do about problems, with commands in place of requests.
var advice = []struct {
	kind api.ProblemKind
	next string
}{
	{api.UnknownJob, "ask the platform with `receiver jobs status`"},
	{api.UnknownSource, "`receiver sources status` lists the sources"},
	{api.UnknownRecord, "`receiver audit list` lists the records"},
	{api.NotSealed, "try again in a second"},
	{api.NotQuarantined, "`receiver audit list --verdict quarantined` lists those that are"},
	{api.AlreadyEnded, "see `receiver jobs show`"},
}

// refusal is a problem in words.
type refusal struct {
	error
	text string
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.error }

// wrong is an error of how the receiver was asked.
type wrong struct{ error }

func (w wrong) Unwrap() []error { return []error{w.error, ErrUse} }

// scopeOf returns the scope that a request needs.
func scopeOf(method, path string) string {
	for _, o := range api.Operations() {
		if o.Method == method && fits(strings.Split(o.Path, "/"), strings.Split(path, "/")) {
			return o.Scope
		}
	}
	return "read"
}

// fits reports whether a path ends as one of the contract, whose names in braces stand for any
// part.
func fits(contract, path []string) bool {
	path = path[max(len(path)-len(contract)+1, 0):]
	for i, part := range contract[1:] { // the first is empty
		if i >= len(path) || part != path[i] && !strings.HasPrefix(part, "{") {
			return false
		}
	}
	return true
}

// Sources returns the sources with what is known of the platform's retries.
func (r *Receiver) Sources(ctx context.Context) (api.Sources, error) {
	return answer[api.Sources](ctx, func(ctx context.Context) (*http.Response, error) { return r.c.ListSources(ctx) })
}

// Source returns the name of a source; an empty one means the only one.
func (r *Receiver) Source(ctx context.Context, name string) (string, error) {
	if name != "" {
		return name, nil
	}
	all, err := r.Sources(ctx)
	switch {
	case err != nil:
		return "", fmt.Errorf("looking for the only source: %w; or give --source", err)
	case len(all.Sources) == 1:
		return all.Sources[0].Name, nil
	case len(all.Sources) == 0:
		return "", fmt.Errorf("%w: it has no source", ErrUse)
	}
	return "", fmt.Errorf("%w: it has several sources; give --source with one of: %s", ErrUse, strings.Join(names(all), ", "))
}

func names(all api.Sources) []string {
	var names []string
	for _, s := range all.Sources {
		names = append(names, s.Name)
	}
	return names
}

// SourceNames returns the names of the sources, as far as the token lets them be known.
func (r *Receiver) SourceNames(ctx context.Context) []string {
	all, _ := r.Sources(ctx)
	return names(all)
}

// Known returns an error if there is no source of that name, as far as the token lets it be known.
func (r *Receiver) Known(ctx context.Context, name string) error {
	all, err := r.Sources(ctx)
	if err != nil {
		return nil //nolint:nilerr // without the list nothing can be said against the name
	}
	if err := words.Check(name, names(all)); err != nil {
		return fmt.Errorf("%w: --source: %w", ErrUse, err)
	}
	return nil
}

// List returns a page of jobs. If it is empty, List waits for a job to be in it, at most for wait.
func (r *Receiver) List(ctx context.Context, q joblist.Query, wait time.Duration) (joblist.Page, error) {
	p := &api.ListJobsParams{
		Source: q.Source, Object: q.Object, State: q.States, Result: q.Results, Since: moment(q.Since), Until: moment(q.Until), Text: q.Text,
		ChangedAfter: q.ChangedAfter, Sort: q.Sort, Reverse: q.Reverse, Limit: &q.Limit, Cursor: q.Cursor, Wait: lasting(wait),
	}
	return answer[joblist.Page](ctx, func(ctx context.Context) (*http.Response, error) { return r.c.ListJobs(ctx, p) })
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func lasting(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// Changes yields the jobs that change after a page was made, until ctx is done.
func (r *Receiver) Changes(ctx context.Context, q joblist.Query, last uint64) iter.Seq2[joblist.Listed, error] {
	q.Cursor, q.ChangedAfter = "", last
	q.Limit = joblist.MaxPage
	return func(yield func(joblist.Listed, error) bool) {
		for ctx.Err() == nil {
			page, err := r.List(ctx, q, pollTime)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				yield(joblist.Listed{}, err)
				return
			}
			for _, j := range page.Jobs {
				if !yield(j, nil) {
					return
				}
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				q.ChangedAfter = page.Last
			}
		}
	}
}

// Job returns one job. It waits, at most for wait, until the job has ended.
func (r *Receiver) Job(ctx context.Context, source, id string, wait time.Duration) (joblist.Job, error) {
	path, edit := client.PathID(id)
	return answer[joblist.Job](ctx, func(ctx context.Context) (*http.Response, error) {
		return r.c.GetJob(ctx, source, path, &api.GetJobParams{Wait: lasting(wait)}, edit)
	})
}

// Events returns the events of a job.
func (r *Receiver) Events(ctx context.Context, source, id string) ([]api.Event, error) {
	path, edit := client.PathID(id)
	all, err := answer[api.Events](ctx, func(ctx context.Context) (*http.Response, error) { return r.c.ListJobEvents(ctx, source, path, edit) })
	return all.Events, err
}

// mostRowErrors is the most that the receiver gives.
const mostRowErrors = 10_000

// RowErrors returns the errors of a job's rows, at most limit; 0 means as many as the receiver
// gives. With platform they are asked from there even if there is an errors event.
func (r *Receiver) RowErrors(ctx context.Context, source, id string, limit int, platform bool) (api.RowErrors, error) {
	path, edit := client.PathID(id)
	if limit <= 0 || limit > mostRowErrors {
		limit = mostRowErrors
	}
	return answer[api.RowErrors](ctx, func(ctx context.Context) (*http.Response, error) {
		return r.c.ListJobErrors(ctx, source, path, &api.ListJobErrorsParams{Limit: &limit, Platform: platform}, edit)
	})
}

// formats are those of a result, by media type.
var formats = map[string]api.GetJobResultParamsFormat{
	"text/csv": api.GetJobResultParamsFormatCsv, "application/json": api.GetJobResultParamsFormatJson,
	"application/jsonl": api.GetJobResultParamsFormatJsonl,
}

// Result returns the rows of a job as they come, in a media type; the caller closes it. An empty
// object is taken from the job's events.
func (r *Receiver) Result(ctx context.Context, source, id, object, mediaType string) (io.ReadCloser, error) {
	path, edit := client.PathID(id)
	format, ok := formats[mediaType]
	if !ok {
		return nil, fmt.Errorf("%w: --accept %q is neither text/csv, application/json nor application/jsonl", ErrUse, mediaType)
	}
	rows, err := client.Body(r.c.GetJobResult(ctx, source, path, &api.GetJobResultParams{Object: object, Format: format}, edit))
	return rows, told(err)
}

// Status returns the platform's word on a job.
func (r *Receiver) Status(ctx context.Context, source, id string) (submit.Status, error) {
	path, edit := client.PathID(id)
	return answer[submit.Status](ctx, func(ctx context.Context) (*http.Response, error) { return r.c.GetJobStatus(ctx, source, path, edit) })
}

// Cancel asks the platform to cancel a job, and returns its word.
func (r *Receiver) Cancel(ctx context.Context, source, id, reason string) (submit.Status, error) {
	path, edit := client.PathID(id)
	return answer[submit.Status](ctx, func(ctx context.Context) (*http.Response, error) {
		return r.c.CancelJob(ctx, source, path, &api.CancelJobParams{Reason: reason}, edit)
	})
}

// Poll has the platform polled for a job now, and returns the job as it was before.
func (r *Receiver) Poll(ctx context.Context, source, id, reason string) (joblist.Job, error) {
	path, edit := client.PathID(id)
	return answer[joblist.Job](ctx, func(ctx context.Context) (*http.Response, error) {
		return r.c.PollJob(ctx, source, path, &api.PollJobParams{Reason: reason}, edit)
	})
}

// Release publishes the quarantined callbacks of a job, and returns the events.
func (r *Receiver) Release(ctx context.Context, source, id, reason string) ([]api.Event, error) {
	path, edit := client.PathID(id)
	all, err := answer[api.Events](ctx, func(ctx context.Context) (*http.Response, error) {
		return r.c.ReleaseJob(ctx, source, path, &api.ReleaseJobParams{Reason: reason}, edit)
	})
	return all.Events, err
}

// Replay publishes the event of a kind of a job once more.
func (r *Receiver) Replay(ctx context.Context, source, id string, kind job.Kind, reason string) (api.Replay, error) {
	path, edit := client.PathID(id)
	return answer[api.Replay](ctx, func(ctx context.Context) (*http.Response, error) {
		return r.c.ReplayJob(ctx, source, path, &api.ReplayJobParams{Kind: kind, Reason: reason}, edit)
	})
}

// Objects returns the objects of a source.
func (r *Receiver) Objects(ctx context.Context, source string) ([]submit.Object, error) {
	all, err := answer[api.Objects](ctx, func(ctx context.Context) (*http.Response, error) { return r.c.ListObjects(ctx, source) })
	return all.Objects, err
}

// Metadata returns the fields of an object.
func (r *Receiver) Metadata(ctx context.Context, source, object string) (submit.Metadata, error) {
	return answer[submit.Metadata](ctx, func(ctx context.Context) (*http.Response, error) { return r.c.GetObject(ctx, source, object) })
}

// Preflight checks the beginning of a file that is to be uploaded to an object.
func (r *Receiver) Preflight(ctx context.Context, source, object string, f preflight.File) (preflight.Report, error) {
	head := string(f.Head)
	if !f.Whole {
		head += "\n" // one byte more tells that there is more
	}
	p := &api.PreflightFileParams{FileName: f.Name, Metadata: f.Metadata}
	return answer[preflight.Report](ctx, func(ctx context.Context) (*http.Response, error) {
		return r.c.PreflightFileWithBody(ctx, source, object, p, csvType, strings.NewReader(head))
	})
}

// Keys returns the signature keys of a source and their use; of all sources if it is empty.
func (r *Receiver) Keys(ctx context.Context, source string) ([]keyusage.Use, error) {
	all, err := answer[api.Keys](ctx, func(ctx context.Context) (*http.Response, error) {
		return r.c.ListKeys(ctx, &api.ListKeysParams{Source: source})
	})
	return all.Keys, err
}

// Doctor has the receiver look for problems.
func (r *Receiver) Doctor(ctx context.Context) (api.Diagnosis, error) {
	return answer[api.Diagnosis](ctx, func(ctx context.Context) (*http.Response, error) { return r.c.GetDoctor(ctx) })
}

// Whole returns an event with its body, which Follow may have left out.
func (r *Receiver) Whole(ctx context.Context, e api.Event) (api.Event, error) {
	all, err := r.Events(ctx, e.Source, e.Job.ID)
	for _, whole := range all {
		if whole.Sequence == e.Sequence {
			e = whole
		}
	}
	return e, err
}
