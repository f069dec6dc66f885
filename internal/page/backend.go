package page

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// backend asks the API in this process, as the browser whose request it answers.
type backend struct {
	api   http.Handler
	outer http.ResponseWriter // whose connection has the deadlines
	r     *http.Request       // of the browser
	token string
	log   zerolog.Logger
}

// passedOn are the headers of the browser that the API decides by, or records.
var passedOn = []string{"Sec-Fetch-Site", "Origin", "X-Forwarded-For", "X-Request-Id", "Traceparent"}

// Do implements client.HttpRequestDoer. The body of the answer comes as the API writes it; it ends
// with an error where the API cuts the connection. The caller must close it.
func (b backend) Do(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	asked := r.Clone(ctx)
	asked.RequestURI, asked.RemoteAddr, asked.Host, asked.TLS = r.URL.RequestURI(), b.r.RemoteAddr, b.r.Host, b.r.TLS
	switch {
	case asked.Body == nil:
		asked.Body = http.NoBody
	case asked.ContentLength == 0 && asked.Body != http.NoBody:
		asked.ContentLength = -1 // a client does not know it; to a server, zero is an empty body
	}
	for _, name := range passedOn {
		if values := b.r.Header.Values(name); len(values) > 0 {
			asked.Header[name] = values
		}
	}
	if b.token != "" {
		asked.Header.Set("Authorization", "Bearer "+b.token)
	}
	from, to := io.Pipe()
	w := &answer{outer: b.outer, header: http.Header{}, to: to, began: make(chan struct{})}
	go func() {
		defer cancel()
		defer func() {
			var err error
			if cut := recover(); cut != nil {
				err = errCut
				if cut != http.ErrAbortHandler { //nolint:errorlint // it is no error that is wrapped
					b.log.Error().Interface("panic", cut).Msg("answering the page failed")
				}
			}
			w.begin(http.StatusOK)
			to.CloseWithError(err) //nolint:errcheck // it returns none
		}()
		b.api.ServeHTTP(w, asked)
	}()
	select {
	case <-w.began:
	case <-ctx.Done():
		_ = from.CloseWithError(ctx.Err())
		<-w.began // the API sees that the context has ended, or that nobody reads
	}
	return &http.Response{
		StatusCode: w.status, Status: http.StatusText(w.status), Header: w.sent, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: closing{from, cancel}, ContentLength: -1, Request: r,
	}, nil
}

var errCut = errors.New("the receiver broke off the answer")

// closing ends the request when its answer is closed.
type closing struct {
	*io.PipeReader
	cancel context.CancelFunc
}

// Close implements io.Closer.
func (c closing) Close() error {
	c.cancel()
	return c.PipeReader.Close()
}

// answer is where the API writes.
type answer struct {
	outer  http.ResponseWriter
	header http.Header
	to     *io.PipeWriter
	once   sync.Once
	began  chan struct{} // closed once status and sent are set
	status int
	sent   http.Header
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if status >= http.StatusOK { // an interim answer is not the answer
		a.begin(status)
	}
}

func (a *answer) begin(status int) {
	a.once.Do(func() {
		a.status, a.sent = status, a.header.Clone()
		close(a.began)
	})
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.begin(http.StatusOK)
	return a.to.Write(p)
}

// Flush implements http.Flusher: nothing is held back.
func (a *answer) Flush() { a.begin(http.StatusOK) }

// SetReadDeadline moves that of the browser's connection.
func (a *answer) SetReadDeadline(t time.Time) error {
	return http.NewResponseController(a.outer).SetReadDeadline(t)
}

// SetWriteDeadline moves that of the browser's connection.
func (a *answer) SetWriteDeadline(t time.Time) error {
	return http.NewResponseController(a.outer).SetWriteDeadline(t)
}
