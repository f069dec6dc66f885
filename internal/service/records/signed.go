package records

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"receiver/api"
	"receiver/internal/audit"
	"receiver/internal/auditlog"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/service/logs"
	"receiver/internal/web/apiserver"
)

// Signed implements apiserver.Trail.
func (a *API) Signed(ctx context.Context, by apiserver.By, stream string, seq uint64) (q api.ExplainRequest, err error) {
	if !slices.Contains(logs.Streams, stream) {
		return q, NoRecord(stream, seq)
	}
	var found *audit.Record
	err = logs.StreamSource{Bus: a.bus, Stream: stream}.Records(ctx, seq, seq, func(r audit.Record) error { found = &r; return nil })
	if err == nil && found == nil {
		err = NoRecord(stream, seq)
	}
	if err != nil {
		return q, err
	}
	e, ok := auditlog.Read(*found)
	switch {
	case !ok || e.Verdict == auditlog.Action:
		return q, api.BadRequest.Problem("%s/%d is no callback, so the platform signed nothing in it; choose another record", stream, seq)
	case e.Source == job.NoSource:
		return q, api.UnknownSource.Problem("the callback %s came to no configured source, so there is no key to check it with", e.ID)
	}
	q.Source = e.Source
	if e.Signature != "" {
		q.Signatures = []string{e.Signature}
	}
	if q.Body, err = a.whole(ctx, *found, e); err != nil {
		return q, err
	}
	return q, a.record(ctx, job.Action{What: job.ActionExplain, Operator: by.Operator}, map[string]any{"record": e.ID, "request": by.RequestID})
}

// whole returns the body of a callback as it was signed.
func (a *API) whole(ctx context.Context, r audit.Record, e auditlog.Entry) ([]byte, error) {
	body, err := a.bus.Body(ctx, publish.Message{Header: r.Header, Data: r.Data})
	switch {
	case errors.Is(err, publish.ErrEncrypted):
		return nil, api.NotConfigured.Problem("%v", hint(fmt.Errorf("%s: %w", e.ID, err)))
	case errors.Is(err, publish.ErrLost), err == nil && e.Body != "" && job.BodySHA256(body) != e.Body:
		return nil, api.UnknownRecord.Problem("the body of %s was not kept whole, so its signature cannot be checked again", e.ID)
	}
	return body, err
}
