//go:build browser

package browser_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish/conn"
)

// The goals of issue 17: the first view, and a page of a list, over 200,000 jobs.
const (
	mostFirst = 200 * time.Millisecond
	mostList  = 50 * time.Millisecond
	openPages = 50
)

// pageJobs is how many jobs there are: PAGES_JOBS, or few enough for every run.
func pageJobs(t testing.TB) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("PAGES_JOBS"))
	if err != nil {
		return 5_000
	}
	return n
}

// loaded is a rig whose store has so many jobs, submitted and finished, before it starts. The
// folder PAGES_FOLDER keeps the store for the next run.
func loaded(t testing.TB, jobs int) *rig {
	t.Helper()
	kept := os.Getenv("PAGES_FOLDER")
	if kept == "" {
		kept = t.TempDir()
	}
	folder := t.TempDir()
	if _, err := os.Stat(filepath.Join(kept, "receiver-data")); err != nil {
		fill(t, filepath.Join(kept, "receiver-data"), jobs)
	}
	natstest.Must(t, os.CopyFS(filepath.Join(folder, "receiver-data"), os.DirFS(filepath.Join(kept, "receiver-data"))))
	return newRig(t, folder)
}

func fill(t testing.TB, folder string, jobs int) {
	t.Helper()
	s, err := natsserver.Start(natstest.Embedded(folder))
	natstest.Must(t, err)
	defer s.Stop()
	store := natstest.OpenWith(t, s, conn.Options{Timeout: natstest.LongTimeout})
	const writers = 64
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := w; i < jobs; i += writers {
				id := fmt.Sprint(42_000_000 + i)
				for _, e := range []job.Event{natstest.Event(job.Submitted, id, "CREATED"), natstest.Called(job.Finished, id, []string{"COMPLETED", "ABORTED"}[i%100/99])} {
					e.Source = "crm"
					natstest.Store(t, store, e)
				}
			}
		})
	}
	all.Wait()
}

// pages are the views that are measured, each beside the request of the API that gives its data,
// and how long one may take.
var pages = []struct {
	name, path, api string
	most            time.Duration
}{
	{"overview", "/", "/v1/sources", mostFirst},
	{"jobs", "/jobs", "/v1/jobs?limit=50", mostFirst},
	{"finished", "/jobs?result=failed", "/v1/jobs?result=failed&limit=50", mostList},
	{"callbacks", "/callbacks", "/v1/callbacks?since=all&newest_first=true&limit=50", mostList},
	{"job", "/jobs/crm/42000000", "/v1/sources/crm/jobs/42000000", mostList},
}

// BenchmarkPage is the time of each view, from the request of a browser to the last byte of the
// answer, and of the request of the API beside it.
func BenchmarkPage(b *testing.B) {
	r := loaded(b, pageJobs(b))
	for _, p := range pages {
		for name, path := range map[string]string{"page": p.path, "api": p.api} {
			b.Run(p.name+"/"+name, func(b *testing.B) {
				size := 0
				for b.Loop() {
					size = len(r.view(b, path))
				}
				b.ReportMetric(float64(size), "bytes")
			})
		}
	}
}

// view asks for a view, or for an operation, as a browser does, and returns the answer.
func (r *rig) view(t testing.TB, path string) []byte {
	t.Helper()
	answer := r.get(t, path)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	natstest.Must(t, err)
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("GET %s = %d %s", path, answer.StatusCode, text)
	}
	return text
}

func (r *rig) get(t testing.TB, path string) *http.Response {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.PrivateURL()+path, nil)
	natstest.Must(t, err)
	_, port, err := net.SplitHostPort(q.URL.Host)
	natstest.Must(t, err)
	if strings.HasPrefix(path, "/v1/") {
		q.Header.Set("Authorization", "Bearer "+r.tokens["operator"])
	} else {
		q.AddCookie(&http.Cookie{Name: "receiver-" + port, Value: r.tokens["operator"]})
	}
	answer, err := http.DefaultTransport.RoundTrip(q)
	natstest.Must(t, err)
	return answer
}

// TestManyJobs holds the goals of time and memory.
func TestManyJobs(t *testing.T) {
	jobs := pageJobs(t)
	r := loaded(t, jobs)
	r.await(t, 1, "text="+strconv.Itoa(42_000_000+jobs-1))
	t.Run("quick", func(t *testing.T) { quick(t, r) })
	t.Run("flat", func(t *testing.T) { flat(t, r) })
}

// quick holds how long views take, by the median, so that a busy machine does not break it.
func quick(t *testing.T, r *rig) {
	for _, p := range pages {
		t.Run(p.name, func(t *testing.T) {
			var took []time.Duration
			size := 0
			for range 21 {
				began := time.Now()
				size = len(r.view(t, p.path))
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			t.Logf("%d bytes in %v, %v at most", size, took[10], took[20])
			if took[10] > p.most {
				t.Errorf("takes %v, want at most %v", took[10], p.most)
			}
		})
	}
}

// flat has 50 pages open, which follow what happens, for PAGES_FOR or a few seconds: memory and
// goroutines are as many at the end as at the beginning, and none when they are closed.
func flat(t *testing.T, r *rig) {
	lasting, err := time.ParseDuration(os.Getenv("PAGES_FOR"))
	if err != nil {
		lasting = 6 * time.Second
	}
	r.view(t, "/")
	_, before := settled()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var told, open sync.WaitGroup
	var seen atomic.Int64
	for i := range openPages {
		told.Add(1)
		path := pages[i%len(pages)].path
		open.Go(func() { r.follow(ctx, t, path, &seen, told.Done) })
	}
	told.Wait()
	n := 0
	follow := func() {
		body := fmt.Appendf(nil, `{"id":"%d","status":"COMPLETED","recordsCount":3}`, 50_000_000+n)
		if got := r.call(t, "crm", signature(platformKey, body), body); got != http.StatusOK {
			t.Fatalf("a callback was answered %d", got)
		}
		n++
		want := seen.Load() + openPages
		natstest.Eventually(t, "every page to follow a change", func() bool { return seen.Load() >= want })
	}
	for range 4 { // caches fill
		follow()
	}
	firstHeap, firstGoroutines := settled()
	for began := time.Now(); time.Since(began) < lasting; {
		follow()
	}
	lastHeap, lastGoroutines := settled()
	t.Logf("%d pages for %v, %d callbacks, %d views: heap %d KiB to %d KiB, goroutines %d to %d",
		openPages, lasting, n, seen.Load(), firstHeap>>10, lastHeap>>10, firstGoroutines, lastGoroutines)
	// A job in the list takes under 1 KiB.
	if most := firstHeap + 8<<20 + uint64(n)<<10; lastHeap > most {
		t.Errorf("the heap grew from %d KiB to %d KiB", firstHeap>>10, lastHeap>>10)
	}
	if lastGoroutines > firstGoroutines+openPages {
		t.Errorf("goroutines grew from %d to %d", firstGoroutines, lastGoroutines)
	}
	cancel()
	open.Wait()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	natstest.Eventually(t, "the goroutines of closed pages to end", func() bool { return runtime.NumGoroutine() <= before+10 })
}

// follow is an open page: it asks for its view again each time that the receiver says that
// something has changed.
func (r *rig) follow(ctx context.Context, t *testing.T, path string, seen *atomic.Int64, told func()) {
	u, err := url.Parse(r.PrivateURL() + "/live")
	if err != nil {
		t.Error(err)
		return
	}
	q := (&http.Request{Method: http.MethodGet, URL: u, Header: http.Header{}}).WithContext(ctx)
	q.AddCookie(&http.Cookie{Name: "receiver-" + u.Port(), Value: r.tokens["operator"]})
	answer, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		t.Error(err)
		told()
		return
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		switch {
		case strings.HasPrefix(lines.Text(), "retry:"):
			told()
		case lines.Text() == "event: changed":
			r.view(t, path)
			seen.Add(1)
		}
	}
}

// settled is the memory that is in use, and how many goroutines there are.
func settled() (heap uint64, goroutines int) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, runtime.NumGoroutine()
}
