package records_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/api"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service/records"
	"receiver/internal/web/apiserver"
)

// acted stores an action.
func acted(t *testing.T, bus *publish.Store, what, operator string) {
	t.Helper()
	_, err := bus.Act(t.Context(), job.Action{What: what, Operator: operator, Time: time.Now(), Details: json.RawMessage(`{}`)})
	natstest.Must(t, err)
}

// paged returns the ids of all pages of a question, joined within a page.
func paged(t *testing.T, a *records.API, p api.ListCallbacksParams) (pages []string) {
	t.Helper()
	for {
		page, err := a.Callbacks(t.Context(), p)
		natstest.Must(t, err)
		var ids []string
		for _, e := range page.Callbacks {
			ids = append(ids, strings.NewReplacer("JOBS/", "J", "ATTEMPTS/", "A", "ACTIONS/", "X").Replace(e.ID))
		}
		pages = append(pages, strings.Join(ids, " "))
		if p.After = page.Next; p.After == "" {
			return pages
		}
		if len(pages) > 100 {
			t.Fatalf("the pages of %+v have no end: %v", p, pages[:10])
		}
	}
}

// The streams hold, in the order of time: J1 A1 X1 A2 J2 J3 X2 A3.
func TestCallbacksNewestFirst(t *testing.T) {
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	event := func(id string) { natstest.Store(t, bus, natstest.Called(job.Finished, id, "COMPLETED")) }
	attempt := func(verdict string) { natstest.Must(t, bus.Record(t.Context(), natstest.Attempt(verdict))) }
	event("1")
	attempt("mismatch")
	acted(t, bus, job.ActionRelease, "anna")
	attempt("duplicate")
	event("2")
	event("3")
	acted(t, bus, job.ActionCancel, "ben")
	attempt("missing")
	a, err := records.NewAPI(t.Context(), &config.Config{}, bus, nil)
	natstest.Must(t, err)
	middle := time.Time{}
	for e, err := range records.Entries(t.Context(), bus, records.Query{}) {
		if natstest.Must(t, err); e.ID == "JOBS/2" {
			middle = e.Stored
		}
	}
	at := middle.Format(time.RFC3339Nano)
	one, two := 1, 2
	for _, tt := range []struct {
		name string
		p    api.ListCallbacksParams
		want []string
	}{
		{"all", api.ListCallbacksParams{}, []string{"A3 J3 J2 A2 A1 J1"}},
		{"with actions", api.ListCallbacksParams{Actions: true}, []string{"A3 X2 J3 J2 A2 X1 A1 J1"}},
		{"by two", api.ListCallbacksParams{Limit: &two}, []string{"A3 J3", "J2 A2", "A1 J1"}},
		{"by two, with actions", api.ListCallbacksParams{Limit: &two, Actions: true}, []string{"A3 X2", "J3 J2", "A2 X1", "A1 J1"}},
		{"before a time", api.ListCallbacksParams{Until: at}, []string{"A2 A1 J1"}},
		{"before a time, by one", api.ListCallbacksParams{Until: at, Limit: &one}, []string{"A2", "A1", "J1"}},
		{"since a time", api.ListCallbacksParams{Since: at}, []string{"A3 J3 J2"}},
		{"refused", api.ListCallbacksParams{Verdict: []string{"refused"}}, []string{"A3 A1"}},
		{"accepted and duplicates", api.ListCallbacksParams{Verdict: []string{"accepted", "duplicate"}}, []string{"J3 J2 A2 J1"}},
		{"of a job", api.ListCallbacksParams{Job: []string{"2"}}, []string{"J2"}},
		{"nothing", api.ListCallbacksParams{Job: []string{"none"}}, []string{""}},
		{"actions only", api.ListCallbacksParams{Actions: true, Verdict: []string{"action"}}, []string{"X2 X1"}},
		{"one action", api.ListCallbacksParams{Action: []string{"release"}}, []string{"X1"}},
		{"of an operator", api.ListCallbacksParams{Operator: []string{"ben", "eve"}}, []string{"X2"}},
		{"an action of another operator", api.ListCallbacksParams{Action: []string{"release"}, Operator: []string{"ben"}}, []string{""}},
	} {
		tt.p.Reverse = true
		if tt.p.Since == "" {
			tt.p.Since = "all"
		}
		got := paged(t, a, tt.p)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: pages %q, want %q", tt.name, got, tt.want)
		}
		// The other way, the same ones come in the other order.
		tt.p.Reverse = false
		forward := strings.Fields(strings.Join(paged(t, a, tt.p), " "))
		slices.Reverse(forward)
		if all := strings.Join(tt.want, " "); strings.Join(forward, " ") != all {
			t.Errorf("%s: oldest first they are, turned round, %v, want %s", tt.name, forward, all)
		}
	}
	p := api.ListCallbacksParams{Reverse: true, Since: "all", Limit: &two, Verdict: []string{"refused", "accepted"}}
	page, err := a.Callbacks(t.Context(), p)
	natstest.Must(t, err)
	event("4")
	attempt("mismatch")
	p.After = page.Next
	if got := paged(t, a, p); got[0] != "J2 A1" {
		t.Errorf("records that come between two pages change the second: %q", got)
	}
	natstest.Must(t, natstest.Drop(t.Context(), bus, conn.JobsStream, 3))
	if got := paged(t, a, api.ListCallbacksParams{Reverse: true, Since: "all", Verdict: []string{"accepted"}}); got[0] != "J4 J3" {
		t.Errorf("after two events were dropped: %q, want J4 J3", got)
	}
	_, err = a.Callbacks(t.Context(), api.ListCallbacksParams{Action: []string{"relese"}})
	if err == nil || !strings.Contains(err.Error(), `action "relese" is unknown (did you mean release?)`) {
		t.Errorf("an unknown action = %v", err)
	}
}

// A page looks at no more than so many records, and the next goes on behind them. So each has an
// end, however little matches.
func TestAPageLooksAtFewRecords(t *testing.T) {
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	natstest.Must(t, bus.Record(t.Context(), natstest.Attempt("duplicate")))
	const many = 11_000
	for i := range many {
		_, err := bus.JetStream().PublishAsync("attempts.demo.mismatch", nil) // foreign, and looked at all the same
		natstest.Must(t, err)
		if i%1000 == 999 {
			<-bus.JetStream().PublishAsyncComplete()
		}
	}
	a, err := records.NewAPI(t.Context(), &config.Config{}, bus, nil)
	natstest.Must(t, err)
	if got := paged(t, a, api.ListCallbacksParams{Reverse: true, Since: "all", Verdict: []string{"duplicate"}}); !slices.Equal(got, []string{"", "", "A1"}) {
		t.Errorf("pages %q, want two that found nothing and one that did", got)
	}
	// A gap of thousands of sequences is passed over, and what stands before it is found.
	s, err := bus.JetStream().Stream(t.Context(), conn.AttemptsStream)
	natstest.Must(t, err)
	for seq := uint64(2); seq < many; seq++ {
		natstest.Must(t, s.DeleteMsg(t.Context(), seq))
	}
	if got := paged(t, a, api.ListCallbacksParams{Reverse: true, Since: "all"}); !slices.Equal(got, []string{"A1"}) {
		t.Errorf("across a gap: pages %q, want A1", got)
	}
}

// Each record that can be explained gives what came with it, and one that cannot says why. Each
// question is recorded, if it is answered.
func TestWhatWasSigned(t *testing.T) {
	bus := natstest.Open(t, natstest.Start(t, t.TempDir()))
	whole := natstest.Attempt("mismatch")
	whole.Receipt.Signature = "sha256=abc"
	none, cut, nowhere := natstest.Attempt("missing"), natstest.Attempt("mismatch"), natstest.Attempt("unknown_source")
	cut.Body, nowhere.Source, nowhere.Claimed = cut.Body[:2], job.NoSource, "nobody"
	for _, a := range []job.Attempt{whole, none, cut, nowhere} {
		natstest.Must(t, bus.Record(t.Context(), a))
	}
	natstest.Store(t, bus, natstest.Large(natstest.Called(job.Finished, "1", "COMPLETED"), 2<<20))
	natstest.Store(t, bus, natstest.Event(job.Finished, "2", "COMPLETED"))
	acted(t, bus, job.ActionRelease, "anna")
	var recorded []string
	var failing error
	a, err := records.NewAPI(t.Context(), &config.Config{}, bus, func(_ context.Context, a job.Action, details map[string]any) error {
		text, err := json.Marshal(details)
		natstest.Must(t, err)
		recorded = append(recorded, a.What+" "+a.Operator+" "+string(text))
		return failing
	})
	natstest.Must(t, err)
	for _, tt := range []struct {
		stream     string
		seq        uint64
		signatures int
		size       int
		wrong      string
	}{
		{conn.AttemptsStream, 1, 1, len(whole.Body), ""},
		{conn.AttemptsStream, 2, 0, len(whole.Body), ""},
		{conn.AttemptsStream, 3, 0, 0, "was not kept whole"},
		{conn.AttemptsStream, 4, 0, 0, "no configured source"},
		{conn.AttemptsStream, 5, 0, 0, "there is no record ATTEMPTS/5"},
		{conn.JobsStream, 1, 1, 2 << 20, ""},
		{conn.JobsStream, 2, 0, 0, "JOBS/2 is no callback"},
		{conn.ActionsStream, 1, 0, 0, "is no callback"},
		{"WATCH", 1, 0, 0, "there is no record WATCH/1"},
	} {
		recorded = nil
		q, err := a.Signed(t.Context(), apiserver.By{Operator: "anna", RequestID: "r7"}, tt.stream, tt.seq)
		if tt.wrong != "" {
			var p *api.Problem
			if !errors.As(err, &p) || !strings.Contains(p.Detail, tt.wrong) || len(recorded) > 0 {
				t.Errorf("%s/%d: %v, want %q; recorded %q", tt.stream, tt.seq, err, tt.wrong, recorded)
			}
			continue
		}
		if err != nil || q.Source != "demo" || len(q.Signatures) != tt.signatures || tt.size > 0 && len(q.Body) < tt.size {
			t.Errorf("%s/%d: source %s, %d signatures, %d bytes, %v", tt.stream, tt.seq, q.Source, len(q.Signatures), len(q.Body), err)
		}
		if len(recorded) != 1 || !strings.HasPrefix(recorded[0], `explain anna {"record":"`+tt.stream+"/") {
			t.Errorf("%s/%d: recorded %q", tt.stream, tt.seq, recorded)
		}
	}
	failing = errors.New("no")
	if _, err := a.Signed(t.Context(), apiserver.By{}, conn.AttemptsStream, 1); !errors.Is(err, failing) {
		t.Errorf("a question that cannot be recorded = %v, want the error", err)
	}
}
