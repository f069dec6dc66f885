package web

import (
	"context"
	"time"

	"github.com/labstack/echo/v4"
)

// permitTime is how long what goes on may go on after its permission has ended.
const permitTime = time.Second

// goesOn are the operations whose answer may take long, if they have the named parameter: a token
// that is removed meanwhile opens them no longer.
var goesOn = map[string]string{"/v1/events": "", "/debug/pprof/:profile": "", "/v1/jobs": "wait", "/v1/sources/:source/jobs/:job": "wait"}

// open reports whether everyone is permitted, because no token is required.
func (p Private) open() bool { return p.Access == nil || !p.Access.Required() }

// whilePermitted ends the context of a request that goes on soon after its permission has ended.
func (p Private) whilePermitted(permitted func() bool, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if with, may := goesOn[c.Path()]; !may || with != "" && c.QueryParam(with) == "" {
			return next(c)
		}
		ctx, cancel := context.WithCancel(c.Request().Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer cancel()
			tick := time.NewTicker(permitTime)
			defer tick.Stop()
			for permitted() {
				select {
				case <-tick.C:
				case <-ctx.Done():
					return
				}
			}
		}()
		defer func() { cancel(); <-ended }()
		r := c.Request()
		defer c.SetRequest(r)
		c.SetRequest(r.WithContext(ctx))
		return next(c)
	}
}
