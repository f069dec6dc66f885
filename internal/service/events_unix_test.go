//go:build unix

package service_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/api/apitest"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/keyusage"
	"receiver/internal/natstest"
	"receiver/internal/service"
	"receiver/internal/verify"
)

// started starts a receiver.
func started(t *testing.T, cfg *config.Config) *service.Instance {
	t.Helper()
	in, err := service.Start(t.Context(), cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// follow reads the events behind a sequence until the stream ends, and returns the last id.
func follow(ctx context.Context, cfg *config.Config, last uint64, each func(api.Event)) (uint64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+cfg.Private.Address+"/v1/events?since=0&kind=finished", nil)
	if err != nil {
		return last, err
	}
	if last > 0 {
		r.Header.Set("Last-Event-ID", fmt.Sprint(last))
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return last, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return last, fmt.Errorf("GET /v1/events = %s", answer.Status)
	}
	lines, id := bufio.NewScanner(answer.Body), last
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			_, err = fmt.Sscan(value, &id)
		case "data":
			var e api.Event
			if err = json.Unmarshal([]byte(value), &e); err == nil {
				each(e)
			}
		}
		if lines.Text() == "" {
			last = id // what came before is whole
		}
		if err != nil {
			return last, err
		}
	}
	return last, nil
}

// call sends a callback to the source demo, and reports whether it is stored.
func call(ctx context.Context, in *service.Instance, cfg *config.Config, body string) bool {
	mac := hmac.New(sha256.New, cfg.Sources["demo"].SignatureKeys[0].Value.Bytes())
	mac.Write([]byte(body))
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, in.PublicURL()+"/callbacks/demo", strings.NewReader(body))
	if err != nil {
		return false
	}
	r.Header.Set(verify.Header, "sha256="+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
}

// A client that comes again with the id of its last event misses none and gets none twice, while
// the receiver restarts under events that are being stored. The receiver stops without waiting for
// such clients.
func TestEventsAcrossRestarts(t *testing.T) {
	t.Parallel()
	const jobs, restarts = 300, 3
	cfg := installed(t)
	var running atomic.Pointer[service.Instance]
	running.Store(started(t, cfg))
	defer func() { natstest.Must(t, running.Load().Stop()) }()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var next, seen atomic.Int64
	var publishing sync.WaitGroup
	for range 4 {
		publishing.Go(func() {
			for n := next.Add(1); n <= jobs && ctx.Err() == nil; n = next.Add(1) {
				for _, body := range []string{fmt.Sprintf(`{"id":"%d","status":"COMPLETED"}`, n), fmt.Sprintf("no job %d", n)} {
					for stored := false; !stored && ctx.Err() == nil; { // it comes again, as the platform's do
						stored = call(ctx, running.Load(), cfg, body)
					}
				}
			}
		})
	}
	reading := make(chan struct{})
	times := map[string]int{}
	go func() {
		var last uint64
		before := uint64(0)
		for seen.Load() < jobs && ctx.Err() == nil {
			whole, stop := context.WithCancel(ctx)
			last, _ = follow(whole, cfg, last, func(e api.Event) { // an error is what restarts are for
				if e.Sequence <= before {
					t.Errorf("sequence %d came after %d", e.Sequence, before)
				}
				before = e.Sequence
				times[e.Job.ID]++
				if seen.Add(1) == jobs {
					stop()
				}
			})
			stop()
		}
		close(reading)
	}()
	for i := 1; i <= restarts; i++ {
		natstest.Eventually(t, "some events to come", func() bool { return seen.Load() >= int64(i*jobs/(restarts+2)) })
		if err := running.Load().Stop(); err != nil {
			t.Errorf("Stop while a client follows the events = %v", err)
		}
		running.Store(started(t, cfg))
	}
	publishing.Wait()
	<-reading
	for n := range jobs {
		if got := times[fmt.Sprint(n+1)]; got != 1 {
			t.Errorf("the finished event of job %d came %d times, want once", n+1, got)
		}
	}
}

// The receiver waits for no request that waits, when it stops.
func TestWaitingRequestsEndWithTheReceiver(t *testing.T) {
	t.Parallel()
	cfg := installed(t)
	in := started(t, cfg)
	codes := make(chan int)
	var sent sync.WaitGroup
	for _, path := range []string{"/v1/jobs?wait=60s&state=lost", "/v1/sources/demo/jobs/none?wait=60s"} {
		sent.Add(1)
		trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { sent.Done() }}
		request, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), http.MethodGet, "http://"+cfg.Private.Address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				codes <- 0
				return
			}
			_ = answer.Body.Close()
			codes <- answer.StatusCode
		}()
	}
	sent.Wait()
	natstest.Eventually(t, "both to wait", func() bool {
		_, text := ask(t, cfg, "/metrics")
		return strings.Contains(text, `receiver_connections{listener="private"} 3`) // and the one that asks
	})
	if err := in.Stop(); err != nil {
		t.Errorf("Stop = %v, want it to end the requests", err)
	}
	for range 2 {
		if code := <-codes; code == 0 {
			t.Error("a request that waited got no answer")
		}
	}
}

// ask has the private listener answer, as the contract says.
func ask(t *testing.T, cfg *config.Config, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+cfg.Private.Address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	apitest.Check(t, r, nil, answer.StatusCode, answer.Header, body)
	return answer.StatusCode, string(body)
}

// A running receiver says of itself what the commands say of it, and no secret.
func TestAReceiverExaminesItself(t *testing.T) {
	t.Parallel()
	cfg := installed(t)
	in := started(t, cfg)
	defer func() { natstest.Must(t, in.Stop()) }()
	called := natstest.Called(job.Finished, "7", "COMPLETED")
	natstest.Store(t, in.Store(), called)
	var plan api.StreamsPlan
	var keys struct{ Keys []keyusage.Use }
	var found api.Diagnosis
	for path, into := range map[string]any{"/v1/streams": &plan, "/v1/keys": &keys, "/v1/doctor": &found} {
		code, text := ask(t, cfg, path)
		if err := json.Unmarshal([]byte(text), into); code != http.StatusOK || err != nil {
			t.Errorf("GET %s = %d %s, %v", path, code, text, err)
		}
		for name, s := range cfg.Sources {
			for _, secret := range []config.Secret{s.ElementToken, s.UserSecret, s.OrganizationSecret, s.SignatureKeys[0].Value, cfg.TokenSecret} {
				if !secret.Empty() && strings.Contains(text, secret.Reveal()) {
					t.Errorf("GET %s holds a secret of source %s", path, name)
				}
			}
		}
	}
	if len(plan.Streams) < 5 {
		t.Errorf("streams = %+v, want each with its changes", plan)
	}
	if len(keys.Keys) != 2 || keys.Keys[0].State != keyusage.Active || keys.Keys[1].State != keyusage.Removed || keys.Keys[1].Verified != 1 {
		t.Errorf("keys = %+v, want the configured one, and one that the streams know", keys.Keys)
	}
	checks := map[string]bool{}
	for _, f := range found.Findings {
		checks[f.Check] = true
		if f.Check == "nats" && f.Severity == api.SeverityError {
			t.Errorf("it does not reach its own NATS: %s", f.What)
		}
	}
	for _, check := range []string{"config", "keys", "nats", "streams", "fsync", "disk", "callback", "platform", "files"} {
		if !checks[check] {
			t.Errorf("the findings lack the check %s: %v", check, checks)
		}
	}
}
