package web

import (
	"context"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"github.com/labstack/echo/v4"
)

// ErrQuery is what a Trail returns for a question that it does not understand; its text goes to the
// caller.
var ErrQuery = errors.New("the query is invalid")

// Trail returns the received and refused callbacks. Its results are sent as JSON.
type Trail interface {
	// Callbacks returns a page of callbacks, narrowed down by the query's parameters.
	Callbacks(ctx context.Context, query url.Values) (any, error)
	// Callback returns one record whole; fs.ErrNotExist if there is none.
	Callback(ctx context.Context, stream string, sequence uint64) (any, error)
	// Bundle returns the evidence bundle of one record, as it is given to others;
	// fs.ErrNotExist if there is no such record, ErrUnsealed if it is too young.
	Bundle(ctx context.Context, stream string, sequence uint64) ([]byte, error)
}

// ErrUnsealed is what a Trail returns for a record that no checkpoint covers yet.
var ErrUnsealed = errors.New("not sealed yet")

// Logs hands out the sealed logs, for monitors.
type Logs interface {
	// Logs returns what there is to know of all logs. It is sent as JSON.
	Logs(ctx context.Context) (any, error)
	// Checkpoint returns the newest signed checkpoint of the log over a stream, and Tile the
	// tile with a C2SP tlog-tiles name; fs.ErrNotExist if there is none.
	Checkpoint(ctx context.Context, stream string) ([]byte, error)
	Tile(ctx context.Context, stream, name string) ([]byte, error)
}

// trailAtOnce is how many questions to the trail are answered at once. Each may look through a
// whole stream, and hold a record of the largest body several times.
const trailAtOnce = 4

// trail adds GET /v1/callbacks, /v1/callbacks/{stream}/{sequence} and …/bundle.
func (p Private) trail(g *echo.Echo) {
	turn := inTurn(trailAtOnce)
	g.GET("/v1/callbacks", func(c echo.Context) error {
		page, err := p.Trail.Callbacks(c.Request().Context(), c.QueryParams())
		return p.tell(c, page, err)
	}, turn)
	g.GET("/v1/callbacks/:stream/:sequence", func(c echo.Context) error {
		seq, err := sequence(c)
		if err != nil {
			return err
		}
		record, err := p.Trail.Callback(c.Request().Context(), c.Param("stream"), seq)
		return p.tell(c, record, err)
	}, turn)
	g.GET("/v1/callbacks/:stream/:sequence/bundle", func(c echo.Context) error {
		seq, err := sequence(c)
		if err != nil {
			return err
		}
		bundle, err := p.Trail.Bundle(c.Request().Context(), c.Param("stream"), seq)
		if err != nil {
			return p.tell(c, nil, err)
		}
		name := c.Param("stream") + "-" + strconv.FormatUint(seq, 10) + ".json"
		c.Response().Header().Set(echo.HeaderContentDisposition, mime.FormatMediaType("attachment", map[string]string{"filename": name}))
		return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, bundle)
	}, turn)
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
				return c.JSON(http.StatusServiceUnavailable, message{"the client has disconnected"})
			}
			return next(c)
		}
	}
}

// sequence reads the parameter of that name.
func sequence(c echo.Context) (uint64, error) {
	seq, err := strconv.ParseUint(c.Param("sequence"), 10, 64)
	if err != nil || seq == 0 {
		return 0, echo.ErrNotFound
	}
	return seq, nil
}

// logs adds GET /v1/log and, for each log, /v1/log/{stream}/checkpoint and …/tile/….
//
// C2SP: tlog-tiles, "Checkpoints" and "Merkle Tree".
func (p Private) logs(g *echo.Echo) {
	g.GET("/v1/log", func(c echo.Context) error {
		all, err := p.Logs.Logs(c.Request().Context())
		return p.tell(c, all, err)
	})
	g.GET("/v1/log/:stream/checkpoint", func(c echo.Context) error {
		note, err := p.Logs.Checkpoint(c.Request().Context(), c.Param("stream"))
		if err != nil {
			return p.tell(c, nil, err)
		}
		c.Response().Header().Set(echo.HeaderCacheControl, "no-cache")
		return c.Blob(http.StatusOK, "text/plain; charset=utf-8", note)
	})
	g.GET("/v1/log/:stream/tile/*", func(c echo.Context) error {
		tile, err := p.Logs.Tile(c.Request().Context(), c.Param("stream"), "tile/"+c.Param("*"))
		if err != nil {
			return p.tell(c, nil, err)
		}
		// The contents of a tile never change.
		c.Response().Header().Set(echo.HeaderCacheControl, "max-age=31536000, immutable")
		return c.Blob(http.StatusOK, "application/octet-stream", tile)
	})
}

// tell answers with a value, or with what kept it from being had.
func (p Private) tell(c echo.Context, value any, err error) error {
	switch {
	case err == nil:
		return c.JSON(http.StatusOK, value)
	case errors.Is(err, ErrQuery):
		return c.JSON(http.StatusBadRequest, message{err.Error()})
	case errors.Is(err, fs.ErrNotExist):
		return echo.ErrNotFound
	case errors.Is(err, ErrUnsealed):
		return c.JSON(http.StatusConflict, message{err.Error()})
	}
	p.Log.Warn().Err(err).Str("route", c.Request().Method+" "+c.Path()).Msg("answering a request of the private listener failed")
	return c.JSON(http.StatusServiceUnavailable, message{err.Error()})
}
