package apiserver

import (
	"context"
	"mime"
	"net/http"
	"strconv"

	"receiver/api"
)

// ListCallbacks implements StrictServerInterface.
func (s Server) ListCallbacks(ctx context.Context, r ListCallbacksRequestObject) (ListCallbacksResponseObject, error) {
	if s.Trail == nil {
		return nil, notReached()
	}
	page, err := s.Trail.Callbacks(ctx, r.Params)
	return ListCallbacks200JSONResponse(page), err
}

// GetCallback implements StrictServerInterface.
func (s Server) GetCallback(ctx context.Context, r GetCallbackRequestObject) (GetCallbackResponseObject, error) {
	if s.Trail == nil {
		return nil, notReached()
	}
	d, err := s.Trail.Callback(ctx, r.Stream, r.Sequence, r.Params.SameBody == nil || *r.Params.SameBody)
	if err != nil {
		return nil, err
	}
	return GetCallback200JSONResponse(*d), nil
}

// ListJobAttempts implements StrictServerInterface.
func (s Server) ListJobAttempts(ctx context.Context, r ListJobAttemptsRequestObject) (ListJobAttemptsResponseObject, error) {
	if s.Trail == nil {
		return nil, notReached()
	}
	page, err := s.Trail.Attempts(ctx, r.Source, r.Job, r.Params)
	return ListJobAttempts200JSONResponse(page), err
}

// GetBundle implements StrictServerInterface.
func (s Server) GetBundle(ctx context.Context, r GetBundleRequestObject) (GetBundleResponseObject, error) {
	if s.Trail == nil {
		return nil, notReached()
	}
	bundle, err := s.Trail.Bundle(ctx, r.Stream, r.Sequence)
	name := r.Stream + "-" + strconv.FormatUint(r.Sequence, 10) + ".json"
	return bundled{bundle, mime.FormatMediaType("attachment", map[string]string{"filename": name})}, err
}

// GetReport implements StrictServerInterface.
func (s Server) GetReport(ctx context.Context, r GetReportRequestObject) (GetReportResponseObject, error) {
	if s.Trail == nil {
		return nil, notReached()
	}
	report, err := s.Trail.Report(ctx, r.Stream, r.Sequence, r.Params.Form)
	return reported(report), err
}

// reported is a report as it was made. Its page has a policy of its own.
type reported api.Report

// VisitGetReportResponse implements GetReportResponseObject.
func (r reported) VisitGetReportResponse(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", r.Type)
	if r.Policy != "" {
		w.Header().Set("Content-Disposition", "inline")
		w.Header().Set("Content-Security-Policy", r.Policy+"; frame-ancestors 'none'; sandbox allow-downloads")
	}
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(r.Data)
	return err
}

// GetLogs implements StrictServerInterface.
func (s Server) GetLogs(ctx context.Context, _ GetLogsRequestObject) (GetLogsResponseObject, error) {
	if s.Logs == nil {
		return nil, notReached()
	}
	all, err := s.Logs.Logs(ctx)
	return GetLogs200JSONResponse(all), err
}

// VerifyLogs implements StrictServerInterface.
func (s Server) VerifyLogs(ctx context.Context, r VerifyLogsRequestObject) (VerifyLogsResponseObject, error) {
	if s.Logs == nil {
		return nil, notReached()
	}
	wait, err := waitOf(r.Params.Wait)
	if err != nil {
		return nil, err
	}
	found, err := s.Logs.Verify(ctx, wait)
	return VerifyLogs200JSONResponse(found), err
}

// ListCheckpoints implements StrictServerInterface.
func (s Server) ListCheckpoints(ctx context.Context, r ListCheckpointsRequestObject) (ListCheckpointsResponseObject, error) {
	if s.Logs == nil {
		return nil, notReached()
	}
	page, err := s.Logs.Checkpoints(ctx, r.Stream, r.Params)
	return ListCheckpoints200JSONResponse(page), err
}

// GetCheckpoint implements StrictServerInterface.
//
// C2SP: tlog-tiles, "Checkpoints".
func (s Server) GetCheckpoint(ctx context.Context, r GetCheckpointRequestObject) (GetCheckpointResponseObject, error) {
	if s.Logs == nil {
		return nil, notReached()
	}
	note, err := s.Logs.Checkpoint(ctx, r.Stream)
	return GetCheckpoint200TextResponse{Body: string(note), Headers: GetCheckpoint200ResponseHeaders{CacheControl: "no-cache"}}, err
}
