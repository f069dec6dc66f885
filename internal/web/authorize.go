package web

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"

	"receiver/api"
	"receiver/internal/access"
)

// authorize lets through requests whose holder has the scope of the route, and none to a route
// without a scope.
func (p Private) authorize(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		route := c.Request().Method + " " + c.Path()
		operation, there := routes()[route] // one that is not in the contract is not there
		if there && operation.Scope == "" {
			return next(c)
		}
		scope := access.Scope(operation.Scope)
		holder, known := c.Request().Context().Value(fromFolder{}).(access.Holder)
		if !known {
			if p.Access == nil || !p.Access.Required() {
				return p.requireLoopbackHost(c, p.whilePermitted(p.open, next), there)
			}
			if route == "GET /readyz" && c.Request().Header.Get(echo.HeaderAuthorization) == "" {
				return p.probed(c)
			}
			var err error
			if holder, err = p.check(c); err != nil {
				return refuse(c, err)
			}
		}
		c.SetRequest(c.Request().WithContext(holder.With(c.Request().Context())))
		switch {
		case !there:
			return echo.ErrNotFound
		case !holder.May(scope):
			p.Log.Warn().Str("token", holder.Name).Str("route", route).Str("scope", string(scope)).Str("remote", c.RealIP()).
				Str("request", api.RequestID(c.Request().Context())).
				Msg("a token was used without the required scope")
			return api.MissingScope.Problem("the token lacks the scope %s; use one that has it: receiver tokens add", scope)
		case c.Request().Method != http.MethodGet:
			return p.recorded(c, Use{Token: holder.Name, Remote: c.RealIP(), Route: route, Request: api.RequestID(c.Request().Context())}, next)
		}
		if known { // the store's owner, for ever
			return next(c)
		}
		return p.whilePermitted(func() bool { return p.Access.InForce(holder, scope) }, next)(c)
	}
}

type sameVisit struct{}

// visit is what one request of a browser stands for, however many operations its answer takes.
type visit struct {
	mu     sync.Mutex
	secret string
	holder access.Holder
}

// Visit returns a context in which many requests with one token count as one for the token's rate.
// It is for a page whose answer is made of several operations.
func Visit(ctx context.Context) context.Context {
	return context.WithValue(ctx, sameVisit{}, new(visit))
}

// check returns whose token a request carries.
func (p Private) check(c echo.Context) (access.Holder, error) {
	secret := bearer(c.Request())
	v, page := c.Request().Context().Value(sameVisit{}).(*visit)
	if !page {
		return p.Access.Check(secret, c.RealIP())
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.secret != "" && v.secret == secret && p.Access.InForce(v.holder, access.Any) {
		return v.holder, nil
	}
	holder, err := p.Access.Check(secret, c.RealIP())
	if err == nil {
		v.secret, v.holder = secret, holder
	}
	return holder, err
}

// bearer returns the token of a request, empty if there is none.
func bearer(r *http.Request) string {
	if given, ok := strings.CutPrefix(r.Header.Get(echo.HeaderAuthorization), "Bearer "); ok {
		return given
	}
	return ""
}

// refuse answers a request without a valid token: whatever is wrong with it, by the same bytes.
func refuse(c echo.Context, err error) error {
	if errors.Is(err, access.ErrTooMany) {
		c.Response().Header().Set(echo.HeaderRetryAfter, "1")
		return api.TooManyRequests.Problem("there are too many requests; try again later, or raise private.rate")
	}
	c.Response().Header().Set(echo.HeaderWWWAuthenticate, "Bearer")
	return api.Unauthorized.Problem("a bearer token is required; send Authorization: Bearer TOKEN, from receiver tokens add")
}

// Use is what a token is used for.
type Use struct {
	// Token is the token's name, Remote the sender, Route method and address, with names in place
	// of what is in it, and Request the id of the request.
	Token, Remote, Route, Request string
	// Status is what it was answered with; 0 before it is done. Of is then what Record
	// returned before.
	Status int
	Of     uint64
}

// Recorder records a use, acknowledged, and returns the record's number.
type Recorder func(ctx context.Context, u Use) (uint64, error)

// recorded has a use recorded before it begins and after it has ended.
func (p Private) recorded(c echo.Context, u Use, next echo.HandlerFunc) error {
	if p.Record == nil {
		return api.Unavailable.Problem("the use of a token cannot be recorded here, so the request was refused")
	}
	ctx := context.WithoutCancel(c.Request().Context())
	of, err := p.Record(ctx, u)
	if err != nil {
		p.Log.Warn().Err(err).Str("token", u.Token).Msg("recording the use of a token failed; the request was refused")
		return api.Unavailable.Problem("the use of the token could not be recorded, so the request was refused; try again")
	}
	if err := next(c); err != nil {
		c.Error(err)
	}
	u.Of, u.Status = of, c.Response().Status
	if _, err := p.Record(ctx, u); err != nil {
		p.Log.Warn().Err(err).Str("token", u.Token).Uint64("sequence", of).Int("status", u.Status).Msg("recording the outcome of the use of a token failed")
	}
	return nil
}

type fromFolder struct{}

// FromFolder makes a handler treat every request as one of the store's owner, who has all
// permissions: it is for a listener that only the owner reaches.
func FromFolder(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), fromFolder{}, access.Folder())))
	})
}

// requireLoopbackHost refuses requests without a token whose Host is not a name of this machine.
// Listening on loopback keeps other machines out, but not the browser on this one: a page can give
// its own name a loopback address, and read the answers. A page knows no token.
func (p Private) requireLoopbackHost(c echo.Context, next echo.HandlerFunc, there bool) error {
	probe := c.Path() == "/readyz" || c.Path() == "/metrics"
	switch {
	case !probe && !isLoopback(c.Request().Host):
		return api.NotLocal.Problem("without private.token only requests to localhost or a loopback address are answered")
	case !there:
		return echo.ErrNotFound
	}
	return next(c)
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
