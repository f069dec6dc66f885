package apiserver

import (
	"context"

	"receiver/api"
)

// Forwarding knows what is passed on: to sinks and, from an edge, to its hub.
type Forwarding interface {
	// Sinks returns the state of the configured sinks, and Edge that of the link to the hub.
	Sinks(ctx context.Context) (api.Sinks, error)
	Edge(ctx context.Context) (api.Edge, error)
	// Replay has what a sink has not accepted posted again: of one job or, if both are empty, all.
	Replay(ctx context.Context, by By, sink, source, id string) (api.SinkReplay, error)
}

// ListSinks implements StrictServerInterface.
func (s Server) ListSinks(ctx context.Context, _ ListSinksRequestObject) (ListSinksResponseObject, error) {
	if s.Forwarding == nil {
		return nil, notReached()
	}
	all, err := s.Forwarding.Sinks(ctx)
	return ListSinks200JSONResponse(all), err
}

// GetEdge implements StrictServerInterface.
func (s Server) GetEdge(ctx context.Context, _ GetEdgeRequestObject) (GetEdgeResponseObject, error) {
	if s.Forwarding == nil {
		return nil, notReached()
	}
	state, err := s.Forwarding.Edge(ctx)
	return GetEdge200JSONResponse(state), err
}

// ReplaySink implements StrictServerInterface.
func (s Server) ReplaySink(ctx context.Context, r ReplaySinkRequestObject) (ReplaySinkResponseObject, error) {
	if s.Forwarding == nil {
		return nil, notReached()
	}
	made, err := s.Forwarding.Replay(ctx, by(ctx, r.Params.Reason), r.Sink, r.Params.Source, r.Params.Job)
	return ReplaySink200JSONResponse(made), err
}
