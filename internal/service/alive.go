package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// Alive returns an error if a listener has not answered GET /healthz by the end of ctx. It goes
// around the connections, which strangers can use up.
func (in *Instance) Alive(ctx context.Context) error {
	for _, d := range []*openListener{in.public, in.private} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/healthz", nil)
		if err != nil {
			return err
		}
		answered := make(chan int, 1)
		go func() {
			w := &answer{header: http.Header{}, status: http.StatusOK}
			d.server.Handler.ServeHTTP(w, r)
			answered <- w.status
		}()
		select {
		case <-answered: // whatever it is: a receiver that refuses for its load is alive
		case <-ctx.Done():
			return fmt.Errorf("the %s listener: %w", d.name, errors.New("no answer to GET /healthz"))
		}
	}
	return nil
}

// answer keeps the status of an answer only.
type answer struct {
	header http.Header
	status int
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return len(p), nil }
