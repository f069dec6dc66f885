package web

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/labstack/echo/v4"

	"receiver/api"
)

// The bounds of a question why a signature is refused, beside its body.
const (
	maxExplainRest = 64 << 10
	explainsAtOnce = 4 // of the largest
)

// question bounds what POST /v1/verify/explain takes: one question is answered after the other, so
// that explanations never take more than one processor from the callbacks. A waiting question is
// kept as it came, and has its share of the budget until it is answered.
func (p Private) question(turn echo.MiddlewareFunc) echo.MiddlewareFunc {
	limit := int64(base64.StdEncoding.EncodedLen(int(p.ExplainBody))) + maxExplainRest
	from := newBudget(explainsAtOnce*limit, limit)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			body, err := from.read(c.Response(), c.Request(), limit)
			defer body.free()
			if err != nil {
				return unread(c, err)
			}
			return turn(func(c echo.Context) error {
				if !json.Valid(body.bytes) {
					return api.BadRequest.Problem(`send one JSON object: {"source":"NAME","signatures":["sha256=…"],"body":"BASE64"}`)
				}
				c.Request().Body = io.NopCloser(bytes.NewReader(body.bytes))
				c.Request().Header.Set(echo.HeaderContentType, echo.MIMEApplicationJSON) // whatever it was called
				return next(c)
			})(c)
		}
	}
}

// unread says why a question could not be read.
func unread(c echo.Context, err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		hangUp(c)
		return api.TooLarge.Problem("the request is larger than the limit of a callback, limits.body")
	case errors.Is(err, errNoRoom):
		return api.Unavailable.Problem("too many requests at once; try again")
	}
	return api.BadRequest.Problem("the request did not arrive completely; send it again")
}
