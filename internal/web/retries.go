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

// noteJudged records the answer to a judged callback in the retry state.
func (p Public) noteJudged(source string, body []byte, out callback.Outcome, err error) {
	switch {
	case p.Retries == nil:
	case err == nil:
		p.Retries.Answered(source, body, time.Now())
	case !errors.Is(err, callback.ErrUnauthorized):
		p.Retries.Failed(source, body, "unavailable", time.Now())
	case callback.MayBePlatform(out.Reason):
		p.Retries.Failed(source, body, out.Reason, time.Now())
	default:
		p.Retries.Ignored(source, body, out.Reason, time.Now())
	}
}

// noteUnjudged records a callback that was answered before any verification, if it may be the
// platform's.
func (p Public) noteUnjudged(c echo.Context, code int) {
	p.noteFailed(c.Param("source"), c.Request().Header.Values(verify.Header), nil, http.StatusText(code))
}

// noteFailed records a callback that was not judged.
func (p Public) noteFailed(source string, signatures []string, body []byte, reason string) {
	if p.Retries == nil {
		return
	}
	note := p.Retries.Ignored
	if known, formed := p.Receiver.Knows(source), verify.WellFormed(signatures); known && formed {
		note = p.Retries.Failed
	}
	note(source, body, reason, time.Now())
}

// ShowRetryState adds gauges of the retries that the platform has left for the sources in force.
// They are those of this process: other replicas have answered other callbacks.
func (m *Metrics) ShowRetryState(r *callback.Receiver, p *callback.RetryState) {
	m.registry.MustRegister(&retryGauges{
		receiver: r, retries: p,
		inARow:  gauge("failures_in_a_row", "Consecutive responses other than 2xx to possible callbacks of the platform."),
		failing: gauge("deliveries_failing", "Callbacks that were not answered 2xx and that the platform should retry."),
		givenUp: gauge("deliveries_given_up", "Callbacks that the platform no longer retries; they wait in its queue."),
		left:    gauge("attempts_left", "Retries left for the callback that has the fewest; 0 means that the platform may have stopped calling."),
		retry:   gauge("next_retry_timestamp_seconds", "Time of the next expected retry, in seconds since 1970; absent if none is expected."),
	})
}

func gauge(name, help string) *prometheus.Desc {
	return prometheus.NewDesc("receiver_patience_"+name, help, []string{"source"}, nil)
}

type retryGauges struct {
	receiver                              *callback.Receiver
	retries                               *callback.RetryState
	inARow, failing, givenUp, left, retry *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (g *retryGauges) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.inARow, g.failing, g.givenUp, g.left, g.retry} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (g *retryGauges) Collect(to chan<- prometheus.Metric) {
	for _, source := range g.receiver.Sources() {
		s := g.retries.Standing(source.Name, time.Now())
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
