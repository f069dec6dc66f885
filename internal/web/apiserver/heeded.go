package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"receiver/api"
)

// ofBareFiles are the parameters of a file that is the body itself; a form has them as fields.
var ofBareFiles = []string{"metadata", "callback_payload", "file_name"}

// heeded refuses a submission of which a part would not be heeded: an empty key would not keep a
// repeat from making a second job, and a body in a coding is no CSV for the platform.
func heeded(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		h := c.Request().Header
		contentType := h.Get(echo.HeaderContentType)
		for name := range c.QueryParams() {
			switch {
			case strings.HasPrefix(contentType, echo.MIMEApplicationJSON):
				return api.BadRequest.Problem("the parameter %s is of a file; send it as a member of the JSON object", name)
			case strings.HasPrefix(contentType, echo.MIMEMultipartForm) && slices.Contains(ofBareFiles, name):
				return api.BadRequest.Problem("the parameter %s is of a file that is the body itself; a form has it as a field", name)
			}
		}
		if keys, there := h["Idempotency-Key"]; there && slices.Contains(keys, "") {
			return api.BadRequest.Problem("Idempotency-Key is empty; send a key of 1 to 255 characters, or no such header")
		}
		return next(c)
	}
}

// uncoded refuses a file in a coding: the platform would read it as it is.
func uncoded(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if coding := c.Request().Header.Get(echo.HeaderContentEncoding); coding != "" && !strings.EqualFold(coding, "identity") {
			return api.UnsupportedMedia.Problem("the body has the Content-Encoding %.64q; send it without one", coding)
		}
		return next(c)
	}
}

// knownMembers refuses JSON with members that a request to gather rows does not have: a filter that
// is misspelt would gather what was not asked for.
func knownMembers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(new(api.Gathering)); err != nil && err != io.EOF {
			return api.BadRequest.Problem("the body is not understood: %v; GET /openapi.yaml says what the operation takes", err)
		}
		if _, err := d.Token(); err != io.EOF {
			return api.BadRequest.Problem("the body continues behind its JSON object; send one object")
		}
		r.Body = io.NopCloser(bytes.NewReader(text))
		return next(c)
	}
}

// aroundFile is the most bytes of a form before its file, and again behind it. The reader of forms
// takes 10 MiB for the header of each part.
const aroundFile = (formFields + 2) * shortBody

type formBody struct{}

// bound bounds what is read of a form from now on; a negative number is no bound.
func bound(ctx context.Context, most int64) {
	if u, ok := ctx.Value(formBody{}).(*unhurried); ok {
		u.left, u.bounded = most, most >= 0
	}
}
