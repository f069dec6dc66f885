package web_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/logging"
	"receiver/internal/web"
)

// Connections that send nothing, or nothing more, give way to those that do; those at work stay.
func TestConnectionsAreBounded(t *testing.T) {
	const most = 8
	for _, tt := range []struct {
		name string
		hold func(*line)
		stay bool
	}{
		{"that say nothing", func(*line) {}, false},
		{"that wait between two requests", func(l *line) {
			l.send("GET /healthz HTTP/1.1\nHost: x\n\n")
			l.answer()
		}, false},
		{"with a request under way", func(l *line) { l.send("GET /slow HTTP/1.1\nHost: x\n\n") }, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			slow := make(chan struct{})
			ln, d := bounded(t, most, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					<-slow
				}
			}))
			held := make([]*line, most)
			for i := range held {
				held[i] = d.dial()
				tt.hold(held[i])
			}
			last := d.dial()
			last.send("GET /healthz HTTP/1.1\nHost: x\n\n")
			if tt.stay {
				if last.answered() {
					t.Error("a connection too many was answered while the others were at work")
				}
				close(slow)
				for _, l := range held {
					if got := l.answer(); got.code != http.StatusOK {
						t.Errorf("a connection at work was answered %d", got.code)
					}
				}
			}
			if got := last.answer(); got.code != http.StatusOK {
				t.Errorf("the last connection was answered %d", got.code)
			}
			if open, limit, closed := ln.Connections(); open > most || limit != most || closed == 0 {
				t.Errorf("%d connections of %d are open, %d were closed; want at most %d, and one closed at least", open, limit, closed, most)
			}
		})
	}
}

// A listener that is full ends all the same, and a place is free as soon as its connection ends.
func TestAFullListenerEnds(t *testing.T) {
	slow := make(chan struct{})
	defer close(slow)
	ln, d := bounded(t, 1, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-slow }))
	first := d.dial()
	first.send("GET / HTTP/1.1\nHost: x\n\n")
	for open := 0; open == 0; open, _, _ = ln.Connections() { //nolint:revive // it is accepted soon
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
}

// bounded serves a handler with so many connections.
func bounded(t *testing.T, most int, h http.Handler) (*web.Listener, *doors) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := web.NewListener(inner, most)
	srv := web.NewServer(h, web.Limits{ReadHeader: time.Minute, Read: time.Minute, Write: time.Minute, Idle: time.Minute}, logging.Std(zerolog.Nop(), ""))
	ended := make(chan error, 1)
	go func() { ended <- ln.Serve(srv) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("Serve = %v", err)
		}
	})
	return ln, &doors{t: t, addr: inner.Addr().String(), url: fmt.Sprint("http://", inner.Addr())}
}
