// Status shows that nats.go does not return a stored message that has a header Status and no data:
// it takes the message for the server's answer. A consumer passes over such a message; if the
// message says 404, Stream.GetMsg reports that it does not exist.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	folder, err := os.MkdirTemp("", "status")
	check(err)
	defer os.RemoveAll(folder)
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: folder, NoSigs: true, NoLog: true})
	check(err)
	s.Start()
	defer s.Shutdown()
	if !s.ReadyForConnections(10 * time.Second) {
		log.Fatal("the server does not start")
	}
	nc, err := nats.Connect(s.ClientURL())
	check(err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	check(err)
	ctx := context.Background()
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, AllowDirect: true})
	check(err)
	for _, header := range []nats.Header{{}, {"Status": {"404"}}, {}} {
		_, err = js.PublishMsg(ctx, &nats.Msg{Subject: "s.one", Header: header})
		check(err)
	}

	if _, err = stream.GetMsg(ctx, 2); err != nil {
		fmt.Println("fault: GetMsg of message 2 of 3:", err)
	} else {
		fmt.Println("correct: GetMsg returns message 2 of 3")
	}

	consumer, err := js.OrderedConsumer(ctx, "S", jetstream.OrderedConsumerConfig{})
	check(err)
	batch, err := consumer.Fetch(3, jetstream.FetchMaxWait(time.Second))
	check(err)
	var got []uint64
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		check(err)
		got = append(got, meta.Sequence.Stream)
	}
	if len(got) < 3 {
		fmt.Println("fault: a consumer of 3 messages delivers", got, batch.Error())
	} else {
		fmt.Println("correct: a consumer of 3 messages delivers", got)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
