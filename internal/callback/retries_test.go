package callback_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"receiver/internal/callback"
	"receiver/internal/job"
)

// The platform's spacing is 8^n seconds; a moment here is seconds after the first.
func TestRetryState(t *testing.T) {
	first := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return first.Add(time.Duration(seconds) * time.Second) }
	type answer struct {
		at       int
		delivery string // empty: a body that was not read
		reason   string // empty: 2xx
	}
	no := func(second int, delivery string) answer { return answer{second, delivery, "mismatch"} }
	yes := func(second int, delivery string) answer { return answer{second, delivery, ""} }
	large := strings.Repeat("x", 10<<10)
	givenUp := []answer{no(0, "a"), no(8, "a"), no(72, "a"), no(584, "a"), no(4680, "a"), no(37448, "a")}
	for _, tt := range []struct {
		name    string
		answers []answer
		now     int
		want    callback.Standing
	}{
		{"nothing happened", nil, 0, callback.Standing{AttemptsLeft: 5}},
		{"one accepted", []answer{yes(0, "a")}, 1, callback.Standing{Accepted: at(0), AttemptsLeft: 5}},
		{"one failure", []answer{no(0, "a")}, 1,
			callback.Standing{InARow: 1, Reason: "mismatch", Refused: at(0), Failing: 1, NextRetry: at(8), AttemptsLeft: 5}},
		{"the third attempt failed", []answer{no(0, "a"), no(8, "a"), no(72, "a")}, 73,
			callback.Standing{InARow: 3, Reason: "mismatch", Refused: at(72), Failing: 1, NextRetry: at(72 + 512), AttemptsLeft: 3}},
		{"two deliveries, one nearer to its end", []answer{no(0, "a"), no(8, "a"), no(9, "b")}, 10,
			callback.Standing{InARow: 3, Reason: "mismatch", Refused: at(9), Failing: 2, NextRetry: at(17), AttemptsLeft: 4}},
		{"the retry was taken", []answer{no(0, "a"), yes(8, "a")}, 9,
			callback.Standing{Reason: "mismatch", Refused: at(0), Accepted: at(8), AttemptsLeft: 5}},
		{"another was taken, this one still fails", []answer{no(0, "a"), yes(3, "b")}, 4,
			callback.Standing{Reason: "mismatch", Refused: at(0), Accepted: at(3), Failing: 1, NextRetry: at(8), AttemptsLeft: 5}},
		{"large ones that differ at an end", []answer{no(0, large+"a"), no(8, large+"b"), no(9, "a"+large), no(10, large+"a")}, 11,
			callback.Standing{InARow: 4, Reason: "mismatch", Refused: at(10), Failing: 3, NextRetry: at(16), AttemptsLeft: 4}},
		{"given up", givenUp, 37449,
			callback.Standing{InARow: 6, Reason: "mismatch", Refused: at(37448), GivenUp: 1}},
		{"given up, but it calls on", append(givenUp[:6:6], yes(37500, "b")), 37501,
			callback.Standing{Reason: "mismatch", Refused: at(37448), Accepted: at(37500), GivenUp: 1, AttemptsLeft: 5}},
		{"given up, released and taken", append(givenUp[:6:6], yes(37500, "a")), 37501,
			callback.Standing{Reason: "mismatch", Refused: at(37448), Accepted: at(37500), AttemptsLeft: 5}},
		{"given up, released and refused anew", append(givenUp[:6:6], no(50000, "a")), 50001,
			callback.Standing{InARow: 7, Reason: "mismatch", Refused: at(50000), Failing: 1, NextRetry: at(50008), AttemptsLeft: 5}},
		{"a body that was not read", []answer{{0, "", "Request Entity Too Large"}}, 1,
			callback.Standing{InARow: 1, Reason: "Request Entity Too Large", Refused: at(0), AttemptsLeft: 5}},
		{"again before its time: nobody's attempt", []answer{no(0, "a"), no(1, "a"), no(3, "a"), no(8, "a"), no(30, "a")}, 31,
			callback.Standing{InARow: 5, Reason: "mismatch", Refused: at(30), Failing: 1, NextRetry: at(72), AttemptsLeft: 4}},
		{"again long after its time: the first attempt", []answer{no(0, "a"), no(8, "a"), no(500, "a")}, 501,
			callback.Standing{InARow: 3, Reason: "mismatch", Refused: at(500), Failing: 1, NextRetry: at(508), AttemptsLeft: 5}},
		{"retries counted from the first", []answer{no(0, "a"), no(8, "a"), no(64, "a"), no(512, "a")}, 513,
			callback.Standing{InARow: 4, Reason: "mismatch", Refused: at(512), Failing: 1, NextRetry: at(512 + 4096), AttemptsLeft: 2}},
		{"given up long ago", givenUp, 37448 + 8*24*3600,
			callback.Standing{InARow: 6, Reason: "mismatch", Refused: at(37448), AttemptsLeft: 5}},
		{"awaited for a while after its time", []answer{no(0, "a")}, 68,
			callback.Standing{InARow: 1, Reason: "mismatch", Refused: at(0), Failing: 1, NextRetry: at(8), AttemptsLeft: 5}},
		{"not awaited for ever", []answer{no(0, "a")}, 69,
			callback.Standing{InARow: 1, Reason: "mismatch", Refused: at(0), AttemptsLeft: 5}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := callback.NewRetryState()
			for _, a := range tt.answers {
				if a.reason == "" {
					p.Answered("crm", []byte(a.delivery), at(a.at))
				} else {
					p.Failed("crm", []byte(a.delivery), a.reason, at(a.at))
				}
			}
			if got := p.Standing("crm", at(tt.now)); got != tt.want {
				t.Errorf("Standing = %+v\nwant %+v", got, tt.want)
			}
			if got, want := p.Standing("other", at(tt.now)), (callback.Standing{AttemptsLeft: 5}); got != want {
				t.Errorf("Standing of another source = %+v, want %+v", got, want)
			}
		})
	}
}

func TestMayBePlatform(t *testing.T) {
	for reason, want := range map[string]bool{
		"mismatch": true, callback.BadCredentials: true, callback.MissingToken: true, callback.MismatchToken: true,
		"missing": false, "malformed": false, "ambiguous": false, "unsupported_algorithm": false, job.UnknownSource: false, "": false,
	} {
		if got := callback.MayBePlatform(reason); got != want {
			t.Errorf("MayBePlatform(%q) = %v, want %v", reason, got, want)
		}
	}
}

func TestSourcesInForce(t *testing.T) {
	r, err := callback.New(callback.Options{Sources: []callback.Source{source(t, "crm", "k")}})
	if err != nil {
		t.Fatal(err)
	}
	r.SetSources([]callback.Source{source(t, "erp", "k"), source(t, "b", "k"), source(t, "a", "k")})
	if !r.Knows("erp") || r.Knows("crm") {
		t.Errorf("Knows = %v of erp and %v of crm, want true and false", r.Knows("erp"), r.Knows("crm"))
	}
	var names []string
	for _, s := range r.Sources() {
		names = append(names, s.Name)
	}
	if want := []string{"a", "b", "erp"}; !slices.Equal(names, want) {
		t.Errorf("Sources() = %v, want %v", names, want)
	}
}
