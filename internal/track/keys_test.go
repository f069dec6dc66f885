package track_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/track"
)

var keysNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func hoursAgo(h float64) time.Time { return keysNow.Add(-time.Duration(h * float64(time.Hour))) }

// verified is a callback of crm that a key verified so many hours ago.
func verified(key string, hours float64) job.Arrival {
	return job.Arrival{Source: "crm", Job: "j-" + key, Key: key, Fingerprint: "sha256:" + key, Body: fmt.Sprint(key, hours), Received: hoursAgo(hours)}
}

func mismatch(hours float64) job.Arrival {
	return job.Arrival{Source: "crm", Verdict: "mismatch", Received: hoursAgo(hours)}
}

func key(name string) track.Key {
	return track.Key{Source: "crm", Name: name, Fingerprint: "sha256:" + name}
}

func keysOf(configured []track.Key, arrivals ...job.Arrival) *track.Keys {
	k := track.NewKeys(configured)
	for _, a := range arrivals {
		k.Add(a)
	}
	return k
}

func TestKeysAreCounted(t *testing.T) {
	old, current := key("old"), key("new")
	other := track.Key{Source: "erp", Name: "old", Fingerprint: "sha256:old"}
	aside := verified("new", 5)
	aside.Verdict = job.Quarantined
	released := verified("new", 5)
	duplicate := verified("new", 1)
	duplicate.Verdict = job.Duplicate
	renamed := verified("old", 200)
	renamed.Key = "another name"
	k := keysOf([]track.Key{other, current, old},
		mismatch(30), mismatch(2), mismatch(0.5), aside, duplicate, job.Arrival{Source: "crm", Verdict: "missing", Received: hoursAgo(1)},
		verified("old", 100), renamed, verified("gone", 300), verified("gone", 250), verified("longgone", 900), released, verified("new", 3))
	got := k.List(keysNow)
	want := []track.KeyUse{
		{Key: current, State: track.KeyActive, First: hoursAgo(5), Last: hoursAgo(1), Job: "j-new", Verified: 3, Mismatches: 1},
		{Key: old, State: track.KeyActive, First: hoursAgo(200), Last: hoursAgo(100), Job: "j-old", Verified: 2, Mismatches: 3},
		{Key: key("gone"), State: track.KeyRemoved, First: hoursAgo(300), Last: hoursAgo(250), Job: "j-gone", Verified: 2, Mismatches: 3},
		{Key: key("longgone"), State: track.KeyRemoved, First: hoursAgo(900), Last: hoursAgo(900), Job: "j-longgone", Verified: 1, Mismatches: 3},
		{Key: other, State: track.KeyActive},
	}
	for i := range got {
		got[i].Warnings = nil // have a test of their own
	}
	if !slices.EqualFunc(got, want, func(a, b track.KeyUse) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
		t.Errorf("List =\n%+v\nwant\n%+v", got, want)
	}
}

func TestKeyWarnings(t *testing.T) {
	windowed := func(name string, from, to float64) track.Key {
		k := key(name)
		k.NotBefore, k.NotAfter = hoursAgo(from), hoursAgo(to)
		return k
	}
	for _, tt := range []struct {
		name       string
		configured []track.Key
		arrivals   []job.Arrival
		state      track.KeyState // of the first
		want       string         // part of the only warning of the first; empty for none
	}{
		{"in use", []track.Key{key("a")}, []job.Arrival{verified("a", 1)}, track.KeyActive, ""},
		{"never used", []track.Key{key("a")}, nil, track.KeyActive, ""},
		{"expired and not used since", []track.Key{windowed("a", 900, 50)}, []job.Arrival{verified("a", 51)}, track.KeyExpired, ""},
		{"expired and used since", []track.Key{windowed("a", 900, 50)}, []job.Arrival{verified("a", 49)}, track.KeyExpired, "after its not_after"},
		{"expired and used since, long ago", []track.Key{windowed("a", 900, 500)}, []job.Arrival{verified("a", 97)}, track.KeyExpired, ""},
		{"used before its time", []track.Key{windowed("a", -1, -100)}, []job.Arrival{verified("a", 2)}, track.KeyEarly, "before its not_before"},
		{"superseded and used since", []track.Key{key("a"), key("b")},
			[]job.Arrival{verified("a", 90), verified("b", 50), verified("a", 20), verified("b", 1)}, track.KeyActive, "though b is in use since 2026-11-21T10:00:00Z"},
		{"superseded and not used since", []track.Key{key("a"), key("b")}, []job.Arrival{verified("a", 60), verified("b", 50)}, track.KeyActive, ""},
		{"superseded and used since, long ago", []track.Key{key("a"), key("b")},
			[]job.Arrival{verified("a", 300), verified("b", 250), verified("a", 97)}, track.KeyActive, ""},
		{"the newer of two", []track.Key{key("b"), key("a")},
			[]job.Arrival{verified("a", 90), verified("b", 50), verified("a", 20)}, track.KeyActive, ""},
		{"signatures that match none since", []track.Key{key("a")}, []job.Arrival{verified("a", 9), mismatch(8), mismatch(7)},
			track.KeyActive, "matched no key since its last use: 2;"},
		{"signatures that match none before", []track.Key{key("a")}, []job.Arrival{mismatch(10), verified("a", 9)}, track.KeyActive, ""},
		{"signatures that match none, but another key is in use", []track.Key{key("a"), key("b")},
			[]job.Arrival{verified("a", 9), mismatch(8), verified("b", 7)}, track.KeyActive, ""},
		{"signatures that match none, and nothing ever did", []track.Key{key("a")}, []job.Arrival{mismatch(8)}, track.KeyActive, "is this the platform's?"},
		{"the same bytes configured twice", []track.Key{{Source: "crm", Name: "a2", Fingerprint: "sha256:a"}, key("a")},
			[]job.Arrival{verified("a", 1)}, track.KeyActive, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := keysOf(tt.configured, tt.arrivals...).List(keysNow)[0]
			if got.State != tt.state {
				t.Errorf("State = %s, want %s", got.State, tt.state)
			}
			text := strings.Join(got.Warnings, "; ")
			if (tt.want == "") != (text == "") || !strings.Contains(text, tt.want) || len(got.Warnings) > 1 {
				t.Errorf("Warnings = %q, want %q", got.Warnings, tt.want)
			}
		})
	}
}

// One value under two names is used under the first.
func TestOneKeyTwiceIsCountedOnce(t *testing.T) {
	got := keysOf([]track.Key{key("a"), {Source: "crm", Name: "again", Fingerprint: "sha256:a"}}, verified("a", 1)).List(keysNow)
	if len(got) != 2 || got[0].Verified != 1 || got[1].Verified != 0 {
		t.Errorf("List = %+v, want one use of the first", got)
	}
}

// A key that was taken out too early shows by what was refused since.
func TestRemovedKeyWarns(t *testing.T) {
	got := keysOf([]track.Key{key("b")}, verified("a", 9), mismatch(8)).List(keysNow)
	if len(got) != 2 || got[1].State != track.KeyRemoved || len(got[1].Warnings) != 1 {
		t.Errorf("List = %+v, want a warning on the removed key", got)
	}
}

func TestRetire(t *testing.T) {
	two := []track.Key{key("new"), key("old")}
	long := track.Reach{Jobs: hoursAgo(2000)}
	for _, tt := range []struct {
		name       string
		configured []track.Key
		arrivals   []job.Arrival
		reach      track.Reach
		safe       bool
		why        string
		at         time.Time
	}{
		{"unused for long enough", two, []job.Arrival{verified("old", 97), verified("new", 1)}, long, true, "unused for 97h", time.Time{}},
		{"to the hour", two, []job.Arrival{verified("old", 96), verified("new", 1)}, long, true, "unused for 96h", time.Time{}},
		{"used", two, []job.Arrival{verified("old", 3), verified("new", 1)}, long, false, "used 3h ago by job j-old", hoursAgo(3 - 96)},
		{"never used", two, []job.Arrival{verified("new", 1)}, long, true, "never used in the 2000h", time.Time{}},
		{"never used, in a young store", two, []job.Arrival{verified("new", 1)}, track.Reach{Jobs: hoursAgo(2)}, false,
			"reach back 2h only", hoursAgo(2 - 96)},
		{"an empty store", two, nil, track.Reach{}, false, "hold nothing yet", time.Time{}},
		{"the only key", two[1:], []job.Arrival{verified("old", 97)}, long, false, "the only key", time.Time{}},
		{"the only key but a removed one", two[1:], []job.Arrival{verified("old", 97), verified("new", 1)}, long, false, "the only key", time.Time{}},
		{"twice the same bytes are one key", []track.Key{key("old"), {Source: "crm", Name: "again", Fingerprint: "sha256:old"}},
			[]job.Arrival{verified("old", 97)}, long, false, "the only key", time.Time{}},
		{"twice the same bytes, used", []track.Key{key("old"), {Source: "crm", Name: "again", Fingerprint: "sha256:old"}, key("new")},
			[]job.Arrival{verified("old", 3), verified("new", 1)}, long, false, "used 3h ago", hoursAgo(3 - 96)},
		{"only a removed key was used since", two, []job.Arrival{verified("old", 97), verified("gone", 1)}, long, false,
			"no other key of its source verified since", time.Time{}},
		{"the source was quiet", two, []job.Arrival{verified("new", 98), verified("old", 97)}, long, false, "no other key of its source verified since", time.Time{}},
		{"repeats are known of too short", two, []job.Arrival{verified("old", 97), verified("new", 1)},
			track.Reach{Jobs: hoursAgo(2000), Attempts: hoursAgo(5)}, false, "ATTEMPTS reaches back 5h only", hoursAgo(5 - 96)},
		{"repeats are known of for long enough", two, []job.Arrival{verified("old", 97), verified("new", 1)},
			track.Reach{Jobs: hoursAgo(2000), Attempts: hoursAgo(97)}, true, "unused for 97h", time.Time{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := keysOf(tt.configured, tt.arrivals...).Retire("crm", "sha256:old", track.RetrySpan, tt.reach, keysNow)
			if err != nil || got.Safe != tt.safe || !strings.Contains(got.Why, tt.why) || !got.SafeAt.Equal(tt.at) {
				t.Errorf("Retire = %v %q not before %v, %v\nwant %v %q not before %v", got.Safe, got.Why, got.SafeAt, err, tt.safe, tt.why, tt.at)
			}
		})
	}
	k := keysOf(two[:1], verified("old", 97))
	for _, fingerprint := range []string{"sha256:old", "sha256:none"} {
		if _, err := k.Retire("crm", fingerprint, track.RetrySpan, long, keysNow); !errors.Is(err, track.ErrNoKey) {
			t.Errorf("Retire(%s) = %v, want ErrNoKey", fingerprint, err)
		}
	}
	if _, err := k.Retire("erp", "sha256:new", track.RetrySpan, long, keysNow); !errors.Is(err, track.ErrNoKey) {
		t.Errorf("Retire of another source's key = %v, want ErrNoKey", err)
	}
}

func TestRoughly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 59 * time.Second: "59s", time.Minute: "1m", 59*time.Minute + 59*time.Second: "59m",
		time.Hour: "1h", 97*time.Hour + time.Minute: "97h",
	} {
		if got := track.Roughly(d); got != want {
			t.Errorf("Roughly(%v) = %s, want %s", d, got, want)
		}
	}
}
