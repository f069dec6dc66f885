package submission_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"receiver/internal/job"
	"receiver/internal/submission"
)

// pass lets time pass in a bubble.
func pass(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // in a synctest bubble

// shelf is a Store in memory.
type shelf struct {
	mu      sync.Mutex
	records map[string]job.Submission
	last    uint64
	fails   error
	slow    func(job.Submission) // is called before a record is stored
}

func (s *shelf) SubmissionNamed(_ context.Context, source, name string) (job.Submission, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.records[source+"."+name]
	return r, ok, s.fails
}

func (s *shelf) PutSubmission(_ context.Context, r job.Submission) (uint64, bool, error) {
	if s.slow != nil {
		s.slow(r)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := r.Source + "." + r.Name
	if s.fails != nil || s.records[at].Sequence != r.Sequence {
		return 0, false, s.fails
	}
	s.last++
	r.Sequence = s.last
	s.records[at] = r
	return s.last, true, nil
}

// only returns the only record.
func (s *shelf) only(t *testing.T) job.Submission {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.records) != 1 {
		t.Fatalf("there are %d records, want one", len(s.records))
	}
	for _, r := range s.records {
		return r
	}
	return job.Submission{}
}

// made is a job at the platform.
type made struct{ source, submission, id string }

// platform makes a job of each request whose body comes to its end.
type platform struct {
	mu       sync.Mutex
	jobs     []made
	recorded []string
	hidden   bool  // it does not list its jobs
	blind    error // of Find
	answer   error // instead of the answer, after the job is made
	refuses  error // before it is made
	reached  func()
}

func (p *platform) Submit(ctx context.Context, q submission.Request, name string) (job.Event, error) {
	if p.refuses != nil {
		return job.Event{}, p.refuses
	}
	if p.reached != nil {
		p.reached()
	}
	if q.Body != nil {
		if _, err := io.Copy(io.Discard, q.Body); err != nil {
			return job.Event{}, fmt.Errorf("%w: %w", submission.ErrMayExist, err)
		}
	}
	if ctx.Err() != nil {
		return job.Event{}, fmt.Errorf("%w: %w", submission.ErrMayExist, ctx.Err())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	id := fmt.Sprint("job-", len(p.jobs)+1)
	p.jobs = append(p.jobs, made{q.Source, name, id})
	return event(id), p.answer
}

// set changes how the platform is.
func (p *platform) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func event(id string) job.Event {
	return job.Event{Kind: job.Submitted, Source: "crm", Job: job.View{ID: id}}
}

func (p *platform) Find(_ context.Context, r job.Submission) (*job.Event, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.jobs, func(m made) bool { return m.source == r.Source && m.submission == r.Name })
	if i < 0 || p.hidden || p.blind != nil {
		return nil, p.blind
	}
	e := event(p.jobs[i].id)
	return &e, nil
}

func (p *platform) Record(_ context.Context, e job.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.recorded = append(p.recorded, e.Job.ID)
	return nil
}

type rig struct {
	*submission.Submitter
	*shelf
	*platform
}

func open() *rig {
	r := &rig{shelf: &shelf{records: map[string]job.Submission{}}, platform: &platform{}}
	r.Submitter = &submission.Submitter{Store: r.shelf, Platform: r.platform}
	return r
}

// again is another process with the same store and platform.
func (r *rig) again() *rig {
	return &rig{&submission.Submitter{Store: r.shelf, Platform: r.platform}, r.shelf, r.platform}
}

func request(body string) submission.Request {
	return submission.Request{Source: "crm", Key: "order-7", Direction: "UPLOAD", Object: "contact", FileName: "a.csv", Body: strings.NewReader(body), Size: int64(len(body))}
}

func TestARepeatedRequestMakesOneJob(t *testing.T) {
	t.Parallel()
	r := open()
	first, err := r.Submitter.Submit(t.Context(), request("a,b\n"))
	if err != nil || first.State != job.SubmissionSubmitted || first.Job != "job-1" {
		t.Fatalf("Submit = %+v, %v", first, err)
	}
	other := request("a,b\n")
	other.Object = "account"
	unnamed := request("a,b\n")
	unnamed.Key = ""
	elsewhere := request("a,b\n")
	elsewhere.Source = "erp"
	for _, tt := range []struct {
		name string
		q    submission.Request
		job  string
		err  error
	}{
		{"the same", request("a,b\n"), "job-1", nil},
		{"another body", request("a,c\n"), "", submission.ErrReused},
		{"the beginning of the body", request("a,b"), "", submission.ErrReused},
		{"another object", other, "", submission.ErrReused},
		{"without a key", unnamed, "job-2", nil},
		{"another source", elsewhere, "job-3", nil},
	} {
		got, err := r.again().Submitter.Submit(t.Context(), tt.q)
		if !errors.Is(err, tt.err) || tt.err == nil && got.Job != tt.job {
			t.Errorf("%s: %+v, %v, want %s, %v", tt.name, got, err, tt.job, tt.err)
		}
	}
	if len(r.jobs) != 3 || len(r.recorded) != 3 {
		t.Errorf("the platform has %d jobs, and %d events were recorded, want 3", len(r.jobs), len(r.recorded))
	}
}

// While a request is sent, a repeat is refused, whatever the time; two at once make one job.
func TestTwoRequestsAtOnceMakeOneJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open()
		r.reached = func() { pass(5 * time.Minute) }
		got := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := r.again().Submitter.Submit(t.Context(), request("a"))
				got <- err
			}()
		}
		if err := <-got; !errors.Is(err, submission.ErrBusy) {
			t.Errorf("the second = %v, want ErrBusy", err)
		}
		pass(4 * time.Minute)
		if _, err := r.again().Submitter.Submit(t.Context(), request("a")); !errors.Is(err, submission.ErrBusy) {
			t.Errorf("a repeat after minutes = %v, want ErrBusy", err)
		}
		if err := <-got; err != nil || len(r.jobs) != 1 {
			t.Errorf("the first = %v, with %d jobs", err, len(r.jobs))
		}
	})
}

// A process dies at each step of a request. A repeat finds out what became of it.
func TestARequestOfAProcessThatDied(t *testing.T) {
	for _, tt := range []struct {
		name     string
		whole    bool   // the body was read to its end
		made     bool   // the platform made a job
		hidden   bool   // and does not list it yet
		blind    error  // of asking the platform
		first    string // what a repeat gets after the lease
		jobs     int
		last     job.SubmissionState // after a quarter of an hour more
		lastJobs int
	}{
		{"before the end of the body", false, false, false, nil, "job-1", 1, job.SubmissionSubmitted, 1},
		{"before the end, and nothing can be found", false, false, false, submission.ErrCannotFind, "job-1", 1, job.SubmissionSubmitted, 1},
		{"before the end, and the platform is away", false, false, false, errors.New("away"), "", 0, job.SubmissionUnknown, 0},
		{"after the end, no job", true, false, false, nil, "", 0, job.SubmissionSubmitted, 1},
		{"after the end, a job", true, true, false, nil, "job-1", 1, job.SubmissionSubmitted, 1},
		{"after the end, a job that is not listed", true, true, true, nil, "", 1, job.SubmissionSubmitted, 2},
		{"after the end, and the platform is away", true, true, false, errors.New("away"), "", 1, job.SubmissionUnknown, 1},
		{"after the end, and nothing can be found", true, true, false, submission.ErrCannotFind, "", 1, job.SubmissionUnknown, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := open()
				dead := make(chan struct{})
				q := request("a")
				q.Body = io.MultiReader(strings.NewReader("a"), iotest.ErrReader(io.EOF))
				died := &mortal{shelf: r.shelf, dies: func(s job.Submission) bool { return !tt.whole || s.Whole }}
				_ = dead
				_, _ = (&submission.Submitter{Store: died, Platform: &grave{}}).Submit(t.Context(), q)
				record := r.only(t)
				if record.State != job.SubmissionPending || record.Whole != tt.whole {
					t.Fatalf("it left %+v", record)
				}
				if tt.made {
					r.jobs = append(r.jobs, made{record.Source, record.Name, "job-1"})
				}
				r.hidden, r.blind = tt.hidden, tt.blind
				other := r.again()
				if _, err := other.Submitter.Submit(t.Context(), request("a")); !errors.Is(err, submission.ErrBusy) {
					t.Errorf("during the lease = %v, want ErrBusy", err)
				}
				pass(time.Minute)
				got, err := other.Submitter.Submit(t.Context(), request("a"))
				if err != nil || got.Job != tt.first || (got.State == job.SubmissionUnknown) != (tt.first == "") || len(r.jobs) != tt.jobs {
					t.Errorf("after the lease: %+v, %v, and %d jobs, want %q, %d", got, err, len(r.jobs), tt.first, tt.jobs)
				}
				pass(15 * time.Minute)
				got, err = other.Submitter.Submit(t.Context(), request("a"))
				if err != nil || got.State != tt.last || len(r.jobs) != tt.lastJobs {
					t.Errorf("at last: %+v, %v, and %d jobs, want %s, %d", got, err, len(r.jobs), tt.last, tt.lastJobs)
				}
			})
		})
	}
}

// mortal is a Store of a process that dies: from a record on, nothing is stored any more.
type mortal struct {
	*shelf
	dies func(job.Submission) bool
	dead bool
}

func (m *mortal) PutSubmission(ctx context.Context, r job.Submission) (uint64, bool, error) {
	if m.dead {
		return 0, false, errors.New("the process is dead")
	}
	sequence, stored, err := m.shelf.PutSubmission(ctx, r)
	m.dead = m.dies(r)
	return sequence, stored, err
}

// grave is the platform of a dead process: it makes no job.
type grave struct{}

func (grave) Submit(_ context.Context, q submission.Request, _ string) (job.Event, error) {
	_, err := io.Copy(io.Discard, q.Body)
	return job.Event{}, errors.Join(submission.ErrMayExist, err)
}

func (grave) Find(context.Context, job.Submission) (*job.Event, error) {
	return nil, errors.New("the process is dead")
}

func (grave) Record(context.Context, job.Event) error { return errors.New("the process is dead") }

func TestAnswersOfThePlatform(t *testing.T) {
	refused := errors.New("400: no such object")
	lost := fmt.Errorf("%w: connection reset", submission.ErrMayExist)
	for _, tt := range []struct {
		name    string
		refuses error
		answer  error
		body    io.Reader
		hidden  bool
		state   job.SubmissionState
		err     error
		jobs    int
	}{
		{"refused", refused, nil, nil, false, job.SubmissionFailed, refused, 0},
		{"lost", nil, lost, nil, false, job.SubmissionUnknown, nil, 1},
		{"a body that breaks", nil, nil, iotest.ErrReader(io.ErrUnexpectedEOF), false, job.SubmissionFailed, io.ErrUnexpectedEOF, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := open()
				r.refuses, r.answer, r.hidden = tt.refuses, tt.answer, tt.hidden
				q := request("a")
				if tt.body != nil {
					q.Body = tt.body
				}
				got, err := r.Submitter.Submit(t.Context(), q)
				if !errors.Is(err, tt.err) || got.State != tt.state || len(r.jobs) != tt.jobs {
					t.Errorf("Submit = %+v, %v, and %d jobs, want %s, %v, %d", got, err, len(r.jobs), tt.state, tt.err, tt.jobs)
				}
				// A repeat submits what failed, and adopts what was made.
				r.refuses, r.answer = nil, nil
				pass(time.Minute)
				got, err = r.again().Submitter.Submit(t.Context(), request("a"))
				if err != nil || got.State != job.SubmissionSubmitted || len(r.jobs) != 1 || len(r.recorded) != 1 {
					t.Errorf("the repeat = %+v, %v, with %d jobs", got, err, len(r.jobs))
				}
			})
		})
	}
}

// The platform is not asked again at each repeat.
func TestThePlatformIsNotAskedAtEachRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open()
		r.answer = fmt.Errorf("%w: connection reset", submission.ErrMayExist)
		if _, err := r.Submitter.Submit(t.Context(), request("a")); err != nil {
			t.Fatal(err)
		}
		r.hidden = true
		if got, err := r.Submitter.Submit(t.Context(), request("a")); err != nil || got.State != job.SubmissionUnknown {
			t.Fatalf("Submit = %+v, %v", got, err)
		}
		r.hidden = false
		if got, _ := r.Submitter.Submit(t.Context(), request("a")); got.State != job.SubmissionUnknown {
			t.Errorf("it was asked again at once: %+v", got)
		}
		pass(2 * time.Second)
		if got, _ := r.Submitter.Submit(t.Context(), request("a")); got.State != job.SubmissionSubmitted {
			t.Errorf("it was not asked again: %+v", got)
		}
	})
}

// A process that was held up for minutes, and has lost its submission, makes no job.
func TestAProcessThatWasHeldUpMakesNoJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open()
		q := request("a")
		slow, w := io.Pipe()
		q.Body = slow
		held := &heldUp{shelf: r.shelf}
		got := make(chan error)
		go func() {
			_, err := (&submission.Submitter{Store: held, Platform: r.platform}).Submit(t.Context(), q)
			got <- err
		}()
		_, _ = w.Write([]byte("a"))
		synctest.Wait()
		held.now.Store(true) // its renewals do not reach the store
		pass(time.Minute)
		if again, err := r.again().Submitter.Submit(t.Context(), request("a")); err != nil || again.State != job.SubmissionSubmitted {
			t.Fatalf("the other process = %+v, %v", again, err)
		}
		held.now.Store(false)
		_ = w.Close()
		if err := <-got; err == nil || len(r.jobs) != 1 {
			t.Errorf("the first process = %v, and %d jobs, want an error and one", err, len(r.jobs))
		}
	})
}

// A process that learns of a job records it, though its record was taken meanwhile: by another one
// that found no job, or by a client that emptied the stream.
func TestAJobThatIsKnownIsRecorded(t *testing.T) {
	for name, taken := range map[string]func(*testing.T, *rig){
		"by one that found none": func(t *testing.T, r *rig) {
			other := r.again()
			for range 5 {
				pass(time.Minute)
				_, _ = other.Submitter.Resolve(t.Context(), r.only(t))
			}
			if is := r.only(t); is.State != job.SubmissionFailed {
				t.Fatalf("it is %s, want failed", is.State)
			}
		},
		"by who emptied the stream": func(_ *testing.T, r *rig) {
			r.shelf.mu.Lock()
			defer r.shelf.mu.Unlock()
			clear(r.records)
		},
	} {
		for want, answer := range map[job.SubmissionState]error{
			job.SubmissionSubmitted: nil, job.SubmissionUnknown: fmt.Errorf("%w: connection reset", submission.ErrMayExist),
		} {
			t.Run(name+" "+string(want), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := open()
					r.answer = answer
					held := &heldUp{shelf: r.shelf}
					slow := &answering{platform: r.platform, told: make(chan struct{}), whole: true}
					got := make(chan job.Submission)
					go func() {
						is, _ := (&submission.Submitter{Store: held, Platform: slow}).Submit(t.Context(), request("a"))
						got <- is
					}()
					synctest.Wait()
					held.now.Store(true) // its renewals do not reach the store
					taken(t, r)
					held.now.Store(false)
					pass(time.Minute) // it hears that its record was taken
					close(slow.told)
					if is := <-got; is.State != want {
						t.Errorf("the process says %+v, want %s", is, want)
					}
					pass(2 * time.Second)
					again, err := r.again().Submitter.Submit(t.Context(), request("a"))
					if err != nil || again.Job != "job-1" || len(r.jobs) != 1 {
						t.Errorf("a repeat = %+v, %v, and %d jobs, want job-1 alone", again, err, len(r.jobs))
					}
				})
			})
		}
	}
}

// A platform may answer before it has read the whole file, while a Read of that is under way.
func TestAnAnswerBeforeTheEndOfTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open()
		early := &answering{platform: r.platform, told: make(chan struct{})}
		slow, w := io.Pipe()
		q := request("a")
		q.Body = slow
		r.shelf.slow = func(s job.Submission) {
			if s.State == job.SubmissionSubmitted && s.Sequence < 3 {
				_ = w.Close() // the rest of the file comes when the answer is there
				synctest.Wait()
			}
		}
		got := make(chan job.Submission)
		go func() {
			is, _ := (&submission.Submitter{Store: r.shelf, Platform: early}).Submit(t.Context(), q)
			got <- is
		}()
		_, _ = w.Write([]byte("a"))
		close(early.told)
		if is := <-got; is.State != job.SubmissionSubmitted || is.Job != "job-1" {
			t.Errorf("Submit = %+v, want job-1", is)
		}
		synctest.Wait()
		if is := r.only(t); is.State != job.SubmissionSubmitted {
			t.Errorf("the record is %+v, want submitted", is)
		}
	})
}

// answering is a platform that answers at a signal, after the whole file or meanwhile.
type answering struct {
	*platform
	told  chan struct{}
	whole bool
}

func (a *answering) Submit(ctx context.Context, q submission.Request, name string) (job.Event, error) {
	read, file := make(chan struct{}), q.Body
	go func() { defer close(read); _, _ = io.Copy(io.Discard, file) }()
	if a.whole {
		<-read
	}
	<-a.told
	q.Body = nil
	return a.platform.Submit(ctx, q, name)
}

// A renewal that is stored, and whose acknowledgement is lost, does not end a long upload.
func TestALostAcknowledgementDoesNotEndAnUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open()
		slow, w := io.Pipe()
		q := request("a")
		q.Body = slow
		deaf := &deaf{shelf: r.shelf}
		got := make(chan error)
		go func() {
			_, err := (&submission.Submitter{Store: deaf, Platform: r.platform}).Submit(t.Context(), q)
			got <- err
		}()
		_, _ = w.Write([]byte("a"))
		synctest.Wait()
		deaf.now.Store(true)
		pass(11 * time.Second)
		deaf.now.Store(false)
		pass(10 * time.Second)
		_ = w.Close()
		if err := <-got; err != nil || len(r.jobs) != 1 {
			t.Errorf("Submit = %v, and %d jobs, want one", err, len(r.jobs))
		}
	})
}

// deaf is a Store whose acknowledgements are lost for a while.
type deaf struct {
	*shelf
	now atomic.Bool
}

func (d *deaf) PutSubmission(ctx context.Context, r job.Submission) (uint64, bool, error) {
	sequence, stored, err := d.shelf.PutSubmission(ctx, r)
	if d.now.Load() {
		return 0, false, errors.New("no acknowledgement")
	}
	return sequence, stored, err
}

// heldUp is a Store that is out of reach for a while.
type heldUp struct {
	*shelf
	now atomic.Bool
}

func (h *heldUp) PutSubmission(ctx context.Context, r job.Submission) (uint64, bool, error) {
	if h.now.Load() {
		return 0, false, errors.New("out of reach")
	}
	return h.shelf.PutSubmission(ctx, r)
}

func TestRequestsWithoutABody(t *testing.T) {
	t.Parallel()
	r := open()
	q := submission.Request{Source: "crm", Key: "k", Direction: "DOWNLOAD", Gather: "select * from contact"}
	for range 2 {
		if got, err := r.again().Submitter.Submit(t.Context(), q); err != nil || got.Job != "job-1" {
			t.Errorf("Submit = %+v, %v", got, err)
		}
	}
	q.Gather = "select * from account"
	if _, err := r.Submitter.Submit(t.Context(), q); !errors.Is(err, submission.ErrReused) {
		t.Errorf("another query = %v, want ErrReused", err)
	}
	r.fails = errors.New("NATS is away")
	if _, err := r.Submitter.Submit(t.Context(), q); !errors.Is(err, r.fails) {
		t.Errorf("without a store = %v, want its error", err)
	}
}

// Nobody needs to ask for what was left open: the request of a process that died, or an answer
// that was lost. It is settled once the platform lists the job, or has had the time to.
func TestOpenSubmissionsAreAdopted(t *testing.T) {
	for _, tt := range []struct {
		name   string
		hidden time.Duration // the platform does not list its job for so long; all the time if negative
		blind  time.Duration // the platform is away for so long
		lease  time.Duration // the record is pending, and its process has died
		want   job.SubmissionState
		within time.Duration
	}{
		{"an answer that was lost", 0, 0, 0, job.SubmissionSubmitted, 15 * time.Second},
		{"a process that died", 0, 0, 30 * time.Second, job.SubmissionSubmitted, 45 * time.Second},
		{"a job that is listed later", time.Minute, 0, 0, job.SubmissionSubmitted, 90 * time.Second},
		{"no job", -1, 0, 0, job.SubmissionFailed, 4 * time.Minute},
		{"a platform that is away", 0, time.Hour, 0, job.SubmissionSubmitted, 66 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := open()
				record := job.Submission{Source: "crm", Name: "S", State: job.SubmissionUnknown, Whole: true, Begun: time.Now().UTC(), Changed: time.Now().UTC()}
				if tt.lease > 0 {
					record.State, record.Lease = job.SubmissionPending, time.Now().UTC().Add(tt.lease)
				}
				record.Sequence, _, _ = r.PutSubmission(t.Context(), record)
				settled := job.Submission{Source: "crm", Name: "T", State: job.SubmissionFailed}
				settled.Sequence, _, _ = r.PutSubmission(t.Context(), settled)
				r.jobs = append(r.jobs, made{"crm", "S", "job-1"})
				r.set(func() {
					r.hidden = tt.hidden != 0
					if tt.blind > 0 {
						r.blind = errors.New("away")
					}
				})
				time.AfterFunc(max(tt.hidden, tt.blind, 0), func() { r.set(func() { r.hidden, r.blind = tt.hidden < 0, nil }) })
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan struct{})
				follow := func(ctx context.Context, yield func(job.Submission)) error {
					yield(record)
					yield(settled)
					<-ctx.Done()
					return ctx.Err()
				}
				go func() { defer close(ended); r.Submitter.Adopt(ctx, follow, func(error) {}) }()
				pass(tt.within)
				synctest.Wait()
				if got := r.records["crm.S"]; got.State != tt.want || (got.Job == "job-1") != (tt.want == job.SubmissionSubmitted) {
					t.Errorf("after %v: %+v, want %s", tt.within, got, tt.want)
				}
				if n := len(r.recorded); (n == 1) != (tt.want == job.SubmissionSubmitted) {
					t.Errorf("%d submitted events were recorded", n)
				}
				cancel()
				<-ended
			})
		})
	}
}

// A platform that does not answer delays only what was submitted to it.
func TestASlowPlatformDoesNotDelayOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open()
		var all []job.Submission
		for _, source := range []string{"slow", "crm"} {
			record := job.Submission{Source: source, Name: "S", State: job.SubmissionUnknown, Whole: true, Begun: time.Now().UTC(), Changed: time.Now().UTC()}
			record.Sequence, _, _ = r.PutSubmission(t.Context(), record)
			r.jobs = append(r.jobs, made{source, "S", "job-1"})
			all = append(all, record)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		follow := func(ctx context.Context, yield func(job.Submission)) error {
			for _, record := range all {
				yield(record)
			}
			<-ctx.Done()
			return ctx.Err()
		}
		s := &submission.Submitter{Store: r.shelf, Platform: silent{r.platform}}
		go func() { defer close(ended); s.Adopt(ctx, follow, func(error) {}) }()
		pass(15 * time.Second)
		if got, _, _ := r.SubmissionNamed(t.Context(), "crm", "S"); got.State != job.SubmissionSubmitted {
			t.Errorf("the submission of another source is %s, want submitted", got.State)
		}
		cancel()
		<-ended
	})
}

// silent is a platform that does not answer for the source slow.
type silent struct{ *platform }

func (s silent) Find(ctx context.Context, r job.Submission) (*job.Event, error) {
	if r.Source == "slow" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.platform.Find(ctx, r)
}

// A platform that answers before the end of the file, and does not say whether it made a job, may
// have made one, though its list does not have it yet.
func TestAnAnswerThatSaysNothingIsNotANo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open()
		r.hidden = true
		r.refuses = fmt.Errorf("%w, %w: 500", submission.ErrMayExist, submission.ErrAnswered)
		got, err := r.Submitter.Submit(t.Context(), request("a"))
		if err != nil || got.State != job.SubmissionUnknown || got.Whole {
			t.Fatalf("Submit = %+v, %v, want unknown", got, err)
		}
		r.jobs = append(r.jobs, made{"crm", got.Name, "job-1"})
		pass(time.Minute)
		if again, err := r.Submitter.Submit(t.Context(), request("a")); err != nil || again.State != job.SubmissionUnknown {
			t.Errorf("a repeat while it is not listed = %+v, %v, want unknown", again, err)
		}
		r.hidden, r.refuses = false, nil
		pass(time.Minute)
		if again, err := r.Submitter.Submit(t.Context(), request("a")); err != nil || again.Job != "job-1" || len(r.jobs) != 1 {
			t.Errorf("a repeat when it is listed = %+v, %v, and %d jobs, want job-1 alone", again, err, len(r.jobs))
		}
	})
}

// A replica whose clock is ahead does not settle the question of another one early.
func TestTheClockOfAnotherReplicaSettlesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := open()
		r.hidden = true
		record := job.Submission{Source: "crm", Name: "S", State: job.SubmissionUnknown, Whole: true, Begun: time.Now().Add(-time.Hour), Changed: time.Now().Add(-time.Hour)}
		record.Sequence, _, _ = r.PutSubmission(t.Context(), record)
		for _, tt := range []struct {
			after time.Duration
			want  job.SubmissionState
		}{{0, job.SubmissionUnknown}, {time.Minute, job.SubmissionUnknown}, {2 * time.Minute, job.SubmissionFailed}} {
			pass(tt.after)
			if got, err := r.Submitter.Resolve(t.Context(), record); err != nil || got.State != tt.want {
				t.Errorf("after %v more: %+v, %v, want %s", tt.after, got, err, tt.want)
			}
		}
	})
}
