package publish_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"

	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// BenchmarkStep measures the writes that each kind of callback makes, from 64 callers, under both
// settings of nats.sync, with group commit as the receiver configures it.
func BenchmarkStep(b *testing.B) {
	for _, always := range []bool{true, false} {
		for _, step := range []string{"event", "duplicate", "attempt"} {
			b.Run(fmt.Sprintf("%s/always=%v", step, always), func(b *testing.B) {
				bus := stepBus(b, always)
				var n atomic.Int64
				b.SetParallelism(32) // callers for each of the processors
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := takeStep(b.Context(), bus, step, n.Add(1)); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

func stepBus(b *testing.B, always bool) *publish.Store {
	b.Helper()
	s, err := natsserver.Start(natsserver.Embedded{Folder: b.TempDir(), SyncAlways: always, Log: zerolog.Nop()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Stop)
	bus, err := publish.Open(b.Context(), s, conn.Options{OneByOne: !always, Log: zerolog.Nop()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = bus.Close(context.Background()) })
	if _, err := bus.Publish(b.Context(), natstest.Event(job.Finished, "0", "COMPLETED")); err != nil {
		b.Fatal(err)
	}
	return bus
}

func takeStep(ctx context.Context, bus *publish.Store, step string, n int64) error {
	switch step {
	case "event":
		_, err := bus.Publish(ctx, natstest.Event(job.Finished, fmt.Sprint(n), "COMPLETED"))
		return err
	case "duplicate":
		_, err := bus.Publish(ctx, natstest.Event(job.Finished, "0", "COMPLETED"))
		return err
	}
	e := natstest.Event(job.Finished, "0", "COMPLETED")
	return bus.Record(ctx, job.Attempt{
		Source: e.Source, Verdict: job.Duplicate, Receipt: job.Receipt{Received: e.Time}, Body: e.Data, Size: int64(len(e.Data)), SHA256: job.BodySHA256(e.Data),
	})
}
