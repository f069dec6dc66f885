package web

import (
	"context"
	"crypto/hmac"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"receiver/internal/callback"
)

// Private says how the private door is kept.
type Private struct {
	// Token is the bearer token that every request but GET /healthz must carry; empty
	// means none, which is fit for loopback only: then nothing but GET /healthz, /readyz
	// and /metrics answers a request whose Host does not name this machine.
	Token string
	// Ready reports whether callbacks can be stored now.
	Ready func(context.Context) error
	// Metrics are served at /metrics; it must be set.
	Metrics *Metrics
	// Receiver and Patience are served at /v1/sources; without them there is no such address.
	Receiver *callback.Receiver
	Patience *callback.Patience
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

// NewPrivate returns the private door: GET /healthz, /readyz, /metrics, /v1/sources,
// /v1/callbacks and /v1/log with what is beneath them, and POST /v1/verify/explain.
func NewPrivate(p Private) http.Handler {
	e := newEcho(nil, p.Log)
	e.Use(p.misplaced, sameSite)
	e.GET("/healthz", func(c echo.Context) error { return c.JSON(http.StatusOK, message{"ok"}) })
	g := e.Group("", p.authorize)
	g.GET("/readyz", p.ready)
	g.GET("/metrics", echo.WrapHandler(p.Metrics.handler()))
	g = g.Group("", p.atHome)
	if p.Receiver != nil && p.Patience != nil {
		g.GET("/v1/sources", p.sources(time.Now()))
	}
	if p.Explain != nil {
		g.POST("/v1/verify/explain", p.explain())
	}
	if p.Trail != nil {
		p.trail(g)
	}
	if p.Logs != nil {
		p.logs(g)
	}
	return e
}

// misplaced counts and logs callbacks that come here, because somebody has taken this listener
// for the public one: they are answered as anything else that is not for here.
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
			p.Log.Warn().Str("remote", c.RealIP()).Int("status", status).Msg("a callback came to the private listener; it belongs to public.address")
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

func (p Private) authorize(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		given, ok := strings.CutPrefix(c.Request().Header.Get(echo.HeaderAuthorization), "Bearer ")
		if p.Token != "" && (!ok || !hmac.Equal([]byte(given), []byte(p.Token))) {
			c.Response().Header().Set(echo.HeaderWWWAuthenticate, "Bearer")
			return c.JSON(http.StatusUnauthorized, message{"a bearer token is required"})
		}
		return next(c)
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
			return c.JSON(http.StatusForbidden, message{"pages of other sites are not answered here"})
		}
		return next(c)
	}
}

// atHome refuses requests that nobody on this machine has reason to make. To listen on
// loopback keeps other machines out, and not the browser on this one: a page can give its
// own name our address, and read what is answered to it. A page knows no token.
func (p Private) atHome(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if p.Token == "" && !isLoopback(c.Request().Host) {
			return c.JSON(http.StatusMisdirectedRequest, message{"without private.token only requests to localhost or a loopback address are answered here"})
		}
		return next(c)
	}
}

// isLoopback reports whether a Host header, with or without a port, names this machine.
func isLoopback(host string) bool {
	u, err := url.Parse("//" + host)
	if err != nil || u.Host != host {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return strings.EqualFold(u.Hostname(), "localhost") || err == nil && ip.Unmap().IsLoopback()
}
