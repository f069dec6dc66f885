package joblist_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/natstest"
)

// brief is an event as a stream gives it in brief; at is in seconds.
func brief(seq uint64, source, id string, k job.Kind, at int64, status, object string) job.Brief {
	b := job.Brief{
		Sequence: seq, Source: source, ID: id, Kind: k, Time: time.Unix(at, 0).UTC(), Status: status, Object: object,
		Records: -1, Failed: -1, Evidence: job.ByUs,
	}
	if k == job.Finished {
		v, err := job.Read(fmt.Appendf(nil, `{"id":%q,"status":%q,"recordsCount":4,"recordsFailedCount":1}`, id, status))
		if err != nil {
			panic(err)
		}
		b.Result, b.Records, b.Failed, b.Evidence = v.Result, 4, 1, job.ByCallback
	}
	return b
}

// sample is a projection of a few jobs, in the order of their ids' digits.
func sample() *joblist.Projection {
	p := joblist.NewProjection(joblist.Options{})
	p.Add([]job.Brief{
		brief(1, "demo", "1", job.Submitted, 100, "CREATED", "contact"),
		brief(2, "crm", "20", job.Submitted, 200, "CREATED", "account"),
		brief(3, "demo", "3-Alpha", job.Submitted, 300, "CREATED", "contact"),
		brief(4, "demo", "3-Alpha", job.Progress, 310, "RUNNING", ""),
		brief(5, "demo", "4", job.Finished, 400, "COMPLETED", "contact"),
		brief(6, "demo", "1", job.Finished, 500, "ABORTED", ""),
		brief(7, "demo", "5", job.Submitted, 510, "CREATED", "Contact"),
		brief(8, "demo", "5", job.Overdue, 600, "CREATED", ""),
		brief(9, "demo", "6", job.Submitted, 610, "CREATED", "lead"),
		brief(10, "demo", "6", job.Lost, 620, "PONDERING", ""),
		brief(11, "demo", "4", job.Conflict, 630, "ABORTED", ""),
		brief(12, "demo", "20", job.Submitted, 640, "CREATED", ""),
		brief(13, "demo", "4", job.Errors, 650, "", ""),
	})
	return p
}

func TestList(t *testing.T) {
	p := sample()
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	for _, tt := range []struct {
		name  string
		query joblist.Query
		want  string
	}{
		{"all, newest first", joblist.Query{}, "demo/20 demo/6 demo/5 demo/4 demo/3-Alpha crm/20 demo/1"},
		{"oldest first", joblist.Query{Reverse: true}, "demo/1 crm/20 demo/3-Alpha demo/4 demo/5 demo/6 demo/20"},
		{"by id", joblist.Query{Sort: joblist.ByID}, "demo/1 crm/20 demo/20 demo/3-Alpha demo/4 demo/5 demo/6"},
		{"by id, reversed", joblist.Query{Sort: joblist.ByID, Reverse: true}, "demo/6 demo/5 demo/4 demo/3-Alpha demo/20 crm/20 demo/1"},
		{"of a source", joblist.Query{Source: "crm"}, "crm/20"},
		{"of no source", joblist.Query{Source: "else"}, ""},
		{"of an object", joblist.Query{Object: "contact"}, "demo/4 demo/3-Alpha demo/1"},
		{"in a state", joblist.Query{States: []joblist.State{joblist.Submitted}}, "demo/20 crm/20"},
		{"in one of the states", joblist.Query{States: []joblist.State{joblist.Running, joblist.Overdue, joblist.Lost}}, "demo/6 demo/5 demo/3-Alpha"},
		{"finished", joblist.Query{States: []joblist.State{joblist.Finished}}, "demo/1"},
		{"in conflict", joblist.Query{States: []joblist.State{joblist.Conflict}}, "demo/4"},
		{"with a result", joblist.Query{Results: []job.Result{job.Partial, job.Succeeded}}, "demo/4"},
		{"since", joblist.Query{Since: at(400)}, "demo/20 demo/6 demo/5 demo/4"},
		{"until", joblist.Query{Until: at(400)}, "demo/3-Alpha crm/20 demo/1"},
		{"since and until", joblist.Query{Since: at(300), Until: at(511)}, "demo/5 demo/4 demo/3-Alpha"},
		{"with a part of the id", joblist.Query{Text: "alp"}, "demo/3-Alpha"},
		{"with a part of the object", joblist.Query{Text: "CONT"}, "demo/5 demo/4 demo/3-Alpha demo/1"},
		{"with a part of the status", joblist.Query{Text: "abort"}, "demo/1"},
		{"all together", joblist.Query{Source: "demo", Text: "contact", States: []joblist.State{joblist.Conflict}, Since: at(1), Sort: joblist.ByID}, "demo/4"},
	} {
		for _, limit := range []int{0, 1, 2, 3} {
			q := tt.query
			q.Limit = limit
			if got := ids(t, p, q); got != tt.want {
				t.Errorf("%s, in pages of %d: List gave %q, want %q", tt.name, limit, got, tt.want)
			}
		}
	}
}

// ids walks through all pages of a query.
func ids(t *testing.T, p *joblist.Projection, q joblist.Query) string {
	t.Helper()
	var all []string
	for {
		page, err := p.List(q)
		if err != nil {
			t.Fatalf("List(%+v): %v", q, err)
		}
		for _, j := range page.Jobs {
			all = append(all, j.Source+"/"+j.ID)
		}
		if q.Limit > 0 && len(page.Jobs) > q.Limit || len(all) > 100 || len(page.Jobs) == 0 && q.Cursor != "" {
			t.Fatalf("List(%+v) gave a page of %d", q, len(page.Jobs))
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return strings.Join(all, " ")
		}
	}
}

func TestListRefuses(t *testing.T) {
	p := sample()
	byID, err := p.List(joblist.Query{Sort: joblist.ByID, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		query joblist.Query
		want  error
	}{
		{"an order", joblist.Query{Sort: "size"}, joblist.ErrQuery},
		{"a state", joblist.Query{States: []joblist.State{"done"}}, joblist.ErrQuery},
		{"no state", joblist.Query{States: []joblist.State{""}}, joblist.ErrQuery},
		{"a result", joblist.Query{Results: []job.Result{"good"}}, joblist.ErrQuery},
		{"no base64", joblist.Query{Cursor: "!"}, joblist.ErrCursor},
		{"no cursor", joblist.Query{Cursor: "eA"}, joblist.ErrCursor},
		{"the cursor of another order", joblist.Query{Cursor: byID.Next}, joblist.ErrCursor},
	} {
		if page, err := p.List(tt.query); !errors.Is(err, tt.want) {
			t.Errorf("%s: List = %+v, %v, want %v", tt.name, page, err, tt.want)
		}
	}
}

func TestAPageStaysWhileJobsCome(t *testing.T) {
	p := sample()
	page, err := p.List(joblist.Query{Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	p.Add([]job.Brief{
		brief(20, "demo", "7", job.Submitted, 700, "CREATED", ""), // a new job
		brief(21, "demo", "5", job.Finished, 700, "COMPLETED", ""),
	})
	got, err := p.List(joblist.Query{Limit: 2, Cursor: page.Next})
	if err != nil || len(got.Jobs) != 2 || got.Jobs[0].ID != "5" || got.Jobs[1].ID != "4" {
		t.Errorf("the second page = %+v, %v, want jobs 5 and 4", got, err)
	}
}

// The projection and Fold agree on a job, whatever its events.
func TestAProjectionAgreesWithFold(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	kinds := []job.Kind{job.Submitted, job.Progress, job.Progress, job.Finished, job.Overdue, job.Lost, job.Conflict, job.Errors}
	bodies := []string{`"status":"RUNNING"`, `"status":"COMPLETED","recordsCount":3,"recordsFailedCount":1`, `"status":"PONDERING"`, `"status":"ABORTED"`}
	p := joblist.NewProjection(joblist.Options{})
	histories := map[string][]job.Stored{}
	for seq := uint64(1); seq < 2000; seq++ {
		id := fmt.Sprint(random.IntN(300))
		v, err := job.Read(fmt.Appendf(nil, `{"id":%q,"object_name":"contact",%s}`, id, bodies[random.IntN(len(bodies))]))
		if err != nil {
			t.Fatal(err)
		}
		e := job.Event{
			Kind: kinds[random.IntN(len(kinds))], Source: "demo", Job: v, Evidence: job.Evidence([]string{"poll", "callback", "new"}[random.IntN(3)]),
			Time: time.UnixMilli(1e12 + int64(seq)).UTC(),
		}
		if once := e.Kind != job.Progress && e.Kind != job.Conflict; once && slices.ContainsFunc(histories[id], func(s job.Stored) bool { return s.Kind == e.Kind }) {
			continue
		}
		histories[id] = append(histories[id], job.Stored{Event: e, Sequence: seq})
		b, err := job.ReadBrief(e.Subject(), job.LookupIn(e.Header().Map()))
		if err != nil {
			t.Fatal(err)
		}
		b.Sequence = seq
		p.Add([]job.Brief{b, b})
	}
	page, err := p.List(joblist.Query{Limit: joblist.MaxPage})
	if err != nil || len(page.Jobs) != len(histories) || p.Len() != len(histories) {
		t.Fatalf("List gave %d jobs, %v, want %d", len(page.Jobs), err, len(histories))
	}
	counts := map[joblist.State]int{}
	for _, got := range page.Jobs {
		want := joblist.Fold(histories[got.ID])
		counts[want.State]++
		number := func(n *int64) int64 {
			if n == nil {
				return -1
			}
			return *n
		}
		if got.State != want.State || got.Status != want.View.Status || got.Object != want.View.Object || got.Expected != want.Expected ||
			got.Evidence != want.Evidence || number(got.Records) != number(want.View.Records) || number(got.Failed) != number(want.View.Failed) ||
			!got.FinishedAt.Equal(want.FinishedAt) || got.First != want.First || got.Last != want.Last || got.Errors != (want.Errors != nil) ||
			want.State == joblist.Finished && got.Result != want.View.Result {
			t.Errorf("listed %+v\nfolded %+v", got, want)
		}
	}
	if got := p.Counts()["demo"]; !maps.Equal(got, counts) {
		t.Errorf("Counts = %v, want %v", got, counts)
	}
	tallies := map[joblist.Tally]int{}
	for _, j := range page.Jobs {
		tallies[joblist.Tally{Source: j.Source, State: j.State, Result: j.Result}]++
	}
	got := p.Tallies()
	for _, c := range got.Counts {
		n := c.Jobs
		if c.Jobs = 0; tallies[c] != n {
			t.Errorf("Tallies has %d of %+v, want %d", n, c, tallies[c])
		}
		delete(tallies, c)
	}
	if len(tallies) > 0 || got.Last != page.Last {
		t.Errorf("Tallies = %+v, and lacks %v", got, tallies)
	}
}

// The newest callback of a source is that of the job that it ended last, whatever ended others.
func TestLastCallbacks(t *testing.T) {
	t.Parallel()
	p := joblist.NewProjection(joblist.Options{})
	ended := func(seq uint64, source, id string, at int64, by job.Evidence) job.Brief {
		b := brief(seq, source, id, job.Finished, at, "COMPLETED", "")
		b.Evidence = by
		return b
	}
	if got := p.LastCallbacks(); len(got) != 0 {
		t.Errorf("of no jobs: %v", got)
	}
	first := ended(1, "crm", "1", 100, job.ByCallback)
	p.Add([]job.Brief{first, ended(2, "crm", "2", 90, job.ByCallback), ended(3, "crm", "3", 200, job.ByPoll), ended(4, "erp", "4", 200, job.ByPoll)})
	if got := p.LastCallbacks(); len(got) != 1 || !got["crm"].Equal(first.Time) {
		t.Errorf("LastCallbacks = %v, want %v of crm alone", got, first.Time)
	}
}

func TestAProjectionHasABound(t *testing.T) {
	now := time.Unix(1e9, 0)
	const bound = 10_000
	p := joblist.NewBounded(joblist.Options{MaxAge: time.Hour, Now: func() time.Time { return now }}, bound)
	seq := uint64(0)
	submit := func(n int) {
		for range n {
			seq++
			p.Add([]job.Brief{brief(seq, "demo", fmt.Sprint(seq), job.Submitted, now.Unix(), "CREATED", "")})
		}
	}
	check := func(when string, want int, oldest string) {
		t.Helper()
		page, err := p.List(joblist.Query{Reverse: true, Limit: 1})
		if err != nil || p.Len() != want || len(page.Jobs) != min(want, 1) || want > 0 && page.Jobs[0].ID != oldest {
			t.Errorf("%s: %d jobs, oldest %+v, %v, want %d, oldest %s", when, p.Len(), page.Jobs, err, want, oldest)
		}
		if got := p.Counts()["demo"][joblist.Submitted]; got != want {
			t.Errorf("%s: Counts = %d, want %d", when, got, want)
		}
		if known, _ := p.Known("demo", "1"); known != (oldest == "1") {
			t.Errorf("%s: Known of the first job is %v", when, known)
		}
	}
	submit(bound)
	check("full", bound, "1")
	submit(bound)
	check("twice as many", bound, fmt.Sprint(bound+1))
	p.Add([]job.Brief{brief(1, "demo", "1", job.Submitted, now.Unix(), "CREATED", "")})
	check("an old event once more", bound, fmt.Sprint(bound+1))
	now = now.Add(59 * time.Minute)
	submit(100)
	check("some newer", bound, fmt.Sprint(bound+101))
	now = now.Add(2 * time.Minute)
	submit(1)
	check("the others too old", 101, fmt.Sprint(2*bound+1))
}

func TestFollowGivesWhatChanges(t *testing.T) {
	p := sample()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changes, err := p.Follow(ctx, joblist.Query{Source: "demo", States: []joblist.State{joblist.Finished, joblist.Submitted}})
	if err != nil {
		t.Fatal(err)
	}
	p.Add([]job.Brief{
		brief(20, "demo", "9", job.Submitted, 700, "CREATED", ""),
		brief(21, "crm", "9", job.Submitted, 700, "CREATED", ""),
		brief(22, "demo", "5", job.Finished, 700, "COMPLETED", ""),
		brief(23, "demo", "3-Alpha", job.Progress, 700, "RUNNING", ""),
		brief(24, "demo", "9", job.Finished, 700, "WARNING", "lead"),
	})
	next, stop := iter.Pull(changes)
	defer stop()
	for _, want := range []string{"9 finished partial lead", "5 finished partial Contact"} {
		j, ok := next()
		if got := fmt.Sprint(j.ID, " ", j.State, " ", j.Result, " ", j.Object); !ok || got != want {
			t.Errorf("followed to %q, %v, want %q", got, ok, want)
		}
	}
	cancel()
	if j, ok := next(); ok {
		t.Errorf("followed to %+v after the end", j)
	}
	if _, err := p.Follow(t.Context(), joblist.Query{States: []joblist.State{"done"}}); !errors.Is(err, joblist.ErrQuery) {
		t.Errorf("Follow of no such state = %v, want ErrQuery", err)
	}
}

func TestAProjectionOfAStream(t *testing.T) {
	s := natstest.Start(t, t.TempDir())
	bus := natstest.Open(t, s)
	natstest.Store(t, bus, natstest.Event(job.Submitted, "1", "CREATED"))
	natstest.Store(t, bus, natstest.Event(job.Submitted, "2", "CREATED"))
	natstest.Store(t, bus, natstest.Called(job.Finished, "1", "COMPLETED"))
	p := joblist.NewProjection(joblist.Options{Briefs: bus})
	if page, err := p.List(joblist.Query{}); err != nil || page.Complete || len(page.Jobs) != 0 {
		t.Errorf("before it is filled: List = %+v, %v", page, err)
	}
	stop := following(t, p.Run)
	<-p.Ready()
	page, err := p.List(joblist.Query{})
	if err != nil || !page.Complete || len(page.Jobs) != 2 || page.Jobs[1].State != joblist.Finished || page.Jobs[0].State != joblist.Submitted {
		t.Errorf("ready: List = %+v, %v, want job 2 submitted and job 1 finished", page, err)
	}
	natstest.Store(t, bus, natstest.Called(job.Finished, "2", "ABORTED"))
	natstest.Eventually(t, "the projection to follow", func() bool {
		_, current := p.Known("demo", "none")
		return p.Counts()["demo"][joblist.Finished] == 2 && current
	})
	stop()
	if _, current := p.Known("demo", "none"); current {
		t.Error("a projection that reads no more says that it is current")
	}

	once := joblist.NewProjection(joblist.Options{Briefs: bus})
	if err := once.Fill(t.Context()); err != nil || once.Len() != 2 {
		t.Errorf("Fill = %v, and %d jobs, want 2", err, once.Len())
	}
}

// following calls run until stop is called; stop waits until run has returned.
func following(t testing.TB, run func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// FuzzCursor holds that no cursor, however made, brings a panic or an endless list.
func FuzzCursor(f *testing.F) {
	f.Add("dDEy", true, false)
	f.Add("aWRlbW8uMQ", false, true)
	p := sample()
	f.Fuzz(func(t *testing.T, cursor string, byTime, reverse bool) {
		q := joblist.Query{Cursor: cursor, Sort: joblist.ByID, Reverse: reverse, Limit: 2}
		if byTime {
			q.Sort = joblist.ByTime
		}
		for pages := 0; ; pages++ {
			page, err := p.List(q)
			if err != nil || page.Next == "" {
				return
			}
			if q.Cursor = page.Next; pages > 10 {
				t.Fatal("the list has no end")
			}
		}
	})
}
