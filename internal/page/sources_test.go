package page_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"receiver/api"
	"receiver/internal/callback"
	"receiver/internal/keyusage"
)

func TestSources(t *testing.T) {
	t.Parallel()
	next := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	keys := []api.KeyStatus{{Name: "new", Fingerprint: "sha256:1234abcd", LastUse: time.Now()}, {Name: "old", Fingerprint: "sha256:5678abcd"}}
	for name, tt := range map[string]struct {
		source api.SourceStatus
		token  string
		want   []string
		not    string
	}{
		"well": {api.SourceStatus{Name: "crm", Keys: keys, Authentic: time.Now(), Standing: callback.Standing{AttemptsLeft: 5}}, "rcv_all",
			[]string{"receiving</span>", "5</dd>", "sha256:5678abcd", "not used since the start", `<a href="/sources/crm">`}, "backfill"},
		"failing": {api.SourceStatus{Name: "crm", RefusedBy: map[string]int64{"missing": 1, "mismatch": 7}, Standing: callback.Standing{InARow: 7, Reason: "mismatch", Failing: 2, AttemptsLeft: 2, NextRetry: next}}, "rcv_all",
			[]string{"repeated</span>", "<dd>2 ·", "2 callbacks", `data-countdown><time datetime="2030-01-01T00:00:00Z"`, `source=crm">mismatch</a> 7`, "7 in a row", "never"}, "receiving"},
		"refused, and no longer repeated": {api.SourceStatus{Name: "crm", Authentic: time.Now(), Standing: callback.Standing{InARow: 1, Reason: "mismatch", AttemptsLeft: 5}}, "rcv_all",
			[]string{"refused</span>"}, "receiving"},
		"given up": {api.SourceStatus{Name: "crm", Authentic: time.Now(), Standing: callback.Standing{GivenUp: 1}}, "rcv_all",
			[]string{"given up</span>", "receiver backfill --source crm"}, "receiving"},
		"without the scope audit": {api.SourceStatus{Name: "crm", Keys: keys, RefusedBy: map[string]int64{"missing": 1}}, "rcv_read",
			[]string{"nothing yet", "needs the scope audit"}, "/sources/crm"},
	} {
		p := newPage(operations{"GET /v1/sources": give(api.Sources{Since: time.Now(), Sources: []api.SourceStatus{tt.source}})})
		body := ask(t, p, http.MethodGet, "/", tt.token, nil).Body.String()
		for _, want := range tt.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %q in %s", name, want, body)
			}
		}
		if strings.Contains(body, tt.not) {
			t.Errorf("%s: %q in %s", name, tt.not, body)
		}
	}
}

// During a rotation there are two lines of one time; a key that was never used has none.
func TestKeysOverTime(t *testing.T) {
	t.Parallel()
	now := time.Now()
	use := func(name string, first, last time.Duration, r *keyusage.Removal) keyusage.Use {
		u := keyusage.Use{Key: keyusage.Key{Source: "crm", Name: name, Fingerprint: "sha256:" + name}, State: keyusage.Active, Removal: r}
		if first > 0 {
			u.First, u.Last = now.Add(-first), now.Add(-last)
		}
		return u
	}
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	p := newPage(operations{"GET /v1/keys": give(api.Keys{Keys: []keyusage.Use{
		use("new", 25*time.Hour, 0, &keyusage.Removal{Why: "used now"}),
		use("old", 100*time.Hour, 50*time.Hour, &keyusage.Removal{Why: "used 50h ago", SafeAt: at}),
		use("spare", 0, 0, &keyusage.Removal{Safe: true, Why: "never used"}),
	}})})
	body := ask(t, p, http.MethodGet, "/sources/crm", "rcv_all", nil).Body.String()
	for _, want := range []string{`class="bar active" x="450" width="150"`, `class="bar active" x="0" width="300"`, "It can go at <time datetime=\"2030-01-01", "It can go: never used.", "Not yet: used now."} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", want, body)
		}
	}
	if n := strings.Count(body, `class="bar`); n != 2 {
		t.Errorf("%d lines, want 2", n)
	}
	if w := ask(t, newPage(operations{"GET /v1/keys": give(api.Keys{})}), http.MethodGet, "/sources/none", "rcv_all", nil); w.Code != http.StatusNotFound {
		t.Errorf("GET /sources/none = %d", w.Code)
	}
}
