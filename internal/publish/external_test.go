package publish_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish/conn"
)

// A server of an operator is given single messages and batches in turn, to learn which is faster.
// Each event is stored once all the same, and the sequence that its caller gets is its own.
func TestEventsAreStoredOnceInEitherWay(t *testing.T) {
	t.Parallel()
	const callers, each = 64, 100
	s := natstest.NewServerWith(t, server.Options{SyncAlways: true})
	b := natstest.Dial(t, s.External(), conn.Options{Log: zerolog.Nop()})
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[uint64]string{}
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				e := natstest.Event(job.Finished, fmt.Sprint(c%(callers/2), "-", i), "COMPLETED") // each by two callers
				stored, err := b.Publish(t.Context(), e)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if there, ok := got[stored.Sequence]; ok && there != e.Subject() {
					t.Errorf("sequence %d is that of %s and of %s", stored.Sequence, there, e.Subject())
				}
				got[stored.Sequence] = e.Subject()
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	batched := 0
	for _, m := range s.Everything(conn.JobsStream) {
		if got[m.Sequence] != m.Subject {
			t.Errorf("sequence %d is %s, its caller was told %q", m.Sequence, m.Subject, got[m.Sequence])
		}
		if len(m.Header[conn.BatchIDHeader]) > 0 {
			batched++
		}
		delete(got, m.Sequence)
	}
	if len(got) > 0 {
		t.Errorf("%d events were acknowledged and are not stored", len(got))
	}
	if total := callers / 2 * each; batched == 0 || batched == total {
		t.Errorf("%d of %d events were stored in batches, want some in each way", batched, total)
	}
}
