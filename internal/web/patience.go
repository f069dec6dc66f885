package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"receiver/internal/callback"
	"receiver/internal/verify"
)

// settle notes what the answer to a judged callback means for the platform's patience.
func (p Public) settle(source string, body []byte, out callback.Outcome, err error) {
	switch {
	case p.Patience == nil:
	case err == nil:
		p.Patience.Answered(source, body, time.Now())
	case !errors.Is(err, callback.ErrUnauthorized):
		p.Patience.Failed(source, body, "unavailable", time.Now())
	case callback.TriesPatience(out.Reason):
		p.Patience.Failed(source, body, out.Reason, time.Now())
	default:
		p.Patience.Ignored(source, body, out.Reason, time.Now())
	}
}

// turnedAway notes a callback that was answered before any verification, if it may be
// the platform's.
func (p Public) turnedAway(c echo.Context, code int) {
	p.failed(c.Param("source"), c.Request().Header.Values(verify.Header), nil, http.StatusText(code))
}

// failed notes a callback that was not judged.
func (p Public) failed(source string, signatures []string, body []byte, reason string) {
	if p.Patience == nil {
		return
	}
	note := p.Patience.Ignored
	if known, formed := p.Receiver.Knows(source), verify.WellFormed(signatures); known && formed {
		note = p.Patience.Failed
	}
	note(source, body, reason, time.Now())
}

// SourceStatus is one source as GET /v1/sources shows it.
type SourceStatus struct {
	Name string `json:"name"`
	// Keys are the source's keys, newest first.
	Keys []KeyStatus `json:"keys"`
	callback.Standing
}

// KeyStatus is one signature key as GET /v1/sources shows it.
type KeyStatus struct {
	Name        string    `json:"name"`
	Fingerprint string    `json:"fingerprint"`
	NotBefore   time.Time `json:"notBefore,omitzero"`
	NotAfter    time.Time `json:"notAfter,omitzero"`
}

// SourcesAnswer is the body of GET /v1/sources: the sources in force in this process,
// by name.
type SourcesAnswer struct {
	// Since is when this process began to count.
	Since   time.Time      `json:"since"`
	Sources []SourceStatus `json:"sources"`
}

func (p Private) sources(since time.Time) echo.HandlerFunc {
	return func(c echo.Context) error {
		answer := SourcesAnswer{Since: since.UTC(), Sources: []SourceStatus{}}
		for _, s := range p.Receiver.Sources() {
			status := SourceStatus{Name: s.Name, Standing: p.Patience.Standing(s.Name, time.Now())}
			for _, k := range s.Verifier.Keys() {
				w := k.Window()
				status.Keys = append(status.Keys, KeyStatus{k.Name(), k.Fingerprint(), w.NotBefore, w.NotAfter})
			}
			answer.Sources = append(answer.Sources, status)
		}
		return c.JSON(http.StatusOK, answer)
	}
}

// ShowPatience adds gauges of how the sources in force stand with the platform. They
// are those of this process: other replicas have answered other callbacks.
func (m *Metrics) ShowPatience(r *callback.Receiver, p *callback.Patience) {
	m.registry.MustRegister(&patienceGauges{
		receiver: r, patience: p,
		inARow:  gauge("failures_in_a_row", "Answers other than 2xx to what may be the platform since the last 2xx."),
		failing: gauge("deliveries_failing", "Callbacks that were answered other than 2xx and should come again."),
		givenUp: gauge("deliveries_given_up", "Callbacks that the platform has given up; they wait in its queue."),
		left:    gauge("attempts_left", "How often the callback that is nearest to being given up should still come; 0 means that the platform may have stopped calling."),
		retry:   gauge("next_retry_timestamp_seconds", "When the next retry is expected; absent if none is."),
	})
}

func gauge(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("receiver_patience_"+name, help, []string{"source"}, nil)
}

type patienceGauges struct {
	receiver                              *callback.Receiver
	patience                              *callback.Patience
	inARow, failing, givenUp, left, retry *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (g *patienceGauges) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.inARow, g.failing, g.givenUp, g.left, g.retry} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (g *patienceGauges) Collect(to chan<- prometheus.Metric) {
	for _, source := range g.receiver.Sources() {
		s := g.patience.Standing(source.Name, time.Now())
		show := func(d *prometheus.Desc, v float64) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, source.Name)
		}
		show(g.inARow, float64(s.InARow))
		show(g.failing, float64(s.Failing))
		show(g.givenUp, float64(s.GivenUp))
		show(g.left, float64(s.AttemptsLeft))
		if !s.NextRetry.IsZero() {
			show(g.retry, float64(s.NextRetry.UnixMilli())/1000)
		}
	}
}
