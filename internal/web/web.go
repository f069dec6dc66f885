// Package web speaks HTTP: the public listener for callbacks and the private listener for
// operators. It translates between requests and the packages that decide, decides nothing about
// callbacks itself, and is the only package that imports Echo.
//
// The two listeners have two handlers: nothing of the private one can be reached through the public
// one.
package web

import (
	"context"
	"errors"
	"log"
	"net/http"
	"net/netip"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"
)

// Limits are the timeouts of a listener towards its clients. All must be set.
type Limits struct {
	// Header is the largest header in bytes.
	Header int
	// ReadHeader, Read and Idle are the timeouts of http.Server. Write is the time from the
	// end of the body, however long that took, until the answer is written; Read may be
	// added to it.
	ReadHeader, Read, Write, Idle time.Duration
}

// NewServer returns a server for one of the listeners. Its messages about connections and panics go
// to errors, whose writer must not wait: the loop that accepts connections calls it.
func NewServer(h http.Handler, l Limits, errors *log.Logger) *http.Server {
	// http.Server counts from the end of the headers: a body that comes slowly would leave no
	// time to answer, and what is stored must not look refused.
	write := l.Write
	if write > 0 {
		write += l.Read
	}
	return &http.Server{
		Handler: lastInChunks(headAsGet(h)), MaxHeaderBytes: l.Header, ErrorLog: errors,
		DisableGeneralOptionsHandler: true, // which answers OPTIONS * with 200
		ReadHeaderTimeout:            l.ReadHeader, ReadTimeout: l.Read, WriteTimeout: write, IdleTimeout: l.Idle,
	}
}

// lastInChunks has the connection closed after the answer to a request in chunks. A length may
// have stood beside them, which net/http drops without a word, and a proxy in front that went
// by it has seen another end of the request.
//
// RFC 9112, section 6.1.
func lastInChunks(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TransferEncoding) > 0 {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// headAsGet answers HEAD as GET wherever GET is answered: balancers and monitors ask by it.
// net/http, which knows what was asked, leaves the body out and keeps its length.
//
// RFC 9110, section 9.3.2.
func headAsGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			r = r.WithContext(context.WithValue(r.Context(), askedByHead{}, true)) // a copy: net/http looks at the method again
			r.Method = http.MethodGet
		}
		next.ServeHTTP(w, r)
	})
}

type askedByHead struct{}

// asked returns the method of a request as it came.
func asked(r *http.Request) string {
	if r.Context().Value(askedByHead{}) != nil {
		return http.MethodHead
	}
	return r.Method
}

// newEcho returns an Echo that answers every error as JSON, says nothing to standard
// output, and believes X-Forwarded-For from the trusted proxies only.
func newEcho(trusted []netip.Prefix, trustUnix bool, log zerolog.Logger) *echo.Echo {
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor = extractor(trusted, trustUnix)
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		if c.Response().Committed {
			return
		}
		code := http.StatusInternalServerError
		var he *echo.HTTPError
		if errors.As(err, &he) {
			code = he.Code
		} else {
			log.Error().Err(err).Str("route", c.Request().Method+" "+c.Path()).Msg("answering a request failed")
		}
		if err := c.JSON(code, message{http.StatusText(code)}); err != nil {
			log.Debug().Err(err).Msg("sending an answer failed")
		}
	}
	return e
}

// message is the body of every answer that has no other.
type message struct {
	Message string `json:"message"`
}
