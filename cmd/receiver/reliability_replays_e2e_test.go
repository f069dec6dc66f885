//go:build e2e && linux

package main_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TestReliabilityReplays has 1,000 connections send forgeries and captured callbacks as fast as
// they are answered, while 100 authentic callbacks come each second. Memory stays flat, and replays
// make neither events nor more than some records. If no captured one is large, the authentic ones
// are answered not much later than without the flood.
func TestReliabilityReplays(t *testing.T) {
	for _, tt := range []struct {
		name  string
		large int // of a hundred
		most  float64
	}{
		{"small", 0, 5},
		{"small and of 7 MiB", 1, math.Inf(1)},
	} {
		t.Run(tt.name, func(t *testing.T) { replay(t, tt.large, tt.most) })
	}
}

// replay has a flood in which so many of a hundred replay a large callback, and 20 a small one.
func replay(t *testing.T, larges int, most float64) {
	t.Helper()
	const connections, rounds = 1000, 5
	const large = 7 << 20
	began := time.Now()
	dir := configured(t)
	serve := start(t, dir, "serve")
	public, nats := serve.listening(t)
	l := &load{sent: map[string]bool{}, acknowledged: map[string]bool{}}
	c := newCaller(public)
	head := `{"id":"large","status":"COMPLETED","note":"`
	small, big := []byte(`{"id":"small","status":"COMPLETED"}`), []byte(head+strings.Repeat("x", large-len(head)-2)+`"}`)
	requests := slices.Repeat([][]byte{forged()}, 80-larges)
	requests = append(requests, slices.Repeat([][]byte{captured(small, signatureKey)}, 20)...)
	requests = append(requests, slices.Repeat([][]byte{captured(big, signatureKey)}, larges)...)
	for id, body := range map[string][]byte{"small": small, "large": big} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Elements-Webhook-Signature", sign(signatureKey, body))
		answer, err := c.client.Do(r)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("the callback that is captured: %v, %v", answer, err)
		}
		_ = answer.Body.Close()
		l.acknowledged[id] = true
	}
	var alone, beside []time.Duration
	var peaks []int64
	answers := 0
	l.steadily(t, c, "warm", time.Second)
	for round := range rounds {
		alone = append(alone, l.steadily(t, c, fmt.Sprint("alone-", round), 1500*time.Millisecond))
		f := startFlood(t, public, connections, requests...)
		beside = append(beside, l.steadily(t, c, fmt.Sprint("flood-", round), 1500*time.Millisecond))
		answers += f.end(t)
		peaks = append(peaks, peakOf(t, serve))
	}
	eachOnce(t, finishedEvents(t, admitted(t, dir, "all")), l.acknowledged)
	slower(t, alone, beside, most)
	t.Logf("%d answers, peaks %v", answers, peaks)
	// The peak of the first three quarters of the rounds is the final peak.
	if grown := peaks[rounds-1] - peaks[1]; grown > 64<<20 && !testing.Short() {
		t.Errorf("memory grew by %.0f MiB from the second flood to the last", mib(grown))
	}
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	attempts, err := owners(t, filepath.Join(dir, "receiver-data"), nats).Stream(ctx, "ATTEMPTS")
	if err != nil {
		t.Fatal(err)
	}
	info, err := attempts.Info(ctx, jetstream.WithSubjectFilter("attempts.demo.duplicate"))
	if err != nil {
		t.Fatal(err)
	}
	records, minutes := info.State.Subjects["attempts.demo.duplicate"], uint64(time.Since(began)/time.Minute)
	if records < 1 || records > 2*(2+2*minutes) || info.State.Bytes > 64<<20 {
		t.Errorf("%d records of two callbacks' replays in %d minutes, %d bytes in all", records, minutes, info.State.Bytes)
	}
	t.Logf("%d records of replays, %d of all, %d bytes", records, info.State.Msgs, info.State.Bytes)
}
