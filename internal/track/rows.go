package track

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

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

// emptyTries is how often a platform that counts failed rows and names none is asked
// again: its two answers need not be of the same moment.
const emptyTries = 4

var errNoRows = errors.New("the platform counts failed rows and names none")

// fetchRows publishes the errors of a finished job's rows, once. What the platform
// answers to that decides only when it is asked again, until it has forgotten the job.
func (w *Watcher) fetchRows(ctx context.Context, e job.Stored, tries uint64) (again time.Duration, err error) {
	there, err := w.o.Store.Has(ctx, e.Source, e.Job.ID, job.Errors)
	if there || err != nil {
		return 0, err
	}
	if w.o.Now().After(e.FilesUntil()) {
		w.o.Count("errors", e.Source, "gone")
		w.o.Log.Warn().Str("source", e.Source).Str("job", e.Job.ID).Uint64("try", tries).
			Msg("errors of the job's rows not fetched: the platform has kept them for three days")
		return 0, nil
	}
	if !w.enter(e.Source) {
		return jittered(busyPause), nil
	}
	defer w.leave(e.Source)
	rows, err := w.collect(ctx, e.Source, e.Job.ID)
	if err == nil && len(rows.Rows) == 0 && tries < emptyTries {
		err = errNoRows
	}
	if err == nil {
		return 0, w.publishRows(ctx, e, rows)
	}
	pause := w.rowsPause(e, tries)
	if ctx.Err() == nil {
		w.o.Count("errors", e.Source, w.o.Classify(err))
		w.o.Log.Warn().Err(err).Str("source", e.Source).Str("job", e.Job.ID).Uint64("try", tries).Dur("pause", pause).
			Msg("errors of the job's rows not fetched; tried again")
	}
	return pause, nil
}

// rowsPause grows with the tries as the pauses between questions after the job do.
func (w *Watcher) rowsPause(e job.Stored, tries uint64) time.Duration {
	plan := w.plan(e.Source, e.Job.Object)
	pause := plan.Retry
	for n := uint64(1); n < tries && pause < plan.Slow; n++ {
		pause *= 2
	}
	return jittered(min(pause, plan.Slow))
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

func (w *Watcher) publishRows(ctx context.Context, e job.Stored, rows Rows) error {
	data, err := json.Marshal(rows)
	if err != nil {
		// Only a raw row that is no JSON can do this; its text says the same.
		for i := range rows.Rows {
			rows.Rows[i].Raw = nil
		}
		if data, err = json.Marshal(rows); err != nil {
			return fmt.Errorf("writing the errors of job %s: %w", e.Job.ID, err)
		}
	}
	_, err = w.o.Store.Publish(ctx, job.Event{
		Kind: job.Errors, Source: e.Source, Time: w.o.Now(), Evidence: job.ByPoll, Data: data,
		Job: job.View{ID: e.Job.ID, Status: e.Job.Status, Object: e.Job.Object, Records: e.Job.Records, Failed: e.Job.Failed},
	})
	if err == nil {
		w.o.Count("errors", e.Source, "published")
	}
	return err
}
