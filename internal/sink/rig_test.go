package sink_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/sink"
)

func TestMain(m *testing.M) { natstest.Tests{M: m, AtOnce: 4}.Run() }

// secret and older are keys of the endpoints of the tests.
var (
	secret = []byte("the-secret-of-the-endpoint-1")
	older  = []byte("the-secret-of-the-endpoint-0")
)

// arrival is one post as an endpoint got it.
type arrival struct {
	id    string // webhook-id
	job   string
	event map[string]any // its body
	at    time.Time
	h     http.Header
}

// endpoint takes events, and verifies each as a stranger would.
type endpoint struct {
	*httptest.Server
	t      *testing.T
	mu     sync.Mutex
	got    []arrival // all posts
	took   []string  // the ids that were answered 2xx, in order
	answer func(arrival) int
}

// newEndpoint answers as answer says; nil means 200.
func newEndpoint(t *testing.T, answer func(arrival) int) *endpoint {
	e := &endpoint{t: t, answer: answer}
	e.Server = httptest.NewServer(e)
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender ended
	}
	verifier, err := standardwebhooks.NewWebhook("whsec_" + base64.StdEncoding.EncodeToString(secret))
	if err != nil {
		e.t.Error(err)
	}
	if err := verifier.Verify(body, r.Header); err != nil {
		e.t.Errorf("the library of Standard Webhooks says of %q: %v", body, err)
	}
	a := arrival{id: r.Header.Get("webhook-id"), at: time.Now(), h: r.Header}
	if err := json.Unmarshal(body, &a.event); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/cloudevents+json" {
		e.t.Errorf("got %s of %q: %v; want a POST of application/cloudevents+json", r.Method, r.Header.Get("Content-Type"), err)
	}
	a.job, _ = a.event["subject"].(string)
	e.mu.Lock()
	answer := e.answer
	e.got = append(e.got, a)
	e.mu.Unlock()
	status := http.StatusOK
	if answer != nil {
		status = answer(a)
	}
	e.mu.Lock()
	if status/100 == 2 {
		e.took = append(e.took, a.id)
	}
	e.mu.Unlock()
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "3600")
	}
	if status/100 == 3 {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "what the endpoint says")
}

// Answer changes the answers.
func (e *endpoint) Answer(answer func(arrival) int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

// accepted are the ids that were answered 2xx, in order.
func (e *endpoint) accepted() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.took)
}

// posts are all posts of one id; an empty one means all.
func (e *endpoint) posts(id string) (all []arrival) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range e.got {
		if id == "" || a.id == id {
			all = append(all, a)
		}
	}
	return all
}

// await waits until these ids were accepted, and no other, each as often as it is given, those of
// one job in this order.
func (e *endpoint) await(want ...string) {
	e.t.Helper()
	natstest.Eventually(e.t, "all events to be accepted", func() bool { return len(e.accepted()) >= len(want) })
	got := e.accepted()
	if a, b := slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want)); !slices.Equal(a, b) {
		e.t.Fatalf("accepted %q, want %q", a, b)
	}
	if a, b := byJob(got), byJob(want); !slices.Equal(a, b) {
		e.t.Errorf("accepted by job %q, want %q", a, b)
	}
}

// byJob is ids sorted by job alone.
func byJob(ids []string) []string {
	all := slices.Clone(ids)
	slices.SortStableFunc(all, func(a, b string) int { return strings.Compare(jobOf(a), jobOf(b)) })
	return all
}

// jobOf is the part `<source>.<job>` of an id.
func jobOf(id string) string { return strings.Join(strings.Split(id, ".")[:2], ".") }

// lease is one that its holder always has.
type lease struct{}

func (lease) Hold(context.Context) (bool, error) { return true, nil }
func (lease) Release(context.Context) error      { return nil }

// takers counts who takes events at the same time.
type takers struct{ now, most atomic.Int32 }

// counted is a store whose takers are counted.
type counted struct {
	*publish.Store
	of *takers
}

func (c counted) Take(ctx context.Context, name string, filters []string, oldest bool, room func(context.Context) int, hand func(job.Handed)) error {
	if n := c.of.now.Add(1); n > c.of.most.Load() {
		c.of.most.Store(n)
	}
	defer c.of.now.Add(-1)
	return c.Store.Take(ctx, name, filters, oldest, room, hand)
}

// rig is a store with one sink.
type rig struct {
	t     *testing.T
	store *publish.Store
	logs  *natstest.Logs
	sink  sink.Sink
	lease func(context.Context, string) (sink.Lease, error)
	mu    sync.Mutex
	count map[string]int
}

// newRig has the sink `orders` at an endpoint, from the oldest event on.
func newRig(t *testing.T, store *publish.Store, e *endpoint) *rig {
	r := &rig{t: t, store: store, logs: new(natstest.Logs), count: map[string]int{}}
	r.sink = sink.Sink{Name: "orders", URL: e.URL + "/hook?code=hunter2", Secrets: [][]byte{secret}, Oldest: true}
	r.lease = func(context.Context, string) (sink.Lease, error) { return lease{}, nil }
	t.Cleanup(func() {
		for _, word := range []string{"hunter2", string(secret), base64.StdEncoding.EncodeToString(secret), "what the endpoint says"} {
			if strings.Contains(r.logs.String(), word) {
				t.Errorf("the log has %q: %s", word, r.logs)
			}
		}
	})
	return r
}

// sinks returns what posts over a store.
func (r *rig) sinks(store sink.Store) *sink.Sinks {
	r.t.Helper()
	s, err := sink.New(sink.Options{
		Sinks: []sink.Sink{r.sink}, Store: store, Lease: r.lease, UserAgent: "receiver/test", Log: r.logs.Logger(),
		Count: func(name, outcome string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.count[name+" "+outcome]++
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return s.Quick(slices.Repeat([]time.Duration{20 * time.Millisecond}, 500)...)
}

// run posts until stop is called or the test ends.
func (r *rig) run(s *sink.Sinks) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	stop = func() { cancel(); running.Wait() }
	r.t.Cleanup(stop)
	return stop
}

// publish stores events, and returns their ids as sinks have them.
func (r *rig) publish(events ...job.Event) (ids []string) {
	r.t.Helper()
	for _, e := range events {
		if _, err := r.store.Publish(r.t.Context(), e); err != nil {
			r.t.Fatal(err)
		}
		ids = append(ids, e.Source+"."+e.ID())
	}
	return ids
}

// open is what was not accepted.
func (r *rig) open() []job.Delivery {
	r.t.Helper()
	all, err := sink.Open(r.t.Context(), r.store, r.sink.Name, "")
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// story is the life of a job.
func story(id string) []job.Event {
	return []job.Event{
		natstest.Event(job.Submitted, id, "CREATED"), natstest.Event(job.Progress, id, "RUNNING"), natstest.Called(job.Finished, id, "COMPLETED"),
	}
}
