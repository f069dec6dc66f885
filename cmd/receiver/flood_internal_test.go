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

// flood sends HTTP requests again and again. The first argument is the address, the second the
// number of connections, and the others name the files of the requests, one for each connection in
// turn. It prints "ready" when they are open and, when its input ends, how many answers came.
func flood() {
	n, err := strconv.Atoi(os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2) //nolint:forbidigo // it is main
	}
	var requests [][]byte
	for _, file := range os.Args[3:] {
		request, err := os.ReadFile(file)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2) //nolint:forbidigo // it is main
		}
		requests = append(requests, request)
	}
	var answers atomic.Int64
	var opened sync.WaitGroup
	for i := range n {
		opened.Add(1)
		go forge(os.Args[1], requests[i%len(requests)], sync.OnceFunc(opened.Done), &answers)
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
