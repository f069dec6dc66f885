package poll

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"receiver/internal/job"
	"receiver/internal/joblist"
)

// Row is why one row of a job failed.
type Row struct {
	// Text is what the platform says of the row.
	Text string `json:"text"`
	// Raw is the row of the platform's listing, as it came.
	Raw json.RawMessage `json:"raw,omitempty"`
}

// Rows is the data of an errors event.
type Rows struct {
	Job    string `json:"job"`
	Source string `json:"source"`
	// Count is the number of Rows. Truncated says that there were more of them than are
	// kept; the platform has the rest until the job's files are gone.
	Count     int   `json:"count"`
	Truncated bool  `json:"truncated,omitempty"`
	Rows      []Row `json:"rows"`
}

// ParseRows reads the data of an errors event.
func ParseRows(data []byte) (Rows, error) {
	var r Rows
	if err := json.Unmarshal(data, &r); err != nil {
		return Rows{}, fmt.Errorf("reading the errors of a job's rows: %w", err)
	}
	return r, nil
}

func hasFailedRows(v job.View) bool { return v.Failed != nil && *v.Failed > 0 }

// leavesOpen reports whether the platform may know more of an end than it tells: how the job
// ended, or which rows failed.
func leavesOpen(v job.View) bool { return v.Result == job.Undecided || hasFailedRows(v) }

func lacksRows(j joblist.Job) bool { return hasFailedRows(j.View) && j.Errors == nil }

// sameTries is how often a platform is asked again that counts failed rows and names none, or
// says in no words that can be read how a job ended: its answers need not be of one moment.
const sameTries = 3

var (
	errNoRows    = errors.New("the platform counts failed rows, but lists none")
	errUndecided = errors.New("the platform reports that the job has ended, but with an unknown result")
	errNotOver   = errors.New("the platform now reports that the job has not ended")
)

// after does what is left to do for a job that has ended: it asks how, if that is unknown, and
// publishes the errors of its rows, once. The watch goes on until the platform gave them or has
// forgotten the job.
func (w *Watcher) after(ctx context.Context, watch job.Watch, ended joblist.Job) error {
	if over(ended) {
		return nil
	}
	now := w.o.Now()
	lacking, err := w.complete(ctx, watch, ended)
	if lacking == nil || err != nil {
		return err
	}
	if now.After(ended.FilesUntil) { // asked all the same: no receiver may have run until now
		w.o.Count("errors", watch.Source, "gone")
		w.o.Log.Warn().AnErr("last_error", lacking).Str("source", watch.Source).Str("job", watch.Job).Int("polls", watch.Looks+1).
			Msg("the receiver did not fetch the whole result of a job while the platform kept it")
		return nil
	}
	watch.Looks, watch.Failures, watch.Last, watch.Error = watch.Looks+1, watch.Failures+1, now, cut(lacking.Error())
	watch.Next = w.schedule(watch.Source, ended.View.Object).again(watch, now)
	watch.Step++
	_, err = w.o.Store.PutWatch(ctx, watch)
	return err
}

// complete asks the platform once for all that is open about the end of a job. Lacking says why
// it is to be asked again; err is the store's, or that ctx is done.
func (w *Watcher) complete(ctx context.Context, watch job.Watch, ended joblist.Job) (lacking, err error) {
	if ended.Undecided() {
		done, lacking, err := w.decide(ctx, watch, ended)
		if !done || lacking != nil || err != nil {
			return lacking, err
		}
	}
	if !lacksRows(ended) {
		return nil, nil
	}
	rows, lacking := w.collect(ctx, watch.Source, watch.Job)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if lacking == nil && len(rows.Rows) == 0 && watch.Step < sameTries {
		lacking = errNoRows
	}
	if lacking != nil {
		w.o.Count("errors", watch.Source, w.o.Classify(lacking))
		return lacking, nil
	}
	return nil, w.publishRows(ctx, ended, rows)
}

// decide asks the platform for the outcome of a job that has ended with an unknown result. The
// answer is a second outcome, and so a conflict, whose own watch polls for anything still open.
// Done is true if the answer was not new.
func (w *Watcher) decide(ctx context.Context, watch job.Watch, ended joblist.Job) (done bool, lacking, err error) {
	a, err := w.ask(ctx, watch.Source, watch.Job, w.o.Timeout)
	switch {
	case ctx.Err() != nil:
		return false, nil, ctx.Err()
	case err != nil:
		return false, err, nil
	case !a.view.Over():
		return false, errNotOver, nil
	}
	watch.Last = w.o.Now()
	stored, err := w.publishEnd(ctx, polled(job.Finished, watch, ended, a))
	if err != nil {
		return false, nil, err
	}
	if !stored.Existed {
		w.o.Log.Info().Str("source", watch.Source).Str("subject", stored.Subject()).Uint64("sequence", stored.Sequence).
			Str("result", string(stored.Job.Result)).Msg("the receiver detected the result of a job by polling")
		return false, nil, nil
	}
	if a.view.Result != job.Undecided {
		return true, nil, nil
	}
	if watch.Step < sameTries {
		return false, errUndecided, nil
	}
	w.o.Log.Warn().Str("source", watch.Source).Str("subject", stored.Subject()).Int("polls", watch.Looks+1).
		Msg("the platform keeps answering with an unknown result; the result of the job stays unknown")
	return true, nil, nil
}

// collect reads the errors of a job's rows as far as they may be kept.
func (w *Watcher) collect(ctx context.Context, source, id string) (Rows, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*w.o.Timeout)
	defer cancel()
	rows := Rows{Job: id, Source: source, Rows: []Row{}}
	size := 0
	for row, err := range w.o.Rows(ctx, source, id) {
		if err != nil {
			return Rows{}, err
		}
		if size += len(row.Text) + len(row.Raw); size > w.maxErrors {
			rows.Truncated = true
			break
		}
		rows.Rows = append(rows.Rows, row)
	}
	rows.Count = len(rows.Rows)
	return rows, nil
}

func (w *Watcher) publishRows(ctx context.Context, ended joblist.Job, rows Rows) error {
	data, err := json.Marshal(rows)
	if err != nil {
		// Only a raw row that is no JSON can do this; its text says the same.
		for i := range rows.Rows {
			rows.Rows[i].Raw = nil
		}
		if data, err = json.Marshal(rows); err != nil {
			return fmt.Errorf("writing the errors of job %s: %w", rows.Job, err)
		}
	}
	v := ended.View
	_, err = w.o.Store.Publish(ctx, job.Event{
		Kind: job.Errors, Source: rows.Source, Time: w.o.Now(), Evidence: job.ByPoll, Unexpected: !ended.Expected, Data: data,
		Job: job.View{ID: rows.Job, Status: v.Status, Object: v.Object, Records: v.Records, Failed: v.Failed},
	})
	if err == nil {
		w.o.Count("errors", rows.Source, "published")
	}
	return err
}
