// Headername shows that nats-server misses one of its own headers if the value of a header before
// it contains the name of that header twice in a row. Here that header is the condition under
// which a message is stored: the server stores the message although the condition does not hold.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	folder, err := os.MkdirTemp("", "headername")
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
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	check(err)
	_, err = js.Publish(ctx, "s.one", nil)
	check(err)

	// The client library sends headers in a random order, so these messages are written by hand.
	const condition = "Nats-Expected-Last-Subject-Sequence" // 0: the subject must be empty
	answers, err := nc.SubscribeSync("answers")
	check(err)
	check(nc.Flush())
	raw, err := net.Dial("tcp", s.Addr().String())
	check(err)
	defer raw.Close()
	fmt.Fprint(raw, "CONNECT {\"headers\":true}\r\n")
	for _, comment := range []string{"none", condition, condition + ":", condition + condition} {
		header := fmt.Sprintf("NATS/1.0\r\nComment: %s\r\n%s: 0\r\n\r\n", comment, condition)
		fmt.Fprintf(raw, "HPUB s.one answers %d %d\r\n%s\r\n", len(header), len(header), header)
		answer, err := answers.NextMsg(5 * time.Second)
		check(err)
		found := "correct"
		if !strings.Contains(string(answer.Data), "wrong last sequence") {
			found = "fault"
		}
		fmt.Printf("%s: a second message with the header Comment: %s\n  %s\n", found, comment, answer.Data)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
