package keyusage_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
	"receiver/internal/keyusage"
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

func key(name string) keyusage.Key {
	return keyusage.Key{Source: "crm", Name: name, Fingerprint: "sha256:" + name}
}

func keysOf(configured []keyusage.Key, arrivals ...job.Arrival) *keyusage.Keys {
	k := keyusage.NewKeys(configured)
	for _, a := range arrivals {
		k.Add(a)
	}
	return k
}

func TestKeysAreCounted(t *testing.T) {
	old, current := key("old"), key("new")
	other := keyusage.Key{Source: "erp", Name: "old", Fingerprint: "sha256:old"}
	aside := verified("new", 5)
	aside.Verdict = job.Quarantined
	released := verified("new", 5)
	duplicate := verified("new", 1)
	duplicate.Verdict = job.Duplicate
	renamed := verified("old", 200)
	renamed.Key = "another name"
	k := keysOf([]keyusage.Key{other, current, old},
		mismatch(30), mismatch(2), mismatch(0.5), aside, duplicate, job.Arrival{Source: "crm", Verdict: "missing", Received: hoursAgo(1)},
		verified("old", 100), renamed, verified("gone", 300), verified("gone", 250), verified("longgone", 900), released, verified("new", 3))
	got := k.List(keysNow)
	want := []keyusage.Use{
		{Key: current, State: keyusage.Active, First: hoursAgo(5), Last: hoursAgo(1), Job: "j-new", Verified: 3, Mismatches: 1},
		{Key: old, State: keyusage.Active, First: hoursAgo(200), Last: hoursAgo(100), Job: "j-old", Verified: 2, Mismatches: 3},
		{Key: key("gone"), State: keyusage.Removed, First: hoursAgo(300), Last: hoursAgo(250), Job: "j-gone", Verified: 2, Mismatches: 3},
		{Key: key("longgone"), State: keyusage.Removed, First: hoursAgo(900), Last: hoursAgo(900), Job: "j-longgone", Verified: 1, Mismatches: 3},
		{Key: other, State: keyusage.Active},
	}
	for i := range got {
		got[i].Warnings = nil // have a test of their own
	}
	if !slices.EqualFunc(got, want, func(a, b keyusage.Use) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
		t.Errorf("List =\n%+v\nwant\n%+v", got, want)
	}
}

func TestKeyWarnings(t *testing.T) {
	windowed := func(name string, from, to float64) keyusage.Key {
		k := key(name)
		k.NotBefore, k.NotAfter = hoursAgo(from), hoursAgo(to)
		return k
	}
	for _, tt := range []struct {
		name       string
		configured []keyusage.Key
		arrivals   []job.Arrival
		state      keyusage.State // of the first
		want       string         // part of the only warning of the first; empty for none
	}{
		{"in use", []keyusage.Key{key("a")}, []job.Arrival{verified("a", 1)}, keyusage.Active, ""},
		{"never used", []keyusage.Key{key("a")}, nil, keyusage.Active, ""},
		{"expired and not used since", []keyusage.Key{windowed("a", 900, 50)}, []job.Arrival{verified("a", 51)}, keyusage.Expired, ""},
		{"expired and used since", []keyusage.Key{windowed("a", 900, 50)}, []job.Arrival{verified("a", 49)}, keyusage.Expired, "after its not_after"},
		{"expired and used since, long ago", []keyusage.Key{windowed("a", 900, 500)}, []job.Arrival{verified("a", 97)}, keyusage.Expired, ""},
		{"used before its time", []keyusage.Key{windowed("a", -1, -100)}, []job.Arrival{verified("a", 2)}, keyusage.Early, "before its not_before"},
		{"superseded and used since", []keyusage.Key{key("a"), key("b")},
			[]job.Arrival{verified("a", 90), verified("b", 50), verified("a", 20), verified("b", 1)}, keyusage.Active, "though b is in use since 2026-11-21T10:00:00Z"},
		{"superseded and not used since", []keyusage.Key{key("a"), key("b")}, []job.Arrival{verified("a", 60), verified("b", 50)}, keyusage.Active, ""},
		{"superseded and used since, long ago", []keyusage.Key{key("a"), key("b")},
			[]job.Arrival{verified("a", 300), verified("b", 250), verified("a", 97)}, keyusage.Active, ""},
		{"the newer of two", []keyusage.Key{key("b"), key("a")},
			[]job.Arrival{verified("a", 90), verified("b", 50), verified("a", 20)}, keyusage.Active, ""},
		{"signatures that match none since", []keyusage.Key{key("a")}, []job.Arrival{verified("a", 9), mismatch(8), mismatch(7)},
			keyusage.Active, "matched no key since its last use: 2;"},
		{"signatures that match none before", []keyusage.Key{key("a")}, []job.Arrival{mismatch(10), verified("a", 9)}, keyusage.Active, ""},
		{"signatures that match none, but another key is in use", []keyusage.Key{key("a"), key("b")},
			[]job.Arrival{verified("a", 9), mismatch(8), verified("b", 7)}, keyusage.Active, ""},
		{"signatures that match none, and nothing ever did", []keyusage.Key{key("a")}, []job.Arrival{mismatch(8)}, keyusage.Active, "is this the platform's?"},
		{"the same bytes configured twice", []keyusage.Key{{Source: "crm", Name: "a2", Fingerprint: "sha256:a"}, key("a")},
			[]job.Arrival{verified("a", 1)}, keyusage.Active, ""},
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
	got := keysOf([]keyusage.Key{key("a"), {Source: "crm", Name: "again", Fingerprint: "sha256:a"}}, verified("a", 1)).List(keysNow)
	if len(got) != 2 || got[0].Verified != 1 || got[1].Verified != 0 {
		t.Errorf("List = %+v, want one use of the first", got)
	}
}

// A key that was taken out too early shows by what was refused since.
func TestRemovedKeyWarns(t *testing.T) {
	got := keysOf([]keyusage.Key{key("b")}, verified("a", 9), mismatch(8)).List(keysNow)
	if len(got) != 2 || got[1].State != keyusage.Removed || len(got[1].Warnings) != 1 {
		t.Errorf("List = %+v, want a warning on the removed key", got)
	}
}

func TestRetire(t *testing.T) {
	two := []keyusage.Key{key("new"), key("old")}
	long := keyusage.Reach{Jobs: hoursAgo(2000)}
	for _, tt := range []struct {
		name       string
		configured []keyusage.Key
		arrivals   []job.Arrival
		reach      keyusage.Reach
		safe       bool
		why        string
		at         time.Time
	}{
		{"unused for long enough", two, []job.Arrival{verified("old", 97), verified("new", 1)}, long, true, "unused for 97h", time.Time{}},
		{"to the hour", two, []job.Arrival{verified("old", 96), verified("new", 1)}, long, true, "unused for 96h", time.Time{}},
		{"used", two, []job.Arrival{verified("old", 3), verified("new", 1)}, long, false, "used 3h ago by job j-old", hoursAgo(3 - 96)},
		{"never used", two, []job.Arrival{verified("new", 1)}, long, true, "never used in the 2000h", time.Time{}},
		{"never used, in a young store", two, []job.Arrival{verified("new", 1)}, keyusage.Reach{Jobs: hoursAgo(2)}, false,
			"reach back only 2h", hoursAgo(2 - 96)},
		{"an empty store", two, nil, keyusage.Reach{}, false, "the streams are empty", time.Time{}},
		{"the only key", two[1:], []job.Arrival{verified("old", 97)}, long, false, "the only key", time.Time{}},
		{"the only key but a removed one", two[1:], []job.Arrival{verified("old", 97), verified("new", 1)}, long, false, "the only key", time.Time{}},
		{"twice the same bytes are one key", []keyusage.Key{key("old"), {Source: "crm", Name: "again", Fingerprint: "sha256:old"}},
			[]job.Arrival{verified("old", 97)}, long, false, "the only key", time.Time{}},
		{"twice the same bytes, used", []keyusage.Key{key("old"), {Source: "crm", Name: "again", Fingerprint: "sha256:old"}, key("new")},
			[]job.Arrival{verified("old", 3), verified("new", 1)}, long, false, "used 3h ago", hoursAgo(3 - 96)},
		{"only a removed key was used since", two, []job.Arrival{verified("old", 97), verified("gone", 1)}, long, false,
			"no other key of its source verified a callback since then", time.Time{}},
		{"the source was quiet", two, []job.Arrival{verified("new", 98), verified("old", 97)}, long, false, "no other key of its source verified a callback since then", time.Time{}},
		{"repeats are known of too short", two, []job.Arrival{verified("old", 97), verified("new", 1)},
			keyusage.Reach{Jobs: hoursAgo(2000), Attempts: hoursAgo(5)}, false, "ATTEMPTS reaches back only 5h", hoursAgo(5 - 96)},
		{"repeats are known of for long enough", two, []job.Arrival{verified("old", 97), verified("new", 1)},
			keyusage.Reach{Jobs: hoursAgo(2000), Attempts: hoursAgo(97)}, true, "unused for 97h", time.Time{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := keysOf(tt.configured, tt.arrivals...).Retire("crm", "sha256:old", keyusage.RetrySpan, tt.reach, keysNow)
			if err != nil || got.Safe != tt.safe || !strings.Contains(got.Why, tt.why) || !got.SafeAt.Equal(tt.at) {
				t.Errorf("Retire = %v %q not before %v, %v\nwant %v %q not before %v", got.Safe, got.Why, got.SafeAt, err, tt.safe, tt.why, tt.at)
			}
		})
	}
	k := keysOf(two[:1], verified("old", 97))
	for _, fingerprint := range []string{"sha256:old", "sha256:none"} {
		if _, err := k.Retire("crm", fingerprint, keyusage.RetrySpan, long, keysNow); !errors.Is(err, keyusage.ErrNoKey) {
			t.Errorf("Retire(%s) = %v, want ErrNoKey", fingerprint, err)
		}
	}
	if _, err := k.Retire("erp", "sha256:new", keyusage.RetrySpan, long, keysNow); !errors.Is(err, keyusage.ErrNoKey) {
		t.Errorf("Retire of another source's key = %v, want ErrNoKey", err)
	}
}

func TestRoughly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 59 * time.Second: "59s", time.Minute: "1m", 59*time.Minute + 59*time.Second: "59m",
		time.Hour: "1h", 97*time.Hour + time.Minute: "97h",
	} {
		if got := keyusage.Roughly(d); got != want {
			t.Errorf("Roughly(%v) = %s, want %s", d, got, want)
		}
	}
}

// The list says of each configured key what Retire says of it.
func TestListRemovable(t *testing.T) {
	k := keysOf([]keyusage.Key{key("new"), key("old")}, verified("old", 100), verified("new", 1), verified("gone", 300))
	all := k.ListRemovable(keyusage.Reach{Jobs: hoursAgo(2000)}, keysNow)
	for i, want := range []*keyusage.Removal{
		{Why: "used 1h ago by job j-new", SafeAt: hoursAgo(1 - 96)},
		{Safe: true, Why: "unused for 100h"},
		nil,
	} {
		if got := all[i].Removal; (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%s: %+v, want %+v", all[i].Name, got, want)
		}
	}
}
