package track

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"receiver/internal/job"
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

// emptyTries is how often a platform that counts failed rows and names none is asked
// again: its two answers need not be of the same moment.
const emptyTries = 3

var errNoRows = errors.New("the platform counts failed rows and names none")

// after does what is left to do for a job that has ended: it publishes the errors of its
// rows, once. The watch goes on until the platform gave them or has forgotten the job.
func (w *Watcher) after(ctx context.Context, watch job.Watch, ended Job) error {
	if over(ended) {
		return nil
	}
	now := w.o.Now()
	if now.After(ended.FilesUntil) {
		w.o.Count("errors", watch.Source, "gone")
		w.o.Log.Warn().Str("source", watch.Source).Str("job", watch.Job).Int("looks", watch.Looks).Str("last_error", watch.Error).
			Msg("errors of the job's rows not fetched: the platform has kept them for three days")
		return nil
	}
	rows, err := w.collect(ctx, watch.Source, watch.Job)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil && len(rows.Rows) == 0 && watch.Step < emptyTries {
		err = errNoRows
	}
	if err == nil {
		return w.publishRows(ctx, ended, rows)
	}
	w.o.Count("errors", watch.Source, w.o.Classify(err))
	watch.Looks, watch.Failures, watch.Last, watch.Error = watch.Looks+1, watch.Failures+1, now, cut(err.Error())
	watch.Next = w.plan(watch.Source, ended.View.Object).again(watch, now)
	watch.Step++
	_, err = w.o.Store.PutWatch(ctx, watch)
	return err
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
		if size += len(row.Text) + len(row.Raw); size > w.o.MaxErrors {
			rows.Truncated = true
			break
		}
		rows.Rows = append(rows.Rows, row)
	}
	rows.Count = len(rows.Rows)
	return rows, nil
}

func (w *Watcher) publishRows(ctx context.Context, ended Job, rows Rows) error {
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
