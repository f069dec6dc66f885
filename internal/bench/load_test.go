package bench_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"receiver/internal/bench"
)

const key = "the-key-of-the-tests"

// load returns a small valid load.
func load(url string) bench.Load {
	return bench.Load{
		URL: url, Key: bench.Key(key), Seed: 7, Connections: 4, Duration: 50 * time.Millisecond,
		Body: 246, LargeBody: 4096, Prime: 8,
	}
}

func TestOnlyThisHostIsPutUnderLoad(t *testing.T) {
	for _, tt := range []struct {
		url   string
		local bool
	}{
		{"http://127.0.0.1:8080/callbacks/demo", true},
		{"http://127.8.9.10:8080/callbacks/demo", true},
		{"http://[::1]:8080/callbacks/demo", true},
		{"http://[::ffff:127.0.0.1]:8080/callbacks/demo", true},
		{"http://localhost/callbacks/demo", true},
		{"http://example.com/callbacks/demo", false},
		{"http://127.0.0.1.example.com/callbacks/demo", false},
		{"http://localhost.example.com/callbacks/demo", false},
		{"http://10.0.0.1:8080/callbacks/demo", false},
		{"http://0.0.0.0:8080/callbacks/demo", false},
		{"http://[2001:db8::1]/callbacks/demo", false},
		{"http:///callbacks/demo", false},
	} {
		err := load(tt.url).Check()
		if got := !errors.Is(err, bench.ErrNotLocal); got != tt.local {
			t.Errorf("load on %s: %v; taken for this host: %v, want %v", tt.url, err, got, tt.local)
		}
		if tt.local {
			continue // what listens there is not the test's
		}
		if _, err := bench.Start(t.Context(), load(tt.url)); !errors.Is(err, bench.ErrNotLocal) {
			t.Errorf("Start on %s = %v, want ErrNotLocal", tt.url, err)
		}
	}
}

func TestCheckNamesEveryFault(t *testing.T) {
	if err := load("http://127.0.0.1/callbacks/demo").Check(); err != nil {
		t.Fatalf("Check of a good load = %v, want nil", err)
	}
	for _, tt := range []struct {
		fault  string
		change func(*bench.Load)
	}{
		{"want http://", func(l *bench.Load) { l.URL = "https://127.0.0.1/" }},
		{"want http://", func(l *bench.Load) { l.URL = "http://user:secret@127.0.0.1/" }},
		{"the key", func(l *bench.Load) { l.Key = nil }},
		{"connections", func(l *bench.Load) { l.Connections = 0 }},
		{"rate", func(l *bench.Load) { l.Rate = -1 }},
		{"a duration", func(l *bench.Load) { l.Duration = 0 }},
		{"warm-up", func(l *bench.Load) { l.Warmup = -1 }},
		{"a body of", func(l *bench.Load) { l.Body = bench.MinBody - 1 }},
		{"a large body", func(l *bench.Load) { l.Large, l.LargeBody = 0.1, 1 }},
		{"a share", func(l *bench.Load) { l.Refusals = 1.5 }},
		{"a sum above 1", func(l *bench.Load) { l.Refusals, l.Duplicates = 0.6, 0.6 }},
		{"repeat", func(l *bench.Load) { l.Duplicates, l.Prime = 0.1, 0 }},
	} {
		l := load("http://127.0.0.1/callbacks/demo")
		tt.change(&l)
		err := l.Check()
		if err == nil || !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("Check = %v, want something about %q", err, tt.fault)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("Check tells the password of an address: %v", err)
		}
	}
	if err := (bench.Load{}).Check(); err == nil || strings.Count(err.Error(), "\n") < 3 {
		t.Errorf("Check of an empty load = %v, want all its faults", err)
	}
}

func TestALoadDoesNotTellItsKey(t *testing.T) {
	l := load("http://127.0.0.1/")
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, l); strings.Contains(text, key) || strings.Contains(text, "116, 104") {
			t.Errorf("a load printed by %s tells its key: %s", format, text)
		}
	}
}
