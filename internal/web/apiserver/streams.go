package apiserver

import (
	"context"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"receiver/api"
	"receiver/internal/keyusage"
)

// slowTime bounds an answer that is made from whole streams, or by asking others.
const slowTime = time.Minute

// takes lets an answer come later than the timeouts of the listener, and bounds its making.
func takes(d time.Duration) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			ctx, cancel := context.WithTimeout(c.Request().Context(), d)
			defer cancel()
			later(c.Response(), d)
			return within(ctx, c, next, "making the answer took too long; try again when the receiver has less to do")
		}
	}
}

// alone refuses a request while another one is being answered.
func alone() echo.MiddlewareFunc {
	busy := make(chan struct{}, 1)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			select {
			case busy <- struct{}{}:
				defer func() { <-busy }()
			default:
				c.Response().Header().Set(echo.HeaderRetryAfter, retryAfter)
				return api.TooManyRequests.Problem("this is being answered to another request; try again in some seconds")
			}
			return next(c)
		}
	}
}

// GetStreams implements StrictServerInterface.
func (s Server) GetStreams(ctx context.Context, _ GetStreamsRequestObject) (GetStreamsResponseObject, error) {
	if s.Streams == nil {
		return nil, notReached()
	}
	plan, err := s.Streams(ctx)
	return GetStreams200JSONResponse(plan), err
}

// ListKeys implements StrictServerInterface.
func (s Server) ListKeys(ctx context.Context, r ListKeysRequestObject) (ListKeysResponseObject, error) {
	if s.Keys == nil {
		return nil, notReached()
	}
	all, err := s.Keys(ctx)
	if err != nil {
		return nil, err
	}
	shown, names := []keyusage.Use{}, []string{}
	for _, k := range all {
		if r.Params.Source == "" || k.Source == r.Params.Source {
			shown = append(shown, k)
		}
		if len(names) == 0 || names[len(names)-1] != k.Source { // they are by source
			names = append(names, k.Source)
		}
	}
	if len(shown) == 0 && r.Params.Source != "" {
		return nil, api.BadRequest.Problem("no key of a source %q is configured or recorded; the sources are %s", r.Params.Source, strings.Join(names, ", "))
	}
	return ListKeys200JSONResponse{Keys: shown}, nil
}

// GetDoctor implements StrictServerInterface.
func (s Server) GetDoctor(ctx context.Context, _ GetDoctorRequestObject) (GetDoctorResponseObject, error) {
	if s.Doctor == nil {
		return nil, notReached()
	}
	return GetDoctor200JSONResponse(s.Doctor(ctx)), nil
}

// GetTraffic implements StrictServerInterface.
func (s Server) GetTraffic(ctx context.Context, r GetTrafficRequestObject) (GetTrafficResponseObject, error) {
	if s.Traffic == nil {
		return nil, notReached()
	}
	counted, err := s.Traffic(ctx, r.Params)
	return GetTraffic200JSONResponse(counted), err
}
