package web

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/internal/access"
	"receiver/internal/metrics"
	"receiver/internal/tracing"
	"receiver/internal/web/apiserver"
	"receiver/internal/web/profiling"
)

// Private has the options of the private listener.
type Private struct {
	// Access knows the bearer tokens, one of which every request must carry but GET /healthz,
	// and GET /readyz if it wants no reason.
	// Nil, or none that is required, is fit for loopback only: then nothing but GET /healthz,
	// /readyz and /metrics answers a request whose Host does not name this machine.
	Access *access.Set
	// Record records each use of a token other than reading, before and after the action. An action
	// that cannot be recorded is not done.
	Record Recorder
	// Ready reports whether callbacks can be stored now.
	Ready func(context.Context) error
	// Remark says what else is wrong while they can; empty, or nil, for nothing.
	Remark func() string
	// Metrics are served at /metrics; it must be set.
	Metrics *metrics.Metrics
	// API answers the operations of the contract.
	API apiserver.Server
	// ExplainBody is the largest body of a callback, in bytes, that POST /v1/verify/explain takes.
	ExplainBody int64
	// Tracer traces operations, below the traces of their callers; nil traces none.
	Tracer *tracing.Tracer
	// Profiles answers GET /debug/pprof/{profile}.
	Profiles profiling.Profiler
	Log      zerolog.Logger

	glance *glance
}

// readyTimeout bounds how long a question for readiness may take.
const readyTimeout = 2 * time.Second

// trailAtOnce is how many questions to the trail are answered at once. Each may look through a
// whole stream, and hold a record of the largest body several times.
const trailAtOnce = 4

// NewPrivate returns the handler of the private listener, which answers the operations of the
// contract, api/openapi.yaml.
func NewPrivate(p Private) http.Handler {
	p.glance = &glance{}
	e := newEcho(nil, false, p.Log)
	e.HTTPErrorHandler = p.fail
	e.Use(p.counted, identify, p.misplaced, sameSite, p.authorize, knownParameters, p.traced)
	e.GET("/healthz", func(c echo.Context) error { return c.JSON(http.StatusOK, message{"ok"}) })
	e.GET("/readyz", p.ready)
	e.GET("/metrics", echo.WrapHandler(p.Metrics.Handler()))
	e.GET("/openapi.yaml", func(c echo.Context) error { return c.Blob(http.StatusOK, "application/yaml", api.OpenAPI) })
	e.GET("/asyncapi.yaml", func(c echo.Context) error { return c.Blob(http.StatusOK, "application/yaml", api.AsyncAPI) })
	e.GET("/v1/log/:stream/tile/*", p.tile)
	e.GET("/debug/pprof/:profile", func(c echo.Context) error {
		return p.Profiles.Serve(c.Response(), c.Request(), c.Param("profile"), p.Log)
	})
	if p.API.Tokens == nil && p.Access != nil {
		p.API.Tokens = p.Access.Uses
	}
	turn, explaining := inTurn(trailAtOnce), inTurn(1)
	p.API.Register(e, map[string][]echo.MiddlewareFunc{
		"listCallbacks": {turn}, "listJobAttempts": {turn}, "listKeys": {turn}, "getStreams": {turn}, "followEvents": {headEnds}, "getCallback": {turn}, "getBundle": {turn}, "getReport": {turn}, "listCheckpoints": {turn}, "explain": {p.question(explaining)}, "explainCallback": {explaining},
	})
	return e
}

// counted counts a request by the operation of the contract that answers it, and status.
func (p Private) counted(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		operation := metrics.NoOperation
		if o, there := routes()[c.Request().Method+" "+c.Path()]; there {
			operation = o.ID
		}
		defer func() { p.Metrics.Request(operation, c.Response().Status) }() // also where an answer is cut off
		if err := next(c); err != nil {
			c.Error(err)
		}
		return nil
	}
}

// traced makes a span of each operation of the API whose trace is sampled. It comes after
// authorize, so a caller may choose that. Submissions are always traced, so that the callbacks
// which are traced find theirs.
func (p Private) traced(next echo.HandlerFunc) echo.HandlerFunc {
	if p.Tracer == nil {
		return next
	}
	return func(c echo.Context) error {
		if !strings.HasPrefix(c.Path(), "/v1/") || c.Path() == "/v1/events" { // it has no end
			return next(c)
		}
		ctx, span := p.Tracer.Caller(c.Request(), c.Path(), c.Path() == "/v1/sources/:source/jobs")
		if !span.On() {
			return next(c)
		}
		c.SetRequest(c.Request().WithContext(ctx))
		span.Text("receiver.request_id", api.RequestID(ctx))
		if err := next(c); err != nil {
			c.Error(err)
		}
		span.Answered(c.Response().Status, http.StatusInternalServerError)
		span.End(nil)
		return nil
	}
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
			p.Metrics.Rejected(status)
			p.Log.Warn().Str("remote", c.RealIP()).Str("outcome", refused).Int("status", status).
				Str("request_id", api.RequestID(c.Request().Context())).Msg("a callback came to the private listener; have it sent to public.address")
		}
		return nil
	}
}

// headEnds answers HEAD for an answer without an end: net/http would drop all of it, for ever.
func headEnds(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if asked(c.Request()) == http.MethodHead {
			return c.Blob(http.StatusOK, "text/event-stream", nil)
		}
		return next(c)
	}
}

func (p Private) ready(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), readyTimeout)
	defer cancel()
	if err := p.Ready(ctx); err != nil {
		return api.Unavailable.Problem("%v", err)
	}
	text := "ready"
	if p.Remark != nil && p.Remark() != "" {
		text += "; but " + p.Remark()
	}
	return c.JSON(http.StatusOK, message{text})
}

// probed answers GET /readyz without a token, of which the probes of Kubernetes and of balancers
// have none: without a reason, and without asking the store more often than once a second.
func (p Private) probed(c echo.Context) error {
	if err := p.glance.look(p.Ready); err != nil {
		return api.Unavailable.Problem("the receiver is not ready; ask with a token, which has the scope read, for the reason")
	}
	return c.JSON(http.StatusOK, message{"ready"})
}

// glance is an answer about readiness that is as good as new for a second.
type glance struct {
	mu  sync.Mutex
	at  time.Time
	err error
}

func (g *glance) look(ready func(context.Context) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.at) >= time.Second {
		ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
		defer cancel()
		g.err = ready(ctx)
		g.at = time.Now()
	}
	return g.err
}

// tile answers GET /v1/log/{stream}/tile/…, whose last name has slashes in it.
//
// C2SP: tlog-tiles, "Merkle Tree".
func (p Private) tile(c echo.Context) error {
	if p.API.Logs == nil {
		return api.Unavailable.Problem("the receiver does not reach NATS yet; GET /readyz says why; try again")
	}
	tile, err := p.API.Logs.Tile(c.Request().Context(), c.Param("stream"), "tile/"+c.Param("*"))
	if err != nil {
		return err
	}
	// The contents of a tile never change.
	c.Response().Header().Set(echo.HeaderCacheControl, "max-age=31536000, immutable")
	return c.Blob(http.StatusOK, "application/octet-stream", tile)
}

// inTurn has no more than so many requests answered at once; the others wait.
func inTurn(most int) echo.MiddlewareFunc {
	turn := make(chan struct{}, most)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			select {
			case turn <- struct{}{}:
				defer func() { <-turn }()
			case <-c.Request().Context().Done():
				return c.Request().Context().Err()
			}
			return next(c)
		}
	}
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
			return api.OtherSite.Problem("requests from pages of other sites are refused; send it from a program")
		}
		return next(c)
	}
}
