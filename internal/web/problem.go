package web

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"

	"receiver/api"
)

// requestIDs are the ids of requests that are taken over. Others could break what they stand in.
var requestIDs = regexp.MustCompile(`^[A-Za-z0-9._:/+=@-]{1,128}$`)

// identify gives each request the id that it came with, or one of its own, and answers with it.
func identify(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		id := c.Request().Header.Get(echo.HeaderXRequestID)
		if !requestIDs.MatchString(id) {
			id = rand.Text()
		}
		c.Response().Header().Set(echo.HeaderXRequestID, id)
		c.SetRequest(c.Request().WithContext(api.WithRequestID(c.Request().Context(), id)))
		return next(c)
	}
}

// fail answers a request of the private listener with what went wrong.
//
// RFC 9457.
func (p Private) fail(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	answer := *p.problem(err, c)
	answer.RequestID = api.RequestID(c.Request().Context())
	if answer.RetryAfter > 0 {
		c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(answer.RetryAfter))
	}
	c.Response().Header().Set(echo.HeaderContentType, "application/problem+json")
	if err := c.JSON(answer.Status, answer); err != nil {
		p.Log.Debug().Err(err).Msg("sending an answer failed")
	}
}

// problem returns what an error is for the caller.
func (p Private) problem(err error, c echo.Context) *api.Problem {
	var known *api.Problem
	var he *echo.HTTPError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &he) && (he.Code == http.StatusNotFound || he.Code == http.StatusMethodNotAllowed):
		return api.NoSuchPath.Problem("there is nothing at this path by this method; GET /openapi.yaml lists the operations")
	case errors.As(err, &tooLarge):
		return api.TooLarge.Problem("the body is longer than %d KiB", tooLarge.Limit>>10)
	case errors.Is(err, http.ErrMissingBoundary), errors.Is(err, http.ErrNotMultipart):
		return api.BadRequest.Problem("%v; GET /openapi.yaml says what the operation takes", err)
	case errors.As(err, &he) && he.Code < http.StatusInternalServerError:
		return api.BadRequest.Problem("%v; GET /openapi.yaml says what the operation takes", he.Message)
	case c.Request().Context().Err() != nil:
		return api.Unavailable.Problem("the client has disconnected")
	}
	p.Log.Warn().Err(err).Str("route", c.Request().Method+" "+c.Path()).Str("request", api.RequestID(c.Request().Context())).
		Msg("answering a request of the private listener failed")
	return api.Unavailable.Problem("%v; try again", err)
}

// knownParameters refuses requests with parameters that the operation does not have: a filter that
// is misspelt would show what was not asked for.
func knownParameters(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		o, there := routes()[c.Request().Method+" "+c.Path()]
		if !there || !strings.HasPrefix(o.Path, "/v1/") {
			return next(c)
		}
		for name, values := range c.QueryParams() {
			several, known := o.Query[name]
			switch {
			case !known:
				return api.BadRequest.Problem("unknown parameter %q; GET /openapi.yaml lists those of the operation", name)
			case !several && len(values) > 1:
				return api.BadRequest.Problem("the parameter %s is there %d times; give it once", name, len(values))
			}
		}
		return next(c)
	}
}

// route returns method and path of an operation as Echo spells them.
func route(o api.Operation) string {
	path := regexp.MustCompile(`\{tile\}$`).ReplaceAllString(o.Path, "*")
	return fmt.Sprint(o.Method, " ", regexp.MustCompile(`\{([a-z]+)\}`).ReplaceAllString(path, ":$1"))
}

// routes returns the operations of the contract by route. Commands that open no listener do not
// read it.
var routes = sync.OnceValue(func() map[string]api.Operation {
	all := map[string]api.Operation{}
	for _, o := range api.Operations() {
		all[route(o)] = o
	}
	return all
})
