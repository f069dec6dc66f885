package web_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"receiver/api"
	"receiver/api/apitest"
	"receiver/internal/access"
	"receiver/internal/condition"
	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/keyusage"
	"receiver/internal/metrics"
	"receiver/internal/web"
	"receiver/internal/web/apiserver"
)

// feed is a Feed of one event, and says what else an operator asks for. With more it goes on until
// more is closed.
type feed struct {
	more  chan struct{}
	asked *api.Follow
}

func (f feed) Follow(ctx context.Context, q api.Follow) (iter.Seq[api.Followed], error) {
	if f.asked != nil {
		*f.asked = q
	}
	if q.After > 8 {
		return nil, api.AheadOfStream.Problem("the stream ends at sequence 8")
	}
	return func(yield func(api.Followed) bool) {
		if !yield(api.Followed{Sequence: 7}) || !yield(api.Followed{Sequence: 8, Name: "finished", Data: []byte("{}")}) || f.more == nil {
			return
		}
		select {
		case <-f.more:
		case <-ctx.Done():
		}
	}, nil
}

func (f feed) status(context.Context) condition.Status {
	return condition.Of(condition.Facts{Store: "away", NotReady: errors.New("no NATS")})
}

func (f feed) streams(context.Context) (api.StreamsPlan, error) {
	changes := []api.StreamChange{{Setting: "max_age", Have: "1h", Want: "2h", Refused: true, Blocked: "no", Drops: 3}}
	return api.StreamsPlan{Streams: []api.StreamPlan{{Stream: "JOBS", Changes: changes}, {Stream: "WATCH", Missing: true, Changes: []api.StreamChange{}}}}, nil
}

func (f feed) keys(ctx context.Context) ([]keyusage.Use, error) {
	if f.more != nil {
		return nil, errors.New("NATS is away")
	}
	now := time.Now()
	return []keyusage.Use{
		{Key: keyusage.Key{Source: "crm", Name: "2026", Fingerprint: "sha256:1", NotBefore: now, NotAfter: now}, State: keyusage.Active},
		{Key: keyusage.Key{Source: "erp", Name: "old", Fingerprint: "sha256:2"}, State: keyusage.Removed, First: now, Last: now, Job: "7", Verified: 1, Warnings: []string{"w"}},
	}, ctx.Err()
}

func (f feed) traffic(_ context.Context, p api.GetTrafficParams) (api.Traffic, error) {
	now := time.Now().UTC().Truncate(time.Minute)
	if p.Since == "soon" {
		return api.Traffic{}, api.BadRequest.Problem("since %q is no time", p.Since)
	}
	return api.Traffic{
		Since: now, Until: now, From: now, Complete: true,
		Minutes: []api.TrafficMinute{{
			Minute: now, Accepted: 1, Unrecognised: 2, Duplicate: 3, Late: 4, Quarantined: 5, Unconfirmed: 6, Refused: map[string]int64{"mismatch": 7}, Unrecorded: 8,
		}},
		Marks: []api.TrafficMark{{Time: now, Kind: "keys", Count: 1, Added: []string{"crm/2026 sha256:1"}, Removed: []string{"crm/2025 sha256:2"}}},
	}, nil
}

func (f feed) doctor(context.Context) api.Diagnosis {
	if f.more != nil {
		<-f.more
	}
	return api.Diagnosis{Worst: api.SeverityNote, Findings: []api.CheckFinding{{Check: "disk", Severity: api.SeverityNote, What: "a", Why: "b", Setting: "c", Change: "d", Where: "e"}}}
}

func fed(f feed, readers int) http.Handler {
	return web.NewPrivate(web.Private{Metrics: metrics.New(nil), API: apiserver.Server{
		Feed: f, Readers: apiserver.NewReaders(readers), Streams: f.streams, Keys: f.keys, Doctor: f.doctor, Traffic: f.traffic,
	}})
}

func TestEventsAndTheStateOfTheReceiver(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, path string
		code       int
		body       string
	}{
		{"events", "/v1/events", 200, "retry: 1000\n\nid: 7\n\nid: 8\nevent: finished\ndata: {"},
		{"events since a time that is none", "/v1/events?since=yesterday", 400, "since"},
		{"events of a kind that there is not", "/v1/events?kind=finish", 400, "submitted, progress, finished, overdue, lost, conflict, errors, unrecognised"},
		{"events of a result that there is not", "/v1/events?result=ok", 400, "succeeded, partial, failed, cancelled, unknown"},
		{"events of another store", "/v1/events?since=9", 409, "urn:receiver:problem:ahead-of-stream"},
		{"a filter that there is not", "/v1/events?object=contact", 400, "object"},
		{"streams", "/v1/streams", 200, `{"stream":"WATCH","missing":true,"changes":[]}`},
		{"keys", "/v1/keys", 200, `"state":"removed"`},
		{"traffic", "/v1/traffic?source=crm&since=1h", 200, `"minutes":[{"minute":`},
		{"traffic since no time", "/v1/traffic?since=soon", 400, "is no time"},
		{"keys of a source", "/v1/keys?source=crm", 200, `{"keys":[{"source":"crm","key":"2026"`},
		{"keys of no source", "/v1/keys?source=cmr", 400, "crm, erp"},
		{"findings", "/v1/doctor", 200, `"worst":"note"`},
	} {
		got := askJobs(t, fed(feed{}, 1), tt.path)
		members := strings.ReplaceAll(got.Body.String(), `"changes":[],"missing":true,"stream":"WATCH"`, `"stream":"WATCH","missing":true,"changes":[]`)
		if got.Code != tt.code || !strings.Contains(members, tt.body) {
			t.Errorf("%s: %d %s, want %d with %s", tt.name, got.Code, got.Body, tt.code, tt.body)
		}
	}
	for _, path := range []string{"/v1/events", "/v1/streams", "/v1/keys", "/v1/doctor"} {
		if got := askJobs(t, web.NewPrivate(web.Private{Metrics: metrics.New(nil)}), path); got.Code != 503 {
			t.Errorf("GET %s without NATS = %d, want 503", path, got.Code)
		}
	}
}

func TestAllFiltersReachTheFeed(t *testing.T) {
	t.Parallel()
	var asked api.Follow
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/events?since=24h&source=crm&source=erp&kind=finished&result=failed&result=partial", nil)
	r.Host = "localhost"
	r.Header.Set("Last-Event-ID", "5")
	w := apitest.Serve(t, fed(feed{asked: &asked}, 1), r)
	if w.Code != 200 || asked.After != 5 || !asked.Behind || len(asked.Sources) != 2 || asked.Kinds[0] != job.Finished || asked.Results[1] != job.Partial {
		t.Errorf("GET = %d, and the feed was asked for %+v", w.Code, asked)
	}
}

// Only so many clients follow the events; HEAD, whose answer nobody could see the end of, ends.
func TestReadersAreBounded(t *testing.T) {
	t.Parallel()
	f := feed{more: make(chan struct{})}
	h := fed(f, 1)
	at := "http://" + serve(t, h, web.Limits{Read: time.Minute, Write: time.Minute}) + "/v1/events"
	head, err := http.Head(at)
	if err != nil || head.StatusCode != 200 || head.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD = %v, %v, want 200", head, err)
	}
	first, err := http.Get(at)
	if err != nil || first.StatusCode != 200 {
		t.Fatalf("GET = %v, %v", first, err)
	}
	w := askJobs(t, h, "/v1/events")
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "1 clients follow the events") {
		t.Errorf("one too many = %d %s, Retry-After %q, want 503", w.Code, w.Body, w.Header().Get("Retry-After"))
	}
	close(f.more)
	if _, err := io.Copy(io.Discard, first.Body); err != nil {
		t.Errorf("the first one ends with %v", err)
	}
	if w := askJobs(t, h, "/v1/events"); w.Code != 200 {
		t.Errorf("when the first one has ended: %d %s, want 200", w.Code, w.Body)
	}
}

func TestReadersInTheMetrics(t *testing.T) {
	t.Parallel()
	m := metrics.New(nil)
	readers := apiserver.NewReaders(0)
	m.ShowReaders(readers)
	h := web.NewPrivate(web.Private{Metrics: m, API: apiserver.Server{Feed: feed{}, Readers: readers}})
	askJobs(t, h, "/v1/events")
	got := askJobs(t, h, "/metrics").Body.String()
	for _, want := range []string{
		"receiver_event_readers 0", "receiver_event_readers_limit 0", "receiver_event_readers_refused_total 1", "receiver_event_readers_cut_total 0",
	} {
		if !strings.Contains(got, "\n"+want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
}

// The checks ask the platform and write to the disk: they run once at a time.
func TestOneDoctorAtATime(t *testing.T) {
	t.Parallel()
	f := feed{more: make(chan struct{})}
	h := fed(f, 1)
	first := make(chan int)
	codes := map[int]bool{}
	for range 2 {
		go func() { first <- askJobs(t, h, "/v1/doctor").Code }()
	}
	codes[<-first] = true // the one that was too many
	close(f.more)
	codes[<-first] = true
	if !codes[429] || !codes[200] {
		t.Errorf("two at once were answered %v, want 429 and 200", codes)
	}
	if w := askJobs(t, h, "/v1/keys"); w.Code != 503 || !strings.Contains(w.Body.String(), "NATS is away") {
		t.Errorf("keys = %d %s, want 503 with the reason", w.Code, w.Body)
	}
}

// A token that is removed opens nothing any more, not even what it has opened.
func TestAStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	secret, token, err := access.New("reader", []access.Scope{access.Read}, time.Now(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name          string
		before, after []access.Token
		ends          bool
	}{
		{"its token is removed", []access.Token{token}, nil, true},
		{"a token is required from now on", nil, []access.Token{token}, true},
		{"another token is added", []access.Token{token}, append(moreTokens(t), token), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			set := access.NewSet("", 100_000, time.Now)
			set.Replace(tt.before, len(tt.before) > 0)
			f, began, closed := feed{more: make(chan struct{})}, make(chan struct{}), atomic.Bool{}
			h := web.NewPrivate(web.Private{
				Access: set, Metrics: metrics.New(nil), API: apiserver.Server{Feed: f, Readers: apiserver.NewReaders(1), Jobs: pending{began: began}},
			})
			addr := serve(t, h, web.Limits{Read: time.Minute, Write: time.Minute})
			get := func(path string) *http.Response {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Authorization", "Bearer "+secret)
				answer, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				return answer
			}
			stream := get("/v1/events")
			waits := make(chan int, 1)
			if tt.ends {
				go func() { waits <- get("/v1/jobs?wait=60s").StatusCode }()
				<-began
			}
			set.Replace(tt.after, true)
			if !tt.ends {
				time.AfterFunc(1500*time.Millisecond, func() { closed.Store(true); close(f.more) })
			}
			if _, err := io.Copy(io.Discard, stream.Body); err != nil || closed.Load() == tt.ends {
				t.Errorf("the stream ended with %v, at the end of its events: %v, want %v", err, closed.Load(), !tt.ends)
			}
			if tt.ends {
				if code := <-waits; code == http.StatusOK {
					t.Errorf("a request that waited = %d, want no answer", code)
				}
			}
		})
	}
}

// pending is Jobs of which no page comes.
type pending struct {
	ledger
	began chan struct{}
}

func (p pending) List(ctx context.Context, _ joblist.Query, _ time.Duration) (joblist.Page, error) {
	close(p.began)
	<-ctx.Done()
	return joblist.Page{}, ctx.Err()
}

func moreTokens(t *testing.T) []access.Token {
	t.Helper()
	_, token, err := access.New("other", access.Scopes, time.Now(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return []access.Token{token}
}
