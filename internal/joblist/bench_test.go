package joblist_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/natstest"
	"receiver/internal/poll"
	"receiver/internal/publish"
)

// benchJobs is how many jobs the benchmarks are about: JOBLIST_JOBS, or few enough to be
// quick. The figures in docs/performance.md are of 1,000,000.
func benchJobs(b *testing.B) int {
	n, err := strconv.Atoi(os.Getenv("JOBLIST_JOBS"))
	if err != nil {
		return 10_000
	}
	b.Logf("%d jobs", n)
	return n
}

// BenchmarkProjectionMemory reports how many bytes of memory a job takes.
func BenchmarkProjectionMemory(b *testing.B) {
	jobs := benchJobs(b)
	for b.Loop() {
		before := heap()
		p := full(jobs)
		b.ReportMetric(float64(heap()-before)/float64(jobs), "B/job")
		runtime.KeepAlive(p)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// full is a projection of so many jobs, submitted and finished.
func full(jobs int) *joblist.Projection {
	p := joblist.NewProjection(joblist.Options{})
	for i := range jobs {
		id := fmt.Sprint(42_000_000 + i)
		seq := uint64(2*i + 1)
		p.Add([]job.Brief{
			brief(seq, "demo", id, job.Submitted, int64(i), "CREATED", "contact"),
			brief(seq+1, "demo", id, job.Finished, int64(i+1), []string{"COMPLETED", "ABORTED"}[i%100/99], ""),
		})
	}
	return p
}

func BenchmarkProjectionList(b *testing.B) {
	jobs := benchJobs(b)
	p := full(jobs)
	middle, err := p.List(joblist.Query{Sort: joblist.ByID, Limit: 1, Text: fmt.Sprint(42_000_000 + jobs/2)})
	if err != nil {
		b.Fatal(err)
	}
	for _, bm := range []struct {
		name  string
		query joblist.Query
	}{
		{"newest", joblist.Query{}},
		{"failed", joblist.Query{Results: []job.Result{job.Failed}}},
		{"none", joblist.Query{Source: "demo", States: []joblist.State{joblist.Lost}}},
		{"open-oldest", joblist.Query{States: joblist.Open, Reverse: true}},
		{"text", joblist.Query{Text: "no job has this"}},
		{"between", joblist.Query{Since: time.Unix(int64(jobs/2), 0), Until: time.Unix(int64(jobs/2+50), 0)}},
		{"by-id", joblist.Query{Sort: joblist.ByID}},
		{"by-id-reversed", joblist.Query{Sort: joblist.ByID, Reverse: true, Limit: joblist.MaxPage}},
		{"by-id-further", joblist.Query{Sort: joblist.ByID, Cursor: middle.Next}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := p.List(bm.query); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStream measures what is read from an embedded server: filling a projection
// with all jobs, starting with a snapshot of them, and showing one.
func BenchmarkStream(b *testing.B) {
	jobs := benchJobs(b)
	bus := stream(b, jobs)
	b.Run("fill", func(b *testing.B) {
		for b.Loop() {
			p := joblist.NewProjection(joblist.Options{Briefs: bus})
			if err := p.Fill(b.Context()); err != nil || p.Len() != jobs {
				b.Fatalf("Fill = %v, and %d jobs, want %d", err, p.Len(), jobs)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(jobs), "ns/job")
	})
	b.Run("start", func(b *testing.B) {
		saveOnce(b, bus)
		for b.Loop() {
			p := joblist.NewProjection(joblist.Options{Briefs: bus, Snapshots: bus})
			if err := p.Fill(b.Context()); err != nil || p.Len() != jobs {
				b.Fatalf("Fill = %v, and %d jobs, want %d", err, p.Len(), jobs)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(jobs), "ns/job")
	})
	b.Run("show", func(b *testing.B) {
		i := 0
		for b.Loop() {
			i = (i + 7919) % jobs
			j, err := poll.Show(b.Context(), bus, bus, "demo", fmt.Sprint(42_000_000+i))
			if err != nil || j.State != joblist.Finished {
				b.Fatalf("Show = %+v, %v", j, err)
			}
		}
	})
}

// saveOnce has a projection of the whole stream write a snapshot.
func saveOnce(b *testing.B, bus *publish.Store) {
	b.Helper()
	first := firstSnapshot{bus, make(chan struct{})}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		joblist.NewSaving(joblist.Options{Briefs: bus, Snapshots: first}).Run(ctx)
	}()
	<-first.saved
	cancel()
	<-done
}

// firstSnapshot has no snapshot yet.
type firstSnapshot struct {
	*publish.Store
	saved chan struct{}
}

func (firstSnapshot) Snapshot(context.Context) ([]byte, error) { return nil, nil }

func (f firstSnapshot) SaveSnapshot(ctx context.Context, data io.Reader) error {
	defer close(f.saved)
	return f.Store.SaveSnapshot(ctx, data)
}

// stream is an embedded server with so many jobs, submitted and finished. It is kept in
// the folder JOBLIST_FOLDER, if that is set, for the next run.
func stream(b *testing.B, jobs int) *publish.Store {
	b.Helper()
	folder := os.Getenv("JOBLIST_FOLDER")
	if folder == "" {
		folder = b.TempDir()
	}
	bus := natstest.Open(b, natstest.Start(b, folder))
	if there, err := bus.Has(b.Context(), "demo", fmt.Sprint(42_000_000+jobs-1), job.Finished); err != nil || there {
		return bus
	}
	const writers = 64
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := w; i < jobs; i += writers {
				id := fmt.Sprint(42_000_000 + i)
				f := natstest.Called(job.Finished, id, "COMPLETED")
				f.Data = []byte(`{"id":"` + id + `","status":"COMPLETED","recordsCount":2,"recordsFailedCount":1,"instanceId":425904,` +
					`"object_name":"contact","job_direction":"UPLOAD","fileFormat":"csv"}`)
				var err error
				if f.Job, err = job.Read(f.Data); err != nil {
					b.Error(err)
				}
				f.Receipt.Signature = "sha256=jHdbRx5EZAsOfTwAPJOGkNUzQMVVdu5VJlxcsk+G6jQ="
				f.Receipt.Fingerprint, f.Receipt.Request = "sha256:0a1b2c3d", `{"Content-Type":["application/json"],"Host":["receiver.example.com"],`+
					`"User-Agent":["platform/1"],"Elements-Webhook-Signature":["sha256=jHdbRx5EZAsOfTwAPJOGkNUzQMVVdu5VJlxcsk+G6jQ="]}`
				natstest.Store(b, bus, natstest.Event(job.Submitted, id, "CREATED"))
				natstest.Store(b, bus, f)
			}
		})
	}
	wg.Wait()
	return bus
}
