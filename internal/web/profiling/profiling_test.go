package profiling_test

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/access"
	"receiver/internal/metrics"
	"receiver/internal/natstest"
	"receiver/internal/web"
	"receiver/internal/web/profiling"
)

// rig is a private listener with one token for each scope.
type rig struct {
	url    string
	tokens map[access.Scope]string
	set    *access.Set
	log    *natstest.Logs
}

// open serves a private listener, whose answers must be written within twice the timeout if they do
// not move their deadline.
func open(t *testing.T, p profiling.Profiler, timeout time.Duration) *rig {
	t.Helper()
	r := &rig{tokens: map[access.Scope]string{}, set: access.NewSet("", 100_000, time.Now), log: &natstest.Logs{}}
	var all []access.Token
	for _, s := range access.Scopes {
		secret, token, err := access.New("of-"+string(s), []access.Scope{s}, time.Now(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		r.tokens[s], all = secret, append(all, token)
	}
	r.set.Replace(all, true)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := web.NewPrivate(web.Private{Access: r.set, Metrics: metrics.New(nil), Profiles: p, Log: r.log.Logger()})
	srv := web.NewServer(h, web.Limits{Header: 16 << 10, ReadHeader: time.Minute, Read: timeout, Write: timeout, Idle: time.Minute}, nil)
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve = %v", err)
		}
	})
	r.url = "http://" + ln.Addr().String() + "/debug/pprof/"
	return r
}

// get asks for a profile with the token of a scope, or with none.
func (r *rig) get(ctx context.Context, what string, scope access.Scope) (int, http.Header, string, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+what, nil)
	if err != nil {
		return 0, nil, "", err
	}
	if scope != "" {
		q.Header.Set("Authorization", "Bearer "+r.tokens[scope])
	}
	res, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		return 0, nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, res.Header, string(body), err
}

// must is get for a request that is answered.
func (r *rig) must(t *testing.T, what string, scope access.Scope) (int, http.Header, string) {
	t.Helper()
	code, header, body, err := r.get(t.Context(), what, scope)
	if err != nil {
		t.Fatalf("GET %s: %v", what, err)
	}
	return code, header, body
}

// unzip returns what a profile contains: it is a compressed protocol buffer.
func unzip(t *testing.T, profile string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(profile))
	if err != nil {
		t.Fatalf("the profile is not compressed: %v", err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestProfilesNeedTheSettingAndTheScope(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{false, true} {
		r := open(t, profiling.Profiler{On: on}, time.Minute)
		for _, what := range []string{"heap", "profile?seconds=1", "cmdline", "", "heap?debug=1"} {
			for scope, want := range map[access.Scope]int{"": 401, access.Read: 403, access.Submit: 403, access.Audit: 403} {
				if what == "" && want == 403 {
					want = 404 // it is no operation
				}
				if code, _, body := r.must(t, what, scope); code != want {
					t.Errorf("on=%v: GET %q with the scope %q = %d %s, want %d", on, what, scope, code, body, want)
				}
			}
		}
		want := 404
		if on {
			want = 200
		}
		if code, _, body := r.must(t, "heap", access.Admin); code != want {
			t.Errorf("on=%v: GET heap with the scope admin = %d %s, want %d", on, code, body, want)
		}
		if logged := strings.Contains(r.log.String(), "a client takes a profile"); logged != on {
			t.Errorf("on=%v: logged a profile: %v", on, logged)
		}
	}
}

func TestProfilesOfOneMoment(t *testing.T) {
	t.Parallel()
	r := open(t, profiling.Profiler{On: true}, time.Minute)
	for what, want := range map[string]string{
		"allocs": "alloc_space", "goroutine": "goroutine", "heap": "inuse_space", "threadcreate": "threadcreate",
	} {
		code, header, body := r.must(t, what, access.Admin)
		if code != 200 || header.Get("Content-Type") != "application/octet-stream" || !strings.Contains(unzip(t, body), want) {
			t.Errorf("GET %s = %d %v, want a profile with %s", what, code, header, want)
		}
	}
	if code, header, body := r.must(t, "goroutine?debug=2", access.Admin); code != 200 ||
		!strings.HasPrefix(header.Get("Content-Type"), "text/plain") || !strings.Contains(body, "TestProfilesOfOneMoment") {
		t.Errorf("GET goroutine?debug=2 = %d %v, want the text of all goroutines", code, header)
	}
	if log := r.log.String(); !strings.Contains(log, `"operator":"token of-admin","profile":"heap"`) {
		t.Errorf("the log does not say whose token took the profile:\n%s", log)
	}
}

func TestOnlyWhatIsKnownIsAnswered(t *testing.T) {
	t.Parallel()
	r := open(t, profiling.Profiler{On: true}, time.Minute)
	for what, want := range map[string]int{
		"cmdline": 404, "symbol": 404, "trace": 404, "block": 404, "mutex": 404, "nothing": 404, "heap/heap": 404,
		"profile?seconds=0": 400, "profile?seconds=61": 400, "profile?seconds=-1": 400, "profile?seconds=1.5": 400, "profile?seconds=": 400,
		"profile?seconds=99999999999999999999": 400, "profile?seconds=1&seconds=1": 400, "profile?debug=1": 400,
		"heap?seconds=1": 400, "heap?gc=1": 400, "heap?debug=3": 400, "heap?debug=-1": 400,
	} {
		if code, _, body := r.must(t, what, access.Admin); code != want {
			t.Errorf("GET %s = %d %s, want %d", what, code, body, want)
		}
	}
}

// A CPU profile takes longer than the timeouts of the listener, and one is taken at a time. It is
// the only test that takes any, because there is one at a time in a process.
func TestProfilesOfTheCPU(t *testing.T) {
	t.Parallel()
	stopping, stop := context.WithCancel(t.Context())
	r := open(t, profiling.Profiler{On: true, Stopping: stopping}, time.Second/2)
	code, _, body := r.must(t, "profile?seconds=2", access.Admin)
	if code != 200 || !strings.Contains(unzip(t, body), "nanoseconds") {
		t.Fatalf("GET profile = %d, want a profile of two seconds", code)
	}
	for _, end := range []struct {
		by string
		do func(disconnect context.CancelFunc)
	}{
		{"a client that disconnects", func(disconnect context.CancelFunc) { disconnect() }},
		{"the end of its token", func(context.CancelFunc) { r.set.Replace(r.only(t, access.Read), true) }},
		{"the end of the listener", func(context.CancelFunc) { stop() }},
	} {
		ctx, disconnect := context.WithCancel(t.Context())
		began := strings.Count(r.log.String(), `"seconds":60`)
		type answer struct {
			code int
			body string
			err  error
		}
		answered := make(chan answer, 1)
		go func() {
			a := answer{code: 429} // until the profile before has ended
			for a.code == 429 {
				a.code, _, a.body, a.err = r.get(ctx, "profile?seconds=60", access.Admin)
			}
			answered <- a
		}()
		until(t, func() bool { return strings.Count(r.log.String(), `"seconds":60`) > began })
		if code, header, body := r.must(t, "profile?seconds=1", access.Admin); code != 429 || header.Get("Retry-After") == "" {
			t.Errorf("a second CPU profile = %d %s, want 429 and Retry-After", code, body)
		}
		if code, _, _ := r.must(t, "heap", access.Admin); code != 200 {
			t.Errorf("GET heap during a CPU profile = %d, want 200", code)
		}
		end.do(disconnect)
		if a := <-answered; a.err == nil && a.code != 503 {
			t.Errorf("ended by %s: %d %s, want 503", end.by, a.code, a.body)
		}
		disconnect()
		r.set.Replace(r.only(t, access.Scopes...), true)
	}
}

// only returns the tokens of some scopes, new ones for those that are needed again.
func (r *rig) only(t *testing.T, scopes ...access.Scope) (all []access.Token) {
	t.Helper()
	for _, s := range scopes {
		secret, token, err := access.New("of-"+string(s), []access.Scope{s}, time.Now(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		r.tokens[s], all = secret, append(all, token)
	}
	return all
}

// until waits for a condition that another goroutine fulfils.
func until(t *testing.T, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen within 20 s")
		}
		select {
		case <-t.Context().Done():
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// The public listener has no such path, whatever is configured.
func TestThePublicListenerHasNoProfiles(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := web.NewServer(web.NewPublic(web.Public{Metrics: metrics.New(nil), Log: zerolog.Nop()}), web.Limits{Header: 16 << 10, Read: time.Minute}, nil)
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	r := &rig{url: "http://" + ln.Addr().String() + "/debug/pprof/"}
	for _, what := range []string{"heap", "profile?seconds=1", "goroutine?debug=2", ""} {
		if code, _, _ := r.must(t, what, ""); code != 404 {
			t.Errorf("GET %s at the public listener = %d, want 404", what, code)
		}
	}
}
