package service

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A receiver is alive while its listeners answer, whatever the answer is.
func TestAlive(t *testing.T) {
	t.Parallel()
	status := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	hangs := func(_ http.ResponseWriter, r *http.Request) { <-t.Context().Done() }
	for _, row := range []struct {
		name            string
		public, private http.HandlerFunc
		want            string // in the error; empty for none
	}{
		{"both answer", status(http.StatusOK), status(http.StatusOK), ""},
		{"one refuses for its load", status(http.StatusServiceUnavailable), status(http.StatusOK), ""},
		{"the public one hangs", hangs, status(http.StatusOK), "public"},
		{"the private one hangs", status(http.StatusOK), hangs, "private"},
	} {
		in := &Instance{
			public:  &openListener{name: "public", server: &http.Server{Handler: row.public}},
			private: &openListener{name: "private", server: &http.Server{Handler: row.private}},
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if row.want == "" {
			ctx, cancel = context.WithCancel(t.Context())
		}
		err := in.Alive(ctx)
		cancel()
		if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want+" listener") {
			t.Errorf("%s: Alive = %v, want an error about %q", row.name, err, row.want)
		}
	}
}
