package web

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"receiver/internal/diagnose"
	"receiver/internal/verify"
)

// Explainer says why a signature at a source was refused. The second result is false if
// there is no such source.
type Explainer func(ctx context.Context, source string, signatures []string, body []byte) (Explanation, bool)

// Explanation is the body of the answer to POST /v1/verify/explain. It holds no key and
// no signature.
type Explanation struct {
	// Accepted says whether the source's keys accept the signature now, and Key and
	// Fingerprint by which.
	Accepted    bool   `json:"accepted"`
	Key         string `json:"key,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
	// Reason is why the signature is refused; empty if it is accepted.
	Reason verify.Reason `json:"reason,omitempty"`
	// Findings say why, most certain first; there is at least one.
	Findings []diagnose.Finding `json:"findings"`
	// Compared is the number of earlier callbacks that the signature was compared with.
	Compared int `json:"compared"`
}

// NewExplanation returns an explanation with the fields that a verdict sets.
func NewExplanation(v verify.Verdict) Explanation {
	if v.Accepted() {
		return Explanation{Accepted: true, Key: v.Key.Name(), Fingerprint: v.Key.Fingerprint()}
	}
	return Explanation{Reason: v.Reason}
}

// explainRequest is the body of POST /v1/verify/explain.
type explainRequest struct {
	Source     string   `json:"source"`
	Signatures []string `json:"signatures"`
	Body       []byte   `json:"body"` // in base64
}

// The bounds of a question beside its body.
const (
	maxSignatures  = 16
	maxExplainRest = 64 << 10
	explainsAtOnce = 4 // of the largest
)

// explain answers POST /v1/verify/explain, one question after the other, so that explanations never
// take more than one processor from the callbacks. A waiting question is kept as it came, and has
// its share of the budget until it is answered.
func (p Private) explain() echo.HandlerFunc {
	turn := make(chan struct{}, 1)
	limit := int64(base64.StdEncoding.EncodedLen(int(p.ExplainBody))) + maxExplainRest
	from := newBudget(explainsAtOnce*limit, limit)
	return func(c echo.Context) error {
		body, err := from.read(c.Response(), c.Request(), limit)
		defer body.free()
		if err != nil {
			return unread(c, err)
		}
		ctx := c.Request().Context()
		select {
		case turn <- struct{}{}:
			defer func() { <-turn }()
		case <-ctx.Done():
			return c.JSON(http.StatusServiceUnavailable, message{"the client has disconnected"})
		}
		var q explainRequest
		if err := json.Unmarshal(body.bytes, &q); err != nil {
			return c.JSON(http.StatusBadRequest, message{`send a JSON object: {"source":"NAME","signatures":["sha256=…"],"body":"BASE64"}`})
		}
		if len(q.Signatures) > maxSignatures {
			return c.JSON(http.StatusBadRequest, message{"too many signatures"})
		}
		found, ok := p.Explain(ctx, q.Source, q.Signatures, q.Body)
		if !ok {
			return c.JSON(http.StatusNotFound, message{"no source with this name is configured"})
		}
		return c.JSON(http.StatusOK, found)
	}
}

// unread answers a question that could not be read.
func unread(c echo.Context, err error) error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		hangUp(c)
		return c.JSON(http.StatusRequestEntityTooLarge, message{"the request is larger than the limit of a callback"})
	case errors.Is(err, errNoRoom):
		return c.JSON(http.StatusServiceUnavailable, message{"too many requests at once; try again"})
	}
	return c.JSON(http.StatusBadRequest, message{"the request did not arrive completely"})
}
