package publish_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/natsserver"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// BenchmarkReading reads 100,000 messages of 1 KiB in three ways: by a consumer of the client
// library, which is the baseline; in batches from any replica; and from the leader alone.
func BenchmarkReading(b *testing.B) {
	const all, size = 100_000, 1 << 10
	server, err := natsserver.Start(natsserver.Embedded{Folder: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Stop)
	bus, err := publish.Open(b.Context(), server, conn.Options{})
	if err != nil {
		b.Fatal(err)
	}
	js, body := bus.JetStream(), bytes.Repeat([]byte("x"), size)
	for i := range all {
		if _, err := js.PublishMsgAsync(&nats.Msg{Subject: fmt.Sprintf("jobs.demo.%d.word", i), Data: body}); err != nil {
			b.Fatal(err)
		}
		if i%1000 == 0 {
			<-js.PublishAsyncComplete()
		}
	}
	<-js.PublishAsyncComplete()
	stream, err := js.Stream(b.Context(), conn.JobsStream)
	if err != nil {
		b.Fatal(err)
	}
	read := func(name string, way func() (int, error)) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(all * size)
			for b.Loop() {
				if n, err := way(); n != all || err != nil {
					b.Fatalf("read %d, %v", n, err)
				}
			}
			b.ReportMetric(float64(all)*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
	ours := func() (n int, err error) {
		err = bus.Range(b.Context(), conn.JobsStream, 1, all, func(publish.Message) error { n++; return nil })
		return n, err
	}
	read("consumer", func() (n int, err error) {
		c, err := stream.CreateConsumer(b.Context(), jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true})
		if err != nil {
			return 0, err
		}
		it, err := c.Messages(jetstream.PullMaxMessages(4096))
		if err != nil {
			return 0, err
		}
		defer it.Stop()
		for ; n < all && err == nil; n++ {
			_, err = it.Next()
		}
		return n, err
	})
	read("batches", ours)
	cfg := stream.CachedInfo().Config
	cfg.AllowDirect = false
	if _, err := js.UpdateStream(b.Context(), cfg); err != nil {
		b.Fatal(err)
	}
	read("leader", ours)
}
