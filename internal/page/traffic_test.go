package page_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"receiver/api"
)

// counted is an API that has counted three hours up to a moment.
func counted(minutes []api.TrafficMinute, marks ...api.TrafficMark) operations {
	return operations{"GET /v1/traffic": give(traffic(minutes, marks...))}
}

var trafficSince = time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)

func traffic(minutes []api.TrafficMinute, marks ...api.TrafficMark) api.Traffic {
	return api.Traffic{Since: trafficSince, Until: trafficSince.Add(3*time.Hour + 20*time.Second), From: trafficSince, Complete: true, Minutes: minutes, Marks: marks}
}

// section is the chart of the overview.
func section(t *testing.T, o operations, token string) string {
	t.Helper()
	w := ask(t, newPage(o), http.MethodGet, "/", token, nil)
	_, rest, found := strings.Cut(w.Body.String(), `<section id="traffic"`)
	part, _, ended := strings.Cut(rest, "</section>")
	if w.Code != http.StatusOK || !found || !ended {
		t.Fatalf("GET / = %d %s", w.Code, w.Body)
	}
	return part
}

// The chart stacks what needs no attention below what does, and says how many of each there are.
func TestTrafficIsStacked(t *testing.T) {
	t.Parallel()
	got := section(t, counted([]api.TrafficMinute{
		{Minute: trafficSince, Accepted: 3, Unrecognised: 1, Refused: map[string]int64{"mismatch": 2, "missing": 1}},
		{Minute: trafficSince.Add(180 * time.Minute), Duplicate: 1, Late: 1, Quarantined: 1, Unrecorded: 1, Refused: map[string]int64{"mismatch": 1, "unknown_source": 3, "wrong_path": 1}},
	},
		api.TrafficMark{Time: trafficSince.Add(90 * time.Minute), Kind: "start", Count: 2},
		api.TrafficMark{Time: trafficSince.Add(91 * time.Minute), Kind: "keys", Count: 1, Added: []string{"crm/2026 sha256:1"}, Removed: []string{"crm/2025 sha256:2"}},
	), "rcv_all")
	inOrder(t, got, "16 callbacks in three hours", "<strong>9</strong> a minute", "2026-11-23 12:30:00 UTC",
		"<span>10</span><span>5</span><span>0</span>", `viewBox="0 0 181 200"`,
		// Of ten at most, each is 20 high: all of the first minute are 7, 3 of them refused.
		`class="unrecorded" d="M0 200V60h1V200h179V20h1V200z"`, `class="refused3"`, `class="refused2"`, `class="refused1"`,
		`class="held"`, `class="repeated" d="M0 200V120h1V200h179V160h1V200z"`, `class="accepted" d="M0 200V120h1V200h180z"`,
		`<a href="/traffic/`+fmt.Sprint(trafficSince.Unix()/60)+`" tabindex="-1"><title>09:30 · 7</title>`,
		`class="mark start" x1="49.7%"`, `>start</text>`, `class="mark keys"`, // too near for a label
		"<span>09:30</span><span>10:30</span>", "<span>12:30</span>",
		"accepted <strong class=\"n\">4<", "duplicate <strong class=\"n\">2<", "quarantined or unconfirmed <strong class=\"n\">1<",
		"refused: mismatch <strong class=\"n\">3<", "refused: unknown_source <strong class=\"n\">3<", "refused: other reasons <strong class=\"n\">2<", "refused, not recorded <strong class=\"n\">1<",
		"11:01:00 UTC", "keys changed; new: crm/2026 sha256:1; gone: crm/2025 sha256:2", "started 2 times")
	if strings.Contains(got, ">keys</text>") || strings.Contains(got, "style=") {
		t.Errorf("a label covers another, or a style is inline: %s", got)
	}
}

// One callback among thousands is drawn, also on top of them.
func TestOneCallbackAmongThousandsIsSeen(t *testing.T) {
	t.Parallel()
	got := section(t, counted([]api.TrafficMinute{{Minute: trafficSince, Accepted: 1}, {Minute: trafficSince.Add(time.Minute), Accepted: 94_000, Refused: map[string]int64{"mismatch": 1}}}), "rcv_read")
	inOrder(t, got, "<span>100000</span>", `class="refused1" d="M0 200V197h1V9h1V200h179z"`, `class="accepted" d="M0 200V197h1V12h1V200h179z"`)
}

// Without callbacks, or without counts, the overview says so.
func TestTrafficOfNothing(t *testing.T) {
	t.Parallel()
	reading, gone := traffic(nil), traffic([]api.TrafficMinute{{Minute: trafficSince.Add(2 * time.Hour), Accepted: 1}})
	reading.Complete, reading.Reading, reading.From = false, true, reading.Until.Truncate(time.Minute)
	gone.Complete, gone.From = false, trafficSince.Add(time.Hour)
	for name, tt := range map[string]struct {
		o          operations
		want, none string
	}{
		"no callbacks":  {counted(nil), "No callbacks in three hours.", "<svg"},
		"a start alone": {counted(nil, api.TrafficMark{Time: trafficSince, Kind: "start", Count: 1}), `class="mark start"`, "<ul class=\"key\""},
		"counting":      {operations{"GET /v1/traffic": give(reading)}, `hx-trigger="load delay:1s"`, "No callbacks"},
		"some gone":     {operations{"GET /v1/traffic": give(gone)}, `<rect class="unknown" width="33.1%"`, "load delay"},
		"NATS away":     {operations{"GET /v1/traffic": func(w http.ResponseWriter, _ *http.Request) { problem(w, api.Unavailable.Problem("NATS is away")) }}, "NATS is away", "<svg"},
	} {
		if got := section(t, tt.o, "rcv_read"); !strings.Contains(got, tt.want) || strings.Contains(got, tt.none) {
			t.Errorf("%s: %s, want %s and not %s", name, got, tt.want, tt.none)
		}
	}
}

// A minute leads to its callbacks, in the chart and in the table, for a token that may list them.
func TestAMinuteLeadsToItsCallbacks(t *testing.T) {
	t.Parallel()
	o := counted([]api.TrafficMinute{{Minute: trafficSince, Accepted: 1, Refused: map[string]int64{"mismatch": 2, "missing": 1}}, {Minute: trafficSince.Add(time.Minute), Unrecorded: 4}})
	p := newPage(o)
	const list = "/callbacks?since=2026-11-23T09%3A30%3A00Z&until=2026-11-23T09%3A31%3A00Z"
	for address, want := range map[string]string{
		fmt.Sprintf("/traffic/%d", trafficSince.Unix()/60): list, "/traffic/x": "", "/traffic/-1": "", "/traffic/99999999999": "",
	} {
		w := ask(t, p, http.MethodGet, address, "rcv_all", nil)
		if got := w.Header().Get("Location"); got != want || want == "" && w.Code != http.StatusNotFound {
			t.Errorf("%s: %d %s, want %s", address, w.Code, got, want)
		}
	}
	table := ask(t, p, http.MethodGet, "/traffic", "rcv_all", nil).Body.String()
	inOrder(t, table, "<h1>Callbacks a minute</h1>", ">09:31</time></a>", "not recorded 4", strings.ReplaceAll(list, "&", "&amp;"), ">09:30</time></a>", ">1<", ">3<", "mismatch 2, missing 1")
	for _, address := range []string{"/", "/traffic"} {
		if got := ask(t, p, http.MethodGet, address, "rcv_read", nil).Body.String(); strings.Contains(got, "/callbacks") || strings.Contains(got, "/traffic/") {
			t.Errorf("%s links to what the token may not list: %s", address, got)
		}
	}
}

// The chart of three full hours is at most 30 KiB, and the table at most 100.
func TestTrafficIsSmall(t *testing.T) {
	t.Parallel()
	var minutes []api.TrafficMinute
	var marks []api.TrafficMark
	long := strings.Repeat("k", 100)
	for i := range 181 {
		at, n := trafficSince.Add(time.Duration(i)*time.Minute), int64(1000+i*i%7919)
		minutes = append(minutes, api.TrafficMinute{
			Minute: at, Accepted: n, Duplicate: n / 3, Quarantined: n / 5, Unrecorded: n,
			Refused: map[string]int64{"mismatch": n, "missing": n / 2, "malformed": n / 4, "ambiguous": n / 6, "unknown_source": n / 7, "wrong_path": n},
		})
		if i%30 == 0 {
			marks = append(marks, api.TrafficMark{Time: at, Kind: "keys", Count: 3, Added: []string{long, long}, Removed: []string{long}})
		}
	}
	o := counted(minutes, marks...)
	got := section(t, o, "rcv_all")
	if len(got) > 30<<10 || strings.Count(got, "<a href=\"/traffic/") != 181 {
		t.Errorf("the chart has %d bytes and %d links", len(got), strings.Count(got, "<a href=\"/traffic/"))
	}
	if got := ask(t, newPage(o), http.MethodGet, "/traffic", "rcv_all", nil).Body.Len(); got > 100<<10 {
		t.Errorf("the table has %d bytes", got)
	}
}

// Names of keys and reasons come from others.
func TestTrafficIsInert(t *testing.T) {
	t.Parallel()
	o := counted([]api.TrafficMinute{{Minute: trafficSince, Refused: map[string]int64{hostile: 1}}},
		api.TrafficMark{Time: trafficSince, Kind: hostile, Count: 1, Added: []string{hostile}})
	for _, address := range []string{"/", "/traffic"} {
		got := ask(t, newPage(o), http.MethodGet, address, "rcv_all", url.Values(nil)).Body.String()
		if strings.Contains(got, "<script>alert") || strings.ContainsAny(got, "\u202e\x1b") || !strings.Contains(got, "alert(1)") {
			t.Errorf("%s: %s", address, got)
		}
	}
}
