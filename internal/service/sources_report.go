package service

import (
	"context"
	"errors"
	"time"

	"receiver/api"
	"receiver/internal/callback"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/keyusage"
	"receiver/internal/publish"
	"receiver/internal/service/reach"
	"receiver/internal/service/records"
)

// SourcesReport is the state of the sources, and where it comes from.
type SourcesReport struct {
	// From is "listener" or "streams".
	From string `json:"from"`
	// Since is when the listener's process began to count.
	Since   time.Time      `json:"since,omitzero"`
	Sources []SourceReport `json:"sources"`
}

// SourceReport is the state of one source.
type SourceReport struct {
	api.SourceStatus
	// Refused counts refusals since the last 2xx by reason; only streams know.
	Refused map[string]int `json:"refused_since,omitempty"`
}

// AskSources asks the running receiver.
func AskSources(ctx context.Context, cfg *config.Config) (SourcesReport, error) {
	var said api.Sources
	err := reach.Ask(ctx, cfg, "/v1/sources", &said)
	if err != nil {
		return SourcesReport{}, err
	}
	if said.Since.IsZero() {
		return SourcesReport{}, errors.New("GET /v1/sources: the answer is not that of a receiver")
	}
	return Reported(said), nil
}

// Reported returns what the listener of a receiver says.
func Reported(said api.Sources) SourcesReport {
	report := SourcesReport{From: "listener", Since: said.Since, Sources: []SourceReport{}}
	for _, s := range said.Sources {
		report.Sources = append(report.Sources, SourceReport{SourceStatus: s})
	}
	return report
}

// ReadSources computes the state of the sources from the streams.
func ReadSources(ctx context.Context, cfg *config.Config, bus *publish.Store) (SourcesReport, error) {
	if _, err := ConfiguredKeys(cfg); err != nil {
		return SourcesReport{}, err
	}
	receptions, retries := keyusage.Receptions{}, callback.NewRetryState()
	err := records.ArrivalsByTime(ctx, bus, func(arrived job.Arrival) {
		receptions.Add(arrived)
		if arrived.Accepted() {
			retries.Answered(arrived.Source, []byte(arrived.Body), arrived.Received)
		} else if callback.MayBePlatform(arrived.Verdict) {
			retries.Failed(arrived.Source, []byte(arrived.Body), arrived.Verdict, arrived.Received)
		}
	})
	report := SourcesReport{From: "streams", Sources: []SourceReport{}}
	for _, name := range cfg.SourceNames() {
		s := SourceReport{SourceStatus: api.SourceStatus{Name: name, Standing: retries.Standing(name, time.Now())}}
		for _, k := range cfg.Sources[name].SignatureKeys {
			s.Keys = append(s.Keys, api.KeyStatus{Name: k.Name, Fingerprint: k.Value.Fingerprint(), NotBefore: k.NotBefore, NotAfter: k.NotAfter})
		}
		if r := receptions[name]; r != nil {
			s.Refused = r.Refused
		}
		report.Sources = append(report.Sources, s)
	}
	return report, err
}
