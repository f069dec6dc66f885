//go:build e2e

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
)

func init() { programs["flood"] = flood }

// flood sends the HTTP request in $FLOOD_REQUEST to the address in its first argument, again
// and again from as many connections as the second says. It prints "ready" when they are open
// and, when its input ends, how many answers came.
func flood() {
	n, err := strconv.Atoi(os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2) //nolint:forbidigo // it is main
	}
	request := []byte(os.Getenv("FLOOD_REQUEST"))
	var answers atomic.Int64
	var opened sync.WaitGroup
	for range n {
		opened.Add(1)
		go forge(os.Args[1], request, sync.OnceFunc(opened.Done), &answers)
	}
	opened.Wait()
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	fmt.Println("answers", answers.Load())
}

// forge sends requests on one connection after the other.
func forge(address string, request []byte, opened func(), answers *atomic.Int64) {
	for {
		conn, err := net.Dial("tcp", address)
		opened()
		if err != nil {
			continue
		}
		for r := bufio.NewReader(conn); err == nil; {
			if _, err = conn.Write(request); err != nil {
				break
			}
			var answer *http.Response
			if answer, err = http.ReadResponse(r, nil); err == nil {
				_, err = io.Copy(io.Discard, answer.Body)
				answers.Add(1)
			}
		}
		_ = conn.Close() // it is done with
	}
}
