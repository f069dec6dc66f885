// Package inprocess asks an HTTP handler of this process as a client asks a server.
package inprocess

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Backend asks a handler as the sender of another request that is being answered.
type Backend struct {
	// API is the handler.
	API http.Handler
	// Outer answers the other request; its connection has the deadlines.
	Outer http.ResponseWriter
	// Request is the other request. Its sender, host and origin are passed on.
	Request *http.Request
	// Token is a bearer token; empty for none.
	Token string
	Log   zerolog.Logger
}

// passedOn are the headers of the other request that the handler decides by, or records.
var passedOn = []string{"Sec-Fetch-Site", "Origin", "X-Forwarded-For", "X-Request-Id", "Traceparent"}

// Do implements client.HttpRequestDoer. The body of the answer comes as the API writes it; it ends
// with an error where the API cuts the connection. The caller must close it.
func (b Backend) Do(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	asked := r.Clone(ctx)
	asked.RequestURI, asked.RemoteAddr, asked.Host, asked.TLS = r.URL.RequestURI(), b.Request.RemoteAddr, b.Request.Host, b.Request.TLS
	switch {
	case asked.Body == nil:
		asked.Body = http.NoBody
	case asked.ContentLength == 0 && asked.Body != http.NoBody:
		asked.ContentLength = -1 // a client does not know it; to a server, zero is an empty body
	}
	for _, name := range passedOn {
		if values := b.Request.Header.Values(name); len(values) > 0 {
			asked.Header[name] = values
		}
	}
	if b.Token != "" {
		asked.Header.Set("Authorization", "Bearer "+b.Token)
	}
	from, to := io.Pipe()
	w := &answer{outer: b.Outer, header: http.Header{}, to: to, began: make(chan struct{})}
	go func() {
		defer cancel()
		defer func() {
			var err error
			if cut := recover(); cut != nil {
				err = errCut
				if cut != http.ErrAbortHandler { //nolint:errorlint // it is no error that is wrapped
					b.Log.Error().Interface("panic", cut).Msg("answering the page failed")
				}
			}
			w.begin(http.StatusOK)
			to.CloseWithError(err) // it returns none
		}()
		b.API.ServeHTTP(w, asked)
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
