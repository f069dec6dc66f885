package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"receiver/api"
	"receiver/internal/audit"
	"receiver/internal/auditlog/report"
	"receiver/internal/plain"
	"receiver/internal/service/records"
	"receiver/internal/version"
)

// Report implements apiserver.Trail. It gives what `receiver audit report` writes, as HTML or JSON.
func (a *API) Report(ctx context.Context, stream string, seq uint64, form string) (api.Report, error) {
	if !slices.Contains([]string{"", "html", "json"}, form) {
		return api.Report{}, api.BadRequest.Problem("form %q is neither html nor json", form)
	}
	if _, err := a.Log(stream); err != nil {
		return api.Report{}, err
	}
	if seq == 0 {
		return api.Report{}, records.NoRecord(stream, seq)
	}
	r, err := a.report(ctx, fmt.Sprintf("%s/%d", stream, seq))
	switch {
	case errors.Is(err, audit.ErrNotSealed), errors.Is(err, audit.ErrNoCheckpoint):
		return api.Report{}, api.NotSealed.Problem("%v", err)
	case errors.Is(err, audit.ErrNoRecord):
		return api.Report{}, records.NoRecord(stream, seq)
	case err != nil:
		return api.Report{}, err
	}
	if form == "json" {
		var text bytes.Buffer
		err := plain.WriteJSON(&text, r)
		return api.Report{Data: text.Bytes(), Type: "application/json"}, err
	}
	page, err := r.Page()
	return api.Report{Data: page, Type: "text/html; charset=utf-8", Policy: report.Policy()}, err
}

func (a *API) report(ctx context.Context, id string) (report.Report, error) {
	sources, err := a.o.Sources()
	if err != nil {
		return report.Report{}, err
	}
	program, _ := version.Read()
	return records.Report(ctx, a.o.Bus, records.ReportOptions{
		Config: a.o.Config, IDs: []string{id}, Report: report.Options{Made: time.Now(), Program: program, Sources: sources},
	})
}
