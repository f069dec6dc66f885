package apiserver

import (
	"context"
	"time"

	"receiver/api"
	"receiver/internal/joblist"
	"receiver/internal/when"
)

// ListJobs implements StrictServerInterface.
func (s Server) ListJobs(ctx context.Context, r ListJobsRequestObject) (ListJobsResponseObject, error) {
	if s.Jobs == nil {
		return nil, notReached()
	}
	p, now := r.Params, time.Now()
	q := joblist.Query{
		Source: p.Source, Object: p.Object, States: p.State, Results: p.Result, Text: p.Text, ChangedAfter: p.ChangedAfter,
		Sort: p.Sort, Reverse: p.Reverse, Cursor: p.Cursor,
	}
	var err error
	if q.Limit, err = limit(p.Limit, 50, joblist.MaxPage); err != nil {
		return nil, err
	}
	if q.Since, err = moment("since", p.Since, now); err != nil {
		return nil, err
	}
	if q.Until, err = moment("until", p.Until, now); err != nil {
		return nil, err
	}
	wait, err := waitOf(p.Wait)
	if err != nil {
		return nil, err
	}
	page, err := s.Jobs.List(ctx, q, wait)
	return ListJobs200JSONResponse(page), err
}

// CountJobs implements StrictServerInterface.
func (s Server) CountJobs(context.Context, CountJobsRequestObject) (CountJobsResponseObject, error) {
	if s.Jobs == nil {
		return nil, notReached()
	}
	return CountJobs200JSONResponse(s.Jobs.Counts()), nil
}

// GetJob implements StrictServerInterface.
func (s Server) GetJob(ctx context.Context, r GetJobRequestObject) (GetJobResponseObject, error) {
	if s.Jobs == nil {
		return nil, notReached()
	}
	wait, err := waitOf(r.Params.Wait)
	if err != nil {
		return nil, err
	}
	if u := r.Params.Until; u != "" && !u.Valid() {
		return nil, api.BadRequest.Problem("until %q is neither finished nor known", u)
	}
	j, err := s.Jobs.Job(ctx, r.Source, r.Job, r.Params.Until != api.GetJobParamsUntilKnown, wait)
	return GetJob200JSONResponse(j), err
}

// ListJobEvents implements StrictServerInterface.
func (s Server) ListJobEvents(ctx context.Context, r ListJobEventsRequestObject) (ListJobEventsResponseObject, error) {
	if s.Jobs == nil {
		return nil, notReached()
	}
	events, err := s.Jobs.Events(ctx, r.Source, r.Job)
	return ListJobEvents200JSONResponse(given(events)), err
}

// ListJobErrors implements StrictServerInterface.
func (s Server) ListJobErrors(ctx context.Context, r ListJobErrorsRequestObject) (ListJobErrorsResponseObject, error) {
	if s.Jobs == nil {
		return nil, notReached()
	}
	most, err := limit(r.Params.Limit, 1000, 10_000)
	if err != nil {
		return nil, err
	}
	rows, err := s.Jobs.Errors(ctx, r.Source, r.Job, most, r.Params.Platform)
	return ListJobErrors200JSONResponse(rows), err
}

// formats are the media types of results by the parameter format.
var formats = map[api.GetJobResultParamsFormat]string{
	"": "text/csv", api.GetJobResultParamsFormatCsv: "text/csv", api.GetJobResultParamsFormatJson: "application/json",
	api.GetJobResultParamsFormatJsonl: "application/jsonl",
}

// GetJobResult implements StrictServerInterface.
func (s Server) GetJobResult(ctx context.Context, r GetJobResultRequestObject) (GetJobResultResponseObject, error) {
	mediaType, ok := formats[r.Params.Format]
	if !ok {
		return nil, api.BadRequest.Problem("format %q is neither csv, json nor jsonl", r.Params.Format)
	}
	object := r.Params.Object
	if object == "" && s.Jobs != nil {
		var err error
		if object, err = s.Jobs.Object(ctx, r.Source, r.Job); err != nil {
			return nil, err
		}
	}
	if object == "" {
		return nil, api.BadRequest.Problem("the events of job %q do not name its object; name it with ?object=", r.Job)
	}
	if s.Platform == nil {
		return nil, notReached()
	}
	rows, err := s.Platform.Result(ctx, r.Source, r.Job, object, mediaType)
	if err != nil {
		return nil, err
	}
	return stream{rows, mediaType}, nil
}

// GetJobStatus implements StrictServerInterface.
func (s Server) GetJobStatus(ctx context.Context, r GetJobStatusRequestObject) (GetJobStatusResponseObject, error) {
	if s.Platform == nil {
		return nil, notReached()
	}
	status, err := s.Platform.Status(ctx, r.Source, r.Job)
	return GetJobStatus200JSONResponse(status), err
}

// ListObjects implements StrictServerInterface.
func (s Server) ListObjects(ctx context.Context, r ListObjectsRequestObject) (ListObjectsResponseObject, error) {
	if s.Platform == nil {
		return nil, notReached()
	}
	objects, err := s.Platform.Objects(ctx, r.Source)
	return ListObjects200JSONResponse(objects), err
}

// GetObject implements StrictServerInterface.
func (s Server) GetObject(ctx context.Context, r GetObjectRequestObject) (GetObjectResponseObject, error) {
	if s.Platform == nil {
		return nil, notReached()
	}
	m, err := s.Platform.Metadata(ctx, r.Source, r.Object)
	return GetObject200JSONResponse(m), err
}

// limit reads the parameter of that name.
func limit(given *int, otherwise, most int) (int, error) {
	switch {
	case given == nil:
		return otherwise, nil
	case *given < 1 || *given > most:
		return 0, api.BadRequest.Problem("limit %d is not 1 to %d", *given, most)
	}
	return *given, nil
}

// moment reads a parameter that is a duration ago or a time; empty is the zero time.
func moment(name, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := when.Parse(text, now)
	if err != nil {
		return t, api.BadRequest.Problem("%s %v", name, err)
	}
	return t, nil
}
