package web

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"receiver/internal/access"
	"receiver/internal/callback"
)

// Private has the options of the private listener.
type Private struct {
	// Access knows the bearer tokens, one of which every request but GET /healthz must carry.
	// Nil, or none that is required, is fit for loopback only: then nothing but GET /healthz,
	// /readyz and /metrics answers a request whose Host does not name this machine.
	Access *access.Set
	// Record records each use of a token other than reading, before and after the action. An action
	// that cannot be recorded is not done.
	Record Recorder
	// Ready reports whether callbacks can be stored now.
	Ready func(context.Context) error
	// Metrics are served at /metrics; it must be set.
	Metrics *Metrics
	// Receiver and Retries are served at /v1/sources; without them there is no such address.
	Receiver *callback.Receiver
	Retries  *callback.RetryState
	// Explain answers POST /v1/verify/explain, for bodies of at most ExplainBody bytes;
	// nil means that there is no such address.
	Explain     Explainer
	ExplainBody int64
	// Trail answers /v1/callbacks and Logs /v1/log; nil means that there is no such address.
	Trail Trail
	Logs  Logs
	Log   zerolog.Logger
}

// readyTimeout bounds how long a question for readiness may take.
const readyTimeout = 2 * time.Second

// NewPrivate returns the handler of the private listener: GET /healthz, /readyz, /metrics,
// /v1/sources, /v1/tokens, /v1/callbacks and /v1/log with what is beneath them, and POST
// /v1/verify/explain.
func NewPrivate(p Private) http.Handler {
	e := newEcho(nil, false, p.Log)
	e.Use(p.misplaced, sameSite, p.authorize)
	e.GET("/healthz", func(c echo.Context) error { return c.JSON(http.StatusOK, message{"ok"}) })
	e.GET("/readyz", p.ready)
	e.GET("/metrics", echo.WrapHandler(p.Metrics.handler()))
	if p.Receiver != nil && p.Retries != nil {
		e.GET("/v1/sources", p.sources(time.Now()))
	}
	if p.Explain != nil {
		e.POST("/v1/verify/explain", p.explain())
	}
	if p.Access != nil {
		e.GET("/v1/tokens", p.tokens)
	}
	if p.Trail != nil {
		p.trail(e)
	}
	if p.Logs != nil {
		p.logs(e)
	}
	return e
}

// misplaced counts and logs callbacks to this listener: its address is configured at the platform
// instead of the public one. They are answered as any other request to an unknown address.
func (p Private) misplaced(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		if !signed(c.Request()) {
			return err
		}
		if err != nil {
			c.Error(err)
		}
		if status := c.Response().Status; status >= http.StatusBadRequest {
			p.Metrics.rejected.WithLabelValues(http.StatusText(status)).Inc()
			p.Log.Warn().Str("remote", c.RealIP()).Int("status", status).Msg("a callback came to the private listener; have it sent to public.address")
		}
		return nil
	}
}

func (p Private) ready(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), readyTimeout)
	defer cancel()
	if err := p.Ready(ctx); err != nil {
		return c.JSON(http.StatusServiceUnavailable, message{err.Error()})
	}
	return c.JSON(http.StatusOK, message{"ready"})
}

// sameSite refuses what a page of another site has a browser ask, whatever the method: such a
// page cannot read the answer, but it could set off work. Only GET /healthz costs nothing.
// Programs are no browsers and send neither Origin nor Sec-Fetch-Site.
func sameSite(next echo.HandlerFunc) echo.HandlerFunc {
	sites := http.NewCrossOriginProtection()
	return func(c echo.Context) error {
		r := c.Request()
		changing := &http.Request{Method: http.MethodPost, Header: r.Header, Host: r.Host, URL: r.URL} // what is safe by its method is let through
		if c.Path() != "/healthz" && sites.Check(changing) != nil {
			return c.JSON(http.StatusForbidden, message{"requests from pages of other sites are refused"})
		}
		return next(c)
	}
}
