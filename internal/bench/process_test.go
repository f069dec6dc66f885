package bench_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"receiver/internal/bench"
)

// asProgram makes this test binary a program that is measured; its value is the address.
const asProgram = "RECEIVER_TEST_PROGRAM"

func TestMain(m *testing.M) {
	address := os.Getenv(asProgram)
	if address == "" {
		m.Run()
		return
	}
	fmt.Fprintln(os.Stderr, http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, `{"outcome":"accepted"}`)
	})))
}

// program is this test binary as one that serves at an address.
func program(t *testing.T, address string) bench.Program {
	t.Helper()
	return bench.Program{
		Args: []string{os.Args[0]}, Env: []string{asProgram + "=" + address},
		Log: filepath.Join(t.TempDir(), "log"), Ready: "http://" + address,
	}
}

// free is an address on which nothing listens.
func free(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// A program is measured from outside: what it answered, and what it and its servers used.
func TestAProcessIsMeasured(t *testing.T) {
	address := free(t)
	p, err := program(t, address).Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := load("http://" + address + "/callbacks/demo")
	got, err := bench.Measure(t.Context(), l, p, p) // it is its own server
	if err != nil || got.Requests == 0 || got.Answers["200 accepted"] != got.Requests {
		t.Errorf("Measure = %+v, %v, want nothing but accepted", got, err)
	}
	if runtime.GOOS == "linux" && (got.CPU != got.Servers || got.Peak < 1<<20) {
		t.Errorf("it used %+v, want the same of the program and its server, and some memory", got.Cost)
	}
	p.Stop()
	if _, err := http.Get("http://" + address); err == nil {
		t.Error("it answers after Stop")
	}
}

func TestUsageGrows(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	before := bench.ReadUsage(os.Getpid())
	for begin := time.Now(); bench.ReadUsage(os.Getpid()).CPU == before.CPU; {
		if time.Since(begin) > time.Minute {
			t.Fatalf("after a minute of work the CPU time is still %v", before.CPU)
		}
	}
	if none := bench.ReadUsage(-1); none != (bench.Usage{}) || before.Peak == 0 {
		t.Errorf("no process used %v, and this one %v of memory", none, before.Peak)
	}
}

func TestAProgramThatDoesNotStartIsHeard(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p := program(t, taken.Addr().String())
	p.Ready = "http://" + free(t)
	if _, err := p.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "it ended; it said: ") || !strings.Contains(err.Error(), "in use") {
		t.Errorf("Start = %v, want the last words of the program", err)
	}
	p.Args = []string{filepath.Join(t.TempDir(), "none")}
	if _, err := p.Start(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Start of no file = %v, want %v", err, os.ErrNotExist)
	}
}

// Nobody waits for a program after Ctrl-C.
func TestAStartIsBrokenOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := program(t, free(t))
	p.Ready = "http://" + free(t)
	cancel()
	if _, err := p.Start(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Start = %v, want %v", err, context.Canceled)
	}
}
