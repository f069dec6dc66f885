//go:build e2e

package main_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"receiver/internal/submit"
)

// rows is the file of every upload.
const rows = "email,name\na@example.com,A\nb@example.com,B\nc@example.com,C\n"

// upload is what a run submits.
type upload struct {
	dials  string // of the simulator for this job; empty for those of the run
	object string // empty for contact
	order  int64  // in the payload that the callback brings back
}

// submit uploads rows as receiver submit does.
func (w *world) submit(u upload) (id string, err error) {
	metadata := map[string]string{}
	if u.dials != "" {
		metadata["simulate"] = u.dials
	}
	meta, err := json.Marshal(metadata)
	if err != nil {
		return "", err
	}
	stored, err := w.submitter.Submit(w.t.Context(), submit.Upload{
		Object: cmp.Or(u.object, "contact"), FileName: "rows.csv", File: strings.NewReader(rows), Size: int64(len(rows)),
		Metadata: meta, CallbackPayload: fmt.Appendf(nil, `{"order":%d}`, u.order),
	})
	return stored.Job.ID, err
}

// submitted is submit where it must succeed.
func (w *world) submitted(t *testing.T, u upload) string {
	t.Helper()
	id, err := w.submit(u)
	if err != nil {
		t.Fatalf("submitting %+v: %v", u, err)
	}
	return id
}

// submitMany submits from several sides at once until the platform has made that many
// jobs, whatever becomes of a single try. The channel is closed when it is done.
func (w *world) submitMany(jobs int) <-chan struct{} {
	const sides = 8
	done := make(chan struct{})
	w.t.Cleanup(func() { <-done })
	var number atomic.Int64
	go func() {
		defer close(done)
		for missing := jobs; missing > 0; missing = jobs - len(w.Jobs()) {
			tickets := make(chan struct{}, missing)
			for range missing {
				tickets <- struct{}{}
			}
			close(tickets)
			var wg sync.WaitGroup
			for range min(sides, missing) {
				wg.Go(func() {
					for range tickets {
						if _, err := w.submit(upload{order: number.Add(1)}); errors.Is(err, context.Canceled) {
							return
						}
					}
				})
			}
			wg.Wait()
			if w.t.Context().Err() != nil {
				return
			}
		}
	}()
	return done
}
