// Package ceiling is the least that any receiver has to do, for measuring a real one against it.
package ceiling

import (
	"context"
	"io"
	"net/http"

	"github.com/labstack/echo/v4"

	"receiver/internal/verify"
)

// New returns the smallest handler that does what a receiver cannot do without: it
// reads the body, computes its HMAC, and waits until store has stored it. It is what the
// public listener is measured against, and no receiver: it reads nothing, keeps no signature,
// repeats what is repeated, and has no limits. Without store, it answers every request as
// one that nobody signed, after computing its HMAC.
func New(v *verify.Verifier, store func(ctx context.Context, body []byte) error) http.Handler {
	e := echo.New()
	e.POST("/callbacks/:source", func(c echo.Context) error {
		r := c.Request()
		body := make([]byte, max(0, r.ContentLength))
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return err
		}
		if !v.Verify(r.Header.Values(verify.Header), body).Accepted() || store == nil {
			return c.JSONBlob(http.StatusUnauthorized, unauthorized)
		}
		if err := store(r.Context(), body); err != nil {
			return err
		}
		return c.JSONBlob(http.StatusOK, stored)
	})
	return e
}

// The answers are those of the public listener, in as many bytes.
var (
	stored       = []byte(`{"outcome":"stored"}` + "\n")
	unauthorized = []byte(`{"message":"unauthorized"}` + "\n")
)
