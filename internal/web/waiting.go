package web

import (
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/metrics"
)

// NewWaiting returns the public listener of a receiver that cannot store anything yet: it answers
// every callback 503 without reading or judging it, so that the platform repeats it, and counts it
// as rejected. GET /healthz is as usual, with the prefix or without.
func NewWaiting(prefix string, m *metrics.Metrics, log zerolog.Logger) http.Handler {
	e := newEcho(nil, false, log)
	// A route by its method would have Echo answer OPTIONS 204.
	e.RouteNotFound("/*", func(c echo.Context) error {
		switch r := c.Request(); {
		case r.Method == http.MethodGet && strings.TrimSuffix(r.URL.Path, "/") == "/healthz":
			return c.JSON(http.StatusOK, message{"ok"})
		case r.Method != http.MethodPost:
			return echo.ErrNotFound
		}
		m.Rejected(http.StatusServiceUnavailable)
		var id [16]byte
		log.Warn().Str("source", job.NoSource).Str("remote", c.RealIP()).Str("outcome", metrics.Unavailable).Str("reason", "waiting for NATS").
			Int("status", http.StatusServiceUnavailable).Bytes("request_id", requestID(c.Request(), &id)).Msg("callback rejected")
		c.Response().Header().Set(echo.HeaderRetryAfter, retryAfter)
		return c.JSON(http.StatusServiceUnavailable, message{"not stored; please call again"})
	})
	return entrance(prefix, e)
}

// Gate is a handler in whose place another one can be put while requests come.
type Gate struct{ to atomic.Pointer[http.Handler] }

// NewGate returns a gate to h.
func NewGate(h http.Handler) *Gate {
	g := &Gate{}
	g.Set(h)
	return g
}

// Set has the requests that come from now on answered by h.
func (g *Gate) Set(h http.Handler) { g.to.Store(&h) }

// ServeHTTP implements http.Handler.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*g.to.Load()).ServeHTTP(w, r) }
