package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"receiver/internal/callback"
	"receiver/internal/verify"
)

// noteJudged records the answer to a judged callback in the retry state.
func (p Public) noteJudged(source string, body []byte, out callback.Outcome, err error) {
	switch {
	case p.Retries == nil:
	case err == nil:
		p.Retries.Answered(source, body, time.Now())
	case !errors.Is(err, callback.ErrUnauthorized):
		p.Retries.Failed(source, body, "unavailable", time.Now())
	case callback.MayBePlatform(out.Reason):
		p.Retries.Failed(source, body, out.Reason, time.Now())
	default:
		p.Retries.Ignored(source, body, out.Reason, time.Now())
	}
}

// noteUnjudged records a callback that was answered before any verification, if it may be the
// platform's.
func (p Public) noteUnjudged(c echo.Context, code int) {
	p.noteFailed(c.Param("source"), c.Request().Header.Values(verify.Header), nil, http.StatusText(code))
}

// noteFailed records a callback that was not judged.
func (p Public) noteFailed(source string, signatures []string, body []byte, reason string) {
	if p.Retries == nil {
		return
	}
	note := p.Retries.Ignored
	if known, formed := p.Receiver.Knows(source), verify.WellFormed(signatures); known && formed {
		note = p.Retries.Failed
	}
	note(source, body, reason, time.Now())
}
