//go:build e2e

package main_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/simulator"
)

// figures are a run's line in docs/reliability.md.
type figures struct {
	// jobs is how many the platform made; acknowledged, how many callbacks it got a 2xx for.
	jobs, acknowledged int
	// stored is how many jobs have their finished event, doubled how many have more than
	// one, open how many have none and are said to be overdue, lost how many have neither.
	stored, doubled, open, lost int
	took                        time.Duration // 0 means since the run began
}

// judge compares the streams with the platform's own knowledge, for the named jobs or for all. A
// doubled, lost or wrong event fails the test.
func (w *world) judge(t *testing.T, ids ...string) figures {
	t.Helper()
	f := figures{}
	var errs []error
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	for _, j := range w.Jobs() {
		if len(ids) > 0 && !slices.Contains(ids, j.ID) {
			continue
		}
		f.jobs++
		f.acknowledged += w.called[j.ID]
		ends := w.ledger.of(j.ID, "finished")
		switch {
		case len(ends) > 1:
			f.stored, f.doubled = f.stored+1, f.doubled+1
			errs = append(errs, fmt.Errorf("job %s (%s) has %d finished events, want 1", j.ID, j.Faults, len(ends)))
		case len(ends) == 1:
			f.stored++
			errs = append(errs, w.ledger.rightly(t, j))
		case len(w.ledger.of(j.ID, "overdue")) == 1:
			f.open++
		default:
			f.lost++
			errs = append(errs, fmt.Errorf("job %s (%s) has no finished event and no word that it is overdue", j.ID, j.Faults))
		}
	}
	for _, d := range w.Deliveries() {
		if len(ids) > 0 && !slices.Contains(ids, d.Job) {
			continue
		}
		if d.Code/100 == 2 {
			f.acknowledged++
		}
		errs = append(errs, believed(d))
	}
	if err := errors.Join(errs...); err != nil {
		text := err.Error()
		t.Errorf("%+v, with faults:\n%s", f, text[:min(len(text), 4<<10)])
	}
	return f
}

// believed is an error if a callback with a right signature was answered as if it was not.
func believed(d simulator.Delivery) error {
	if d.Code/100 == 4 && (d.Signature == sign(signatureKey, d.Body) || d.Signature == sign(secondKey, d.Body)) {
		return fmt.Errorf("an authentic callback of job %s was answered %d at attempt %d", d.Job, d.Code, d.Attempt)
	}
	return nil
}

// rightly is an error if a job's one finished event is not what the platform knows, or does not say
// how it is known. If the platform contradicts itself, both outcomes must be stored, in any order.
func (l *ledger) rightly(t *testing.T, j simulator.Job) error {
	var wrong error
	for _, m := range append(l.of(j.ID, "finished"), l.of(j.ID, "conflict")...) {
		if wrong = rightEnd(m, m.view(t), j); wrong == nil {
			return provedEnd(m)
		}
		if j.Faults.Conflict == "" {
			break
		}
	}
	return wrong
}

func rightEnd(m told, got view, j simulator.Job) error {
	want := view{ID: j.ID, Status: j.Status, Result: resultOf(j), Records: &j.Records, Failed: &j.Failed, Payload: j.Payload}
	switch {
	case got.ID != want.ID || got.Status != want.Status || got.Result != want.Result || m.header.Get("ce-result") != want.Result:
	case got.Records == nil || *got.Records != *want.Records || got.Failed == nil || *got.Failed != *want.Failed:
	case !sameJSON(got.Payload, want.Payload):
	default:
		return nil
	}
	return fmt.Errorf("job %s (%s): %s at %d says %s, want %s %s of %d rows, %d of them failed, with payload %s", j.ID, j.Faults,
		m.kind(), m.sequence, m.header.Get("receiver-job"), want.Status, want.Result, j.Records, j.Failed, want.Payload)
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y bytes.Buffer
	if json.Compact(&x, a) != nil || json.Compact(&y, b) != nil {
		return len(a) == len(b)
	}
	return x.String() == y.String()
}

// resultOf is the result of a job in the words of the contract. OC: (a) rows 12 to 14.
func resultOf(j simulator.Job) string {
	status := strings.ToUpper(j.Status)
	switch {
	case status == "ABORTED" || status == "ERROR":
		return "failed"
	case status == "CANCELLED" || status == "CANCELED":
		return "cancelled"
	case j.Failed > 0 && j.Failed == j.Records:
		return "failed"
	case j.Failed > 0 || status == "WARNING":
		return "partial"
	}
	return "succeeded"
}

func provedEnd(m told) error {
	switch evidence := m.header.Get("ce-evidence"); evidence {
	case "poll":
		return nil
	case "callback":
		for _, key := range []string{signatureKey, secondKey} {
			if m.header.Get("receiver-signature") == sign(key, m.data) {
				return nil
			}
		}
		return fmt.Errorf("%s at %d carries a signature that its data does not have", m.subject, m.sequence)
	default:
		return fmt.Errorf("%s at %d has the evidence %q, want callback or poll", m.subject, m.sequence, evidence)
	}
}

// report prints the run's line of docs/reliability.md; `make reliability` gathers them.
func (w *world) report(t *testing.T, run string, f figures) {
	fmt.Fprintf(t.Output(), "| %s | `%s` | %d | %d | %d | %d | %d | %d | %.1f s |\n", run, t.Name(),
		f.jobs, f.acknowledged, f.stored, f.doubled, f.lost, f.open, cmp.Or(f.took, time.Since(w.began)).Seconds())
}

// refused counts the callbacks that were answered 4xx.
func (w *world) refused() int {
	n := 0
	for _, d := range w.Deliveries() {
		if d.Code/100 == http.StatusBadRequest/100 {
			n++
		}
	}
	return n
}
