package apiserver

import (
	"context"

	"receiver/api"
	"receiver/internal/access"
	"receiver/internal/job"
)

// Actions are what operators do about a job. Each is recorded before it is done.
type Actions interface {
	// Cancel asks the platform to cancel a job, and returns its word.
	Cancel(ctx context.Context, by By, source, id string) (api.Status, error)
	// Poll has the platform polled for a job next.
	Poll(ctx context.Context, source, id string) error
	// Release publishes the quarantined callbacks of a job, and returns the events.
	Release(ctx context.Context, by By, source, id string) ([]job.Stored, error)
	// Replay publishes the event of a kind once more.
	Replay(ctx context.Context, by By, source, id string, kind job.Kind) (api.Replay, error)
}

// By says who asks for an action, why, and with which request.
type By struct{ Operator, Reason, RequestID string }

func by(ctx context.Context, reason string) By {
	return By{Operator: access.Operator(ctx), Reason: reason, RequestID: api.RequestID(ctx)}
}

// CancelJob implements StrictServerInterface.
func (s Server) CancelJob(ctx context.Context, r CancelJobRequestObject) (CancelJobResponseObject, error) {
	if s.Actions == nil {
		return nil, notReached()
	}
	status, err := s.Actions.Cancel(ctx, by(ctx, r.Params.Reason), r.Source, r.Job)
	return CancelJob200JSONResponse(status), err
}

// PollJob implements StrictServerInterface.
func (s Server) PollJob(ctx context.Context, r PollJobRequestObject) (PollJobResponseObject, error) {
	if s.Actions == nil || s.Jobs == nil {
		return nil, notReached()
	}
	if err := s.Actions.Poll(ctx, r.Source, r.Job); err != nil {
		return nil, err
	}
	found, err := s.Jobs.Job(ctx, r.Source, r.Job, false, 0)
	return PollJob202JSONResponse(found), err
}

// ReleaseJob implements StrictServerInterface.
func (s Server) ReleaseJob(ctx context.Context, r ReleaseJobRequestObject) (ReleaseJobResponseObject, error) {
	if s.Actions == nil {
		return nil, notReached()
	}
	events, err := s.Actions.Release(ctx, by(ctx, r.Params.Reason), r.Source, r.Job)
	return ReleaseJob200JSONResponse(given(events)), err
}

// ReplayJob implements StrictServerInterface.
func (s Server) ReplayJob(ctx context.Context, r ReplayJobRequestObject) (ReplayJobResponseObject, error) {
	if s.Actions == nil {
		return nil, notReached()
	}
	kind := r.Params.Kind
	if kind == "" {
		kind = job.Finished
	}
	replay, err := s.Actions.Replay(ctx, by(ctx, r.Params.Reason), r.Source, r.Job, kind)
	return ReplayJob200JSONResponse(replay), err
}

// given returns events as the API gives them.
func given(events []job.Stored) api.Events {
	all := api.Events{Events: make([]api.Event, len(events))}
	for i, e := range events {
		all.Events[i] = api.NewEvent(e)
	}
	return all
}
