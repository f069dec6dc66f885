//go:build e2e

package main_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server" //nolint:depguard // the operator's hub, which no code of this program runs
	"github.com/nats-io/nats.go/jetstream"
)

// TestReliabilityEdge has two edges of one hub whose lines are cut while callbacks come,
// every third of them to both edges at once. One edge is killed while its line is cut, the
// other while it forwards what had waited. In the end the hub has each job's end once, and
// everything that was answered 200, in the order of each edge.
func TestReliabilityEdge(t *testing.T) { cutEdges(t, unlessShort(time.Minute, 3*time.Second)) }

// cutEdges cuts the lines for a time that stands for an hour.
func cutEdges(t *testing.T, hour time.Duration) {
	hub := startHub(t)
	edges := []*edgeReplica{hub.edge("rim-1"), hub.edge("rim-2")}
	l := pourAtBoth(t, newCaller(edges[0].public), newCaller(edges[1].public))
	l.more(100)
	for _, e := range edges {
		e.line.setCut(true)
	}
	cut := time.NewTimer(hour)
	for _, e := range edges {
		e.awaitLog(t, 0, `"the link to the hub is down`)
	}
	l.more(100)
	edges[0].kill()
	edges[0].up(t)
	l.more(100)
	for _, e := range edges {
		if up, behind := e.state(); up || behind == 0 {
			t.Errorf("%s shows a line that is up %v and %d records behind while it is cut", e.name, up, behind)
		}
		if code := e.ready(); code != http.StatusOK {
			t.Errorf("/readyz of %s = %d while its line is cut, want 200: it costs the platform nothing", e.name, code)
		}
	}
	<-cut.C
	for _, e := range edges {
		e.line.setCut(false)
	}
	edges[1].awaitLog(t, 0, `"the link to the hub is up`)
	edges[1].kill()
	edges[1].up(t)
	l.more(100)
	l.stop()
	for _, e := range edges {
		e.drained()
	}
	f := hub.judge(l)
	fmt.Fprintf(t.Output(), "| two edges of a hub, every third callback to both; both lines cut for an hour that takes %v, one edge killed meanwhile, "+
		"the other while it forwards | `%s` | %d | %d | %d | %d | %d | 0 | %.1f s |\n",
		hour, t.Name(), f.jobs, f.acknowledged, f.stored, f.doubled, f.lost, f.took.Seconds())
	for _, e := range edges {
		if code, err := e.end(syscall.SIGTERM); err != nil || code != 0 {
			t.Errorf("%s ended with exit code %d, %v, want 0", e.name, code, err)
		}
	}
}

// edgeHub is a NATS server that edges are leaves of.
type edgeHub struct {
	t        *testing.T
	leaves   string // where it takes leaf nodes, host:port with commas between
	settings string // what else an edge's section nats needs
	js       jetstream.JetStream
}

func startHub(t *testing.T) *edgeHub {
	t.Helper()
	o := &server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, JetStreamDomain: "hub", StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		// An edge that learns the other address would connect around the cut link.
		LeafNode: server.LeafNodeOpts{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoAdvertise: true},
	}
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the hub is not ready after 10 s")
	}
	return &edgeHub{t: t, leaves: fmt.Sprintf("127.0.0.1:%d", o.LeafNode.Port), js: connect(t, s.ClientURL())}
}

// edgeReplica is a receiver that is an edge, and its line.
type edgeReplica struct {
	*replica
	t    *testing.T
	name string
	line *front
}

// edge starts a receiver that is an edge.
func (h *edgeHub) edge(name string) *edgeReplica {
	h.t.Helper()
	p, err := newPorts()
	if err != nil {
		h.t.Fatal(err)
	}
	e := &edgeReplica{t: h.t, name: name, line: newFront(h.t, strings.Split(h.leaves, ",")...), replica: &replica{
		dir: h.t.TempDir(), public: "http://127.0.0.1:" + p.public, private: "http://127.0.0.1:" + p.private,
	}}
	scheme := "nats"
	if h.settings != "" {
		scheme = "tls"
	}
	nats := fmt.Sprintf("nats:\n  mode: edge\n  urls: [%s://%s]\n%s  domain: hub\n  edge: {name: %s}\n  embedded: {address: 127.0.0.1:%s}\n",
		scheme, e.line.addr, h.settings, name, p.nats)
	if err := writeConfig(e.dir, p, nats); err != nil {
		h.t.Fatal(err)
	}
	e.up(h.t)
	return e
}

// get asks the private listener.
func (e *edgeReplica) get(path string) (int, string) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), waitTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, e.private+path, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		e.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func (e *edgeReplica) ready() int {
	code, _ := e.get("/readyz")
	return code
}

var (
	lineUp  = regexp.MustCompile(`(?m)^receiver_edge_line_up (\d)$`)
	waiting = regexp.MustCompile(`(?m)^receiver_edge_behind_records\{stream="\w+"\} (\d+)$`)
)

// state is what the metrics show of the line.
func (e *edgeReplica) state() (up bool, behind int) {
	e.t.Helper()
	_, text := e.get("/metrics")
	m, streams := lineUp.FindStringSubmatch(text), waiting.FindAllStringSubmatch(text, -1)
	if m == nil || len(streams) != 2 {
		e.t.Fatalf("the metrics of %s show no line to a hub:\n%s", e.name, tail(text))
	}
	for _, s := range streams {
		n, err := strconv.Atoi(s[1])
		if err != nil {
			e.t.Fatal(err)
		}
		behind += n
	}
	return m[1] == "1", behind
}

// drained waits until the hub has everything.
func (e *edgeReplica) drained() {
	e.t.Helper()
	timeout, tick := time.NewTimer(longTimeout), time.NewTicker(50*time.Millisecond)
	defer timeout.Stop()
	defer tick.Stop()
	for {
		up, behind := e.state()
		if up && behind == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-timeout.C:
			e.t.Fatalf("the hub is %d records behind %s after %v", behind, e.name, longTimeout)
		}
	}
}

// edgeLoad is a platform that calls back for one job after the other, each until it is
// answered 200, every third at both receivers at once.
type edgeLoad struct {
	t      *testing.T
	began  time.Time
	finish chan struct{}
	wg     sync.WaitGroup

	mu      sync.Mutex
	jobs    map[string]bool
	acked   int
	changed chan struct{} // closed and replaced by every 200
}

func pourAtBoth(t *testing.T, callers ...caller) *edgeLoad {
	t.Helper()
	l := &edgeLoad{t: t, began: time.Now(), finish: make(chan struct{}), jobs: map[string]bool{}, changed: make(chan struct{})}
	for side := range 4 {
		l.wg.Go(func() { l.pour(side, callers) })
	}
	return l
}

func (l *edgeLoad) pour(side int, callers []caller) {
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for n := 0; ; n++ {
		select {
		case <-l.finish:
			return
		case <-l.t.Context().Done():
			return
		case <-pace.C:
		}
		id := fmt.Sprintf("%d-%d", side, n)
		l.mu.Lock()
		l.jobs[id] = true
		l.mu.Unlock()
		to := callers[n%2 : n%2+1]
		if n%3 == 0 {
			to = callers
		}
		var both sync.WaitGroup
		for _, c := range to {
			both.Go(func() { l.until200(c, id) })
		}
		both.Wait()
	}
}

func (l *edgeLoad) until200(c caller, id string) {
	for l.t.Context().Err() == nil {
		if _, ok, _ := c.finished(l.t.Context(), id); ok {
			l.mu.Lock()
			l.acked++
			close(l.changed)
			l.changed = make(chan struct{})
			l.mu.Unlock()
			return
		}
		select {
		case <-time.After(100 * time.Millisecond): // scaled: the platform waits for minutes
		case <-l.t.Context().Done():
		}
	}
}

// more waits for so many more callbacks to be answered 200.
func (l *edgeLoad) more(n int) {
	l.t.Helper()
	timeout := time.NewTimer(longTimeout)
	defer timeout.Stop()
	l.mu.Lock()
	want := l.acked + n
	for l.acked < want {
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-timeout.C:
			l.t.Fatalf("no %d callbacks more were answered 200 within %v", n, longTimeout)
		}
		l.mu.Lock()
	}
	l.mu.Unlock()
}

func (l *edgeLoad) stop() {
	close(l.finish)
	l.wg.Wait()
}

// judge compares the contents of the hub with the callbacks that were answered 200.
func (h *edgeHub) judge(l *edgeLoad) figures {
	h.t.Helper()
	got, last := map[string]int{}, map[string]int{}
	for _, m := range h.everything("JOBS") {
		if m.kind() != "finished" {
			continue
		}
		if want := sign(signatureKey, m.data); m.header.Get("receiver-signature") != want {
			h.t.Errorf("%s carries signature %q over its data, want %q", m.subject, m.header.Get("receiver-signature"), want)
		}
		got[m.header.Get("ce-subject")]++
		edge, record := m.header.Get("receiver-edge"), m.header.Get("receiver-edge-record")
		if edge == "" {
			continue // a receiver at the hub stored it
		}
		n, err := strconv.Atoi(strings.TrimPrefix(record, "JOBS/"))
		if err != nil || n <= last[edge] {
			h.t.Errorf("%s of %s comes after JOBS/%d", record, edge, last[edge])
		}
		last[edge] = n
	}
	eachOnce(h.t, got, l.jobs)
	f := figures{jobs: len(l.jobs), acknowledged: l.acked, stored: len(got), took: time.Since(l.began)}
	for id := range l.jobs {
		switch n := got[id]; {
		case n == 0:
			f.lost++
		case n > 1:
			f.doubled++
		}
	}
	repeats := 0
	for _, m := range h.everything("ATTEMPTS") {
		if m.kind() == "duplicate" {
			repeats++
		}
	}
	if len(got)+repeats < l.acked {
		h.t.Errorf("%d callbacks were answered 200, and the hub tells of %d", l.acked, len(got)+repeats)
	}
	return f
}

// everything returns the messages of a stream of the hub. It requests them one by one, and repeats
// a failed request: a consumer may not be reachable in a cluster whose servers have just restarted.
func (h *edgeHub) everything(stream string) (all []told) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), longTimeout)
	defer cancel()
	again := func(what func() error) {
		for err := what(); err != nil; err = what() {
			select {
			case <-time.After(50 * time.Millisecond):
			case <-ctx.Done():
				h.t.Fatal(err)
			}
		}
	}
	var s jetstream.Stream
	again(func() (err error) { s, err = h.js.Stream(ctx, stream); return err })
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		again(func() error {
			m, err := s.GetMsg(ctx, seq)
			if err == nil {
				all = append(all, told{sequence: m.Sequence, subject: m.Subject, header: m.Header, data: m.Data})
			}
			return err
		})
	}
	return all
}
