package bench_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"receiver/internal/bench"
	"receiver/internal/verify"
)

// stand is a receiver that only checks signatures, and calls before ahead of each answer.
func stand(t *testing.T, before func(w http.ResponseWriter, n int64)) string {
	t.Helper()
	v := verifier(t)
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if before != nil {
			before(w, n.Add(1))
		}
		if !v.Verify(r.Header.Values(verify.Header), body).Accepted() {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fmt.Fprintln(w, `{"outcome":"accepted","sequence":7}`)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/callbacks/demo"
}

func started(t *testing.T, l bench.Load) *bench.Generator {
	t.Helper()
	g, err := bench.Start(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

func TestEveryAnswerIsCounted(t *testing.T) {
	var served atomic.Int64
	l := load(stand(t, func(_ http.ResponseWriter, n int64) { served.Store(n) }))
	l.Refusals = 0.5
	got, err := started(t, l).Measure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	accepted, refused := got.Answers["200 accepted"], got.Answers["401"]
	if got.Requests == 0 || accepted+refused != got.Requests || accepted == 0 || refused == 0 || got.Unexpected+got.Failed != 0 {
		t.Errorf("Measure = %+v, want accepted and refused, and nothing else", got)
	}
	if all := got.Requests + uint64(l.Prime); all != uint64(served.Load()) {
		t.Errorf("%d were answered, %d with those to begin with; %d were served", got.Requests, all, served.Load())
	}
	if rate := float64(got.Requests) / got.Elapsed; got.Rate < rate*0.999 || got.Rate > rate*1.001 {
		t.Errorf("the rate is %v, want %v", got.Rate, rate)
	}
	if l := got.Latency; l.P50 <= 0 || l.P50 > l.P99 || l.P99 > l.P999 || l.P999 > l.Max*1.001 {
		t.Errorf("latencies %+v are not in order", l)
	}
}

// stallOnce holds up one answer, that of the first request measured.
func stallOnce(l *bench.Load, stall time.Duration) func(http.ResponseWriter, int64) {
	return func(_ http.ResponseWriter, n int64) {
		if n == int64(l.Prime)+1 {
			<-time.After(stall)
		}
	}
}

// The correction for coordinated omission: requests that were due while one answer was late count
// as late too. Without it only one of some hundred requests would have been slow.
func TestOneSlowAnswerDelaysAllDueRequests(t *testing.T) {
	const stall = 300 * time.Millisecond
	var l bench.Load
	l = load(stand(t, stallOnce(&l, stall)))
	l.Connections, l.Rate, l.Duration = 1, 1000, 400*time.Millisecond
	got, err := started(t, l).Measure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Latency.P50 < 50 || got.Latency.Max < 300 {
		t.Errorf("open loop: latencies %+v, want a median of more than 50 ms: most fell due during the %v", got.Latency, stall)
	}
	if due := uint64(400); got.Requests+got.Behind != due {
		t.Errorf("%d were answered and %d are behind, want %d together", got.Requests, got.Behind, due)
	}

	var closed bench.Load
	closed = load(stand(t, stallOnce(&closed, stall)))
	closed.Connections, closed.Duration = 1, l.Duration
	if got, err = started(t, closed).Measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got.Latency.P50 > 50 || got.Latency.Max < 300 {
		t.Errorf("closed loop: latencies %+v, want a small median, and one of %v", got.Latency, stall)
	}
}

func TestUnsustainedRateIsReported(t *testing.T) {
	l := load(stand(t, func(http.ResponseWriter, int64) { <-time.After(10 * time.Millisecond) }))
	l.Connections, l.Rate, l.Duration, l.Prime = 1, 10_000, 100*time.Millisecond, 1
	got, err := started(t, l).Measure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Requests > 11 || got.Requests+got.Behind != 1000 {
		t.Errorf("%d were answered and %d are behind, want at most 11, and 1000 together", got.Requests, got.Behind)
	}
}

func TestAnswersOfEveryFormAreRead(t *testing.T) {
	for name, before := range map[string]func(http.ResponseWriter, int64){
		"closes each connection": func(w http.ResponseWriter, _ int64) { w.Header().Set("Connection", "close") },
		"chunked": func(w http.ResponseWriter, _ int64) {
			w.Header().Set("Transfer-Encoding", "chunked")
			_ = http.NewResponseController(w).Flush()
		},
		"in words of its own": func(w http.ResponseWriter, _ int64) { w.Header().Set("content-type", "text/plain") },
	} {
		t.Run(name, func(t *testing.T) {
			got, err := started(t, load(stand(t, before))).Measure(t.Context())
			if err != nil || got.Requests == 0 || got.Answers["200 accepted"] != got.Requests || got.Failed != 0 {
				t.Errorf("Measure = %+v, %v, want nothing but accepted", got, err)
			}
		})
	}
}

func TestAWrongKeyIsNoticedBeforeMeasuring(t *testing.T) {
	l := load(stand(t, nil))
	l.Key = bench.Key("another")
	_, err := bench.Start(t.Context(), l)
	if err == nil || !strings.Contains(err.Error(), "401:8") || strings.Contains(err.Error(), "another") {
		t.Errorf("Start = %v, want an error with 8 times 401, and without the key", err)
	}
}

func TestUnreachableReceiverIsAnError(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	if _, err := bench.Start(t.Context(), load(s.URL)); err == nil || !strings.Contains(err.Error(), "connecting to the receiver") {
		t.Errorf("Start = %v, want that the receiver takes no connection", err)
	}
}

// Ctrl-C gives what there is, even if the receiver hangs.
func TestInterruptedLoadGivesItsResults(t *testing.T) {
	hang := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	l := load(stand(t, func(_ http.ResponseWriter, n int64) {
		if n == 100 {
			cancel()
		}
		if n >= 100 {
			<-hang
		}
	}))
	t.Cleanup(func() { close(hang) }) // before the server closes
	l.Duration = time.Minute
	got, err := started(t, l).Measure(ctx)
	if err != nil || got.Requests < 80 || got.Requests > 100 || got.Elapsed > 30 {
		t.Errorf("Measure = %+v, %v, want what was answered until it was broken off", got, err)
	}
}
