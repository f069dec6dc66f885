// Sequence shows that nats-server counts one by one up to a sequence that is damaged in a block
// file, and takes at least four bytes of memory for each step. With the sequence 1<<40 that is
// four tebibytes, and hours. The checksum of the message, which is wrong, is only checked later.
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func main() {
	folder, err := os.MkdirTemp("", "sequence")
	check(err)
	defer os.RemoveAll(folder)
	ctx := context.Background()
	s, js := start(folder)
	_, err = js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	check(err)
	for range 3 {
		_, err = js.Publish(ctx, "s.one", []byte("hello"))
		check(err)
	}
	s.Shutdown()
	s.WaitForShutdown()

	block := filepath.Join(folder, "jetstream", "$G", "streams", "S", "msgs", "1.blk")
	data, err := os.ReadFile(block)
	check(err)
	second := binary.LittleEndian.Uint32(data) // the length of the first message
	data[second+4+5] ^= 1                      // bit 40 of the second message's sequence
	check(os.WriteFile(block, data, 0o600))

	done := make(chan error, 1)
	go func() {
		_, js := start(folder)
		stream, err := js.Stream(ctx, "S")
		check(err)
		_, err = stream.GetMsg(ctx, 3)
		done <- err
	}()
	select {
	case err := <-done:
		fmt.Println("correct: the server answers a request for message 3:", err)
	case <-time.After(2 * time.Second):
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Printf("fault: after two seconds the server has not answered a request for message 3, and has %d MiB of memory\n", m.Sys>>20)
	}
}

func start(folder string) (*server.Server, jetstream.JetStream) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: folder, NoSigs: true, NoLog: true})
	check(err)
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		log.Fatal("the server does not start")
	}
	nc, err := nats.Connect(s.ClientURL())
	check(err)
	js, err := jetstream.New(nc)
	check(err)
	return s, js
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
