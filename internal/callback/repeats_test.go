package callback_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"receiver/internal/callback"
	"receiver/internal/job"
)

// Whoever has captured one callback and sends it for hours leaves a record a minute without its
// body, and nothing gets lost: the first is recorded before it is answered, the others are counted.
func TestRepeatsTakeABoundedRoom(t *testing.T) {
	large := strings.Repeat("x", 4<<10)
	for _, tt := range []struct {
		name, first, replay, verdict string
		bodies                       int // kept in ATTEMPTS
		vary                         bool
	}{
		{name: "the end", first: `{"id":"1","status":"COMPLETED","x":"` + large + `"}`, verdict: job.Duplicate},
		{name: "the end in other bytes", first: `{"id":"1","status":"COMPLETED"}`, replay: `{"id":"1","status":"completed","x":"` + large + `"}`, verdict: job.Duplicate, bodies: 1},
		{name: "another end", first: `{"id":"1","status":"ABORTED","x":"` + large + `"}`, verdict: job.Duplicate},
		{name: "progress", first: `{"id":"1","status":"RUNNING","x":"` + large + `"}`, verdict: job.Duplicate},
		{name: "unrecognised", first: large, verdict: job.Duplicate},
		{name: "from many addresses, with other headers", first: `{"id":"1","status":"COMPLETED","x":"` + large + `"}`, verdict: job.Duplicate, vary: true},
		{name: "quarantined", first: `{"id":"9","status":"COMPLETED","x":"` + large + `"}`, verdict: job.Quarantined, bodies: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &shelf{}
				r := newReceiver(t, s)
				if tt.verdict == job.Quarantined {
					src := source(t, "demo", demoSecret)
					src.Quarantine, src.Expected = true, func(context.Context, string) (bool, error) { return false, nil }
					r.SetSources([]callback.Source{src})
				}
				accepted(t, r, signed(demoSecret, tt.first))
				recorded := len(s.recorded)
				q := signed(demoSecret, tt.first)
				if tt.replay != "" {
					q = signed(demoSecret, tt.replay)
				}
				const n = 600
				for i := range n {
					if tt.vary {
						q.Remote, q.Headers = fmt.Sprint("192.0.2.", i%256), headers(fmt.Sprintf(`{"X":["%d"]}`, i))
					}
					if got := accepted(t, r, q); got.Kind != tt.verdict {
						t.Fatalf("%+v, want %s", got, tt.verdict)
					}
					if i == 0 && recorded == 0 && len(s.recorded) != 1 {
						t.Fatal("the first repeat was answered before it was recorded")
					}
					time.Sleep(time.Second) //nolint:forbidigo // in a synctest bubble
				}
				r.Flush()
				all := append(s.recorded, s.offered...)
				count, bodies := 0, 0
				for _, a := range all {
					if a.Verdict != tt.verdict || a.SHA256 != job.BodySHA256(q.Body) || a.Size != int64(len(q.Body)) || a.Receipt.Key != "2026" {
						t.Fatalf("recorded %s with %d of %d bytes", a.Subject(), len(a.Body), a.Size)
					}
					if count += max(a.Repeats, 1); len(a.Body) > 0 {
						bodies++
					}
				}
				if want := n + recorded; count != want || bodies != tt.bodies || len(all) > n/60*2+2 {
					t.Errorf("%d records with %d bodies tell of %d, want %d with %d bodies", len(all), bodies, count, want, tt.bodies)
				}
			})
		})
	}
}

// A repeat is answered by what became of its record, and by nobody else's.
func TestARepeatThatIsNotRecordedIsNotAnswered200(t *testing.T) {
	s := &shelf{}
	r := newReceiver(t, s)
	q := signed(demoSecret, `{"id":"1","status":"COMPLETED"}`)
	accepted(t, r, q)
	s.failRecord = errors.New("down")
	for range 2 {
		if got, err := r.Accept(t.Context(), q); err == nil {
			t.Errorf("%+v though the store is down", got)
		}
	}
	s.failRecord = nil
	accepted(t, r, q)
	if len(s.recorded) != 1 {
		t.Errorf("%d records, want the one", len(s.recorded))
	}
}

func accepted(t *testing.T, r *callback.Receiver, q callback.Request) callback.Outcome {
	t.Helper()
	out, err := r.Accept(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
