//go:build browser

package browser_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"receiver/api"
	"receiver/internal/natstest"
)

// scene is what a receiver has seen, by names that the views' addresses are made of.
type scene struct {
	// Jobs are ids by what is special of them.
	Jobs map[string]string `json:"jobs"`
	// Callbacks are STREAM/SEQUENCE, by the same.
	Callbacks map[string]string `json:"callbacks"`
}

// contacts is a CSV file of n rows.
func contacts(n int) []byte {
	var b bytes.Buffer
	b.WriteString("C_EmailAddress,C_FirstName,C_LastName\n")
	for i := range n {
		fmt.Fprintf(&b, "ada%d@example.com,Ada,Lovelace\n", i)
	}
	return b.Bytes()
}

// play has the receiver see one of everything.
func (r *rig) play(t testing.TB) scene {
	t.Helper()
	s := scene{Jobs: map[string]string{}, Callbacks: map[string]string{}}
	for name, faults := range map[string]string{
		"good": "", "partly": "failed=12", "failed": "status=ABORTED", "twice": "callback=times:3", "conflict": "conflict",
		"retried": "progress,signature=wrong_key:1", "number": "id=big",
	} {
		s.Jobs[name] = r.submit(t, "crm", "contact", faults, contacts(40))
	}
	r.await(t, 6, "state=finished&source=crm")
	r.await(t, 1, "state=conflict&source=crm")
	closed := "closed for maintenance"
	r.sinkDown.Store(&closed)
	s.Jobs["stuck"] = r.submit(t, "crm", "contact", "", contacts(2))
	for range 3 {
		s.Jobs["running"] = r.submit(t, "shop", "account", "", contacts(1000))
	}
	s.Jobs["overdue"] = r.submit(t, "legacy", "contact", "callback=never", contacts(5))
	r.await(t, 7, "state=finished&source=crm")
	r.await(t, 1, "state=overdue&source=legacy")
	r.callbacks(t, s)
	_, err := r.Seal(t.Context())
	natstest.Must(t, err)
	r.ask(t, http.MethodPost, "/v1/sources/crm/jobs/"+s.Jobs["good"]+"/replay?reason=the+consumer+lost+it", nil, "")
	r.find(t, s)
	natstest.Eventually(t, "both witnesses' cosignatures", func() bool {
		return len(read[api.CallbackDetail](t, r, "/v1/callbacks/"+s.Callbacks["finished"]).Seal.Witnesses) == 2
	})
	return s
}

// goodBody is what nobody signed with the right key.
func goodBody(s scene) []byte {
	return fmt.Appendf(nil, `{"id":%q,"status":"COMPLETED","recordsCount":40,"recordsFailedCount":0}`, s.Jobs["good"])
}

// callbacks sends those that no platform sends.
func (r *rig) callbacks(t testing.TB, s scene) {
	t.Helper()
	body := goodBody(s)
	unexpected := []byte(`{"id":"777000111","status":"COMPLETED","recordsCount":1,"recordsFailedCount":0}`)
	large := []byte(`{"id":"777000222","status":"COMPLETED","note":"` + strings.Repeat("a word and another; ", 15_000) + `"}`)
	for _, c := range []struct {
		name, source, signature string
		body                    []byte
		want                    int
	}{
		{"line feed", "crm", signature(platformKey+"\n", body), body, http.StatusUnauthorized},
		{"missing", "crm", "", body, http.StatusUnauthorized},
		{"other body", "crm", signature(platformKey, unexpected), body, http.StatusUnauthorized},
		{"SHA-1", "crm", "sha1=2ft3EQbtnGuxCM39AvbPeLh1Vbs=", body, http.StatusUnauthorized},
		{"unknown source", "nowhere", signature(platformKey, body), body, http.StatusNotFound},
		{"unexpected", "crm", signature(platformKey, unexpected), unexpected, http.StatusOK},
		{"the year before", "crm", signature("the-key-of-the-year-before", large), large, http.StatusOK},
		{"no JSON", "crm", signature(platformKey, []byte("<html>")), []byte("<html>"), http.StatusOK},
	} {
		if got := r.call(t, c.source, c.signature, c.body); got != c.want && (got != http.StatusUnauthorized || c.want != http.StatusNotFound) {
			t.Fatalf("%s: answered %d, want %d", c.name, got, c.want)
		}
	}
}

// await waits until so many jobs match a query of GET /v1/jobs.
func (r *rig) await(t testing.TB, n int, query string) {
	t.Helper()
	natstest.Eventually(t, fmt.Sprint(n, " jobs with ", query), func() bool {
		return len(read[api.JobPage](t, r, "/v1/jobs?"+query).Jobs) >= n
	})
}

// find names the records that views are about, once all are stored.
func (r *rig) find(t testing.TB, s scene) {
	t.Helper()
	var missing []string
	defer func() {
		if len(missing) > 0 {
			t.Errorf("no record of %v", missing)
		}
	}()
	natstest.Eventually(t, "a record of each callback", func() bool {
		for _, c := range read[api.CallbackPage](t, r, "/v1/callbacks?limit=1000&actions=true").Callbacks {
			name := c.Verdict
			switch {
			case c.Verdict == "refused":
				name = c.Reason
			case c.Job == s.Jobs["good"] && c.Kind == "finished" && c.Verdict == "accepted":
				name = "finished"
			case c.Job == "777000222":
				name = "large"
			case c.Job != "" && c.Verdict == "accepted":
				name = "a " + c.Kind
			case c.What != "" && !strings.Contains(c.Operator, "operator"):
				name = "the receiver's"
			}
			if s.Callbacks[name] == "" { // any of that name will do
				s.Callbacks[name] = fmt.Sprint(c.Stream, "/", c.Sequence)
			}
			if c.Reason == "mismatch" && c.Job == "" && c.Signature == signature(platformKey+"\n", goodBody(s)) {
				s.Callbacks["line feed"] = fmt.Sprint(c.Stream, "/", c.Sequence)
			}
		}
		missing = slices.DeleteFunc([]string{"finished", "large", "line feed", "missing", "unsupported_algorithm", "duplicate", "unrecognised", "action"},
			func(name string) bool { return s.Callbacks[name] != "" })
		return len(missing) == 0
	})
}
