package jobs

import (
	"context"
	"errors"
	"time"

	"receiver/api"
	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/poll"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/web/apiserver"
)

// Actions are what operators do about jobs. It is an apiserver.Actions.
type Actions struct {
	Reader  Reader
	Watcher *poll.Watcher
	// Record records an action with its details, before it is done.
	Record func(ctx context.Context, a job.Action, details map[string]any) error
}

// record records an action about a job.
func (a Actions) record(ctx context.Context, what string, by apiserver.By, source, id string) error {
	return a.Record(ctx, job.Action{What: what, Operator: by.Operator, Reason: by.Reason}, map[string]any{
		"source": source, "job": id, "request": by.RequestID,
	})
}

// Cancel implements apiserver.Actions.
func (a Actions) Cancel(ctx context.Context, by apiserver.By, source, id string) (api.Status, error) {
	if _, err := a.Reader.Platform.client(source); err != nil {
		return api.Status{}, err
	}
	j, err := a.Reader.show(ctx, source, id)
	switch {
	case err != nil:
		return api.Status{}, err
	case j.Ended():
		return api.Status{}, api.AlreadyEnded.Problem("job %q ended at %s: %s, %s; GET it for the evidence", id, ended(j), j.View.Result, j.State)
	}
	if err := a.record(ctx, job.ActionCancel, by, source, id); err != nil {
		return api.Status{}, err
	}
	return a.Reader.Platform.cancel(ctx, source, id)
}

// ended is when a job that has ended did, as far as it is known.
func ended(j joblist.Job) string {
	at := j.FinishedAt
	if at.IsZero() {
		at = j.LostAt
	}
	return at.UTC().Format(time.RFC3339)
}

// Poll implements apiserver.Actions.
func (a Actions) Poll(ctx context.Context, source, id string) error {
	j, err := a.Reader.show(ctx, source, id)
	switch {
	case err != nil:
		return err
	case j.State == "":
		return unknown(source, id)
	}
	if _, err := a.Reader.Platform.client(source); err != nil {
		return err
	}
	return a.Watcher.PollNow(ctx, source, id)
}

// Release implements apiserver.Actions.
func (a Actions) Release(ctx context.Context, by apiserver.By, source, id string) ([]job.Stored, error) {
	if !a.Reader.Platform.Known(source) {
		return nil, unknownSource(source)
	}
	if err := a.record(ctx, job.ActionRelease, by, source, id); err != nil {
		return nil, err
	}
	released, err := a.Watcher.Release(ctx, source, id)
	switch {
	case errors.Is(err, poll.ErrNotQuarantined):
		return nil, api.NotQuarantined.Problem("%v; GET /v1/callbacks?verdict=quarantined lists those that are", err)
	case errors.Is(err, poll.ErrEncrypted):
		return nil, api.NotConfigured.Problem("%v; use `receiver jobs release --identity-file`, or set encryption.identity", err)
	}
	return released, err
}

// Replay implements apiserver.Actions.
func (a Actions) Replay(ctx context.Context, by apiserver.By, source, id string, kind job.Kind) (api.Replay, error) {
	events, err := a.Reader.Events(ctx, source, id)
	if err != nil {
		return api.Replay{}, err
	}
	var last *job.Stored
	for i := range events {
		if events[i].Kind == kind {
			last = &events[i]
		}
	}
	if last == nil {
		return api.Replay{}, api.UnknownRecord.Problem("job %q of source %q has no %s event; GET its events for those that it has", id, source, kind)
	}
	if err := a.record(ctx, job.ActionReplay, by, source, id); err != nil {
		return api.Replay{}, err
	}
	sequence, err := a.Reader.Store.Replay(ctx, last.Sequence)
	if errors.Is(err, publish.ErrNoEvent) {
		return api.Replay{}, api.UnknownRecord.Problem("%v", err)
	}
	return api.Replay{Stream: conn.ReplaysStream, Sequence: sequence, Subject: job.ReplaySubject(last.Subject()), Of: last.Sequence}, err
}
