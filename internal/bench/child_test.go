package bench_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"receiver/internal/bench"
)

// asGenerator makes this test binary a generator.
const asGenerator = "RECEIVER_TEST_GENERATOR"

func TestMain(m *testing.M) {
	if os.Getenv(asGenerator) == "" {
		m.Run()
		return
	}
	if err := bench.Generate(context.Background(), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func generator() *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asGenerator+"=1")
	return cmd
}

func TestAChildMeasures(t *testing.T) {
	l := load(stand(t, nil))
	child, err := bench.Launch(t.Context(), generator(), l)
	if err != nil {
		t.Fatal(err)
	}
	got, err := child.Measure(t.Context())
	if err != nil || got.Requests == 0 || got.Answers["200 accepted"] != got.Requests {
		t.Errorf("Measure = %+v, %v, want nothing but accepted", got, err)
	}
	if err := child.Close(); err != nil {
		t.Errorf("Close = %v, want nil", err)
	}
}

func TestInterruptedChildGivesItsResults(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := load(stand(t, func(_ http.ResponseWriter, n int64) {
		if n == 50 {
			cancel()
		}
	}))
	l.Duration = time.Minute
	child, err := bench.Launch(t.Context(), generator(), l)
	if err != nil {
		t.Fatal(err)
	}
	got, err := child.Measure(ctx)
	if err != nil || got.Requests < 42 || got.Elapsed > 30 {
		t.Errorf("Measure = %+v, %v, want what was answered until it was broken off", got, err)
	}
	if err := child.Close(); err != nil {
		t.Errorf("Close = %v, want nil", err)
	}
}

func TestAChildsComplaintIsHeard(t *testing.T) {
	l := load(stand(t, nil))
	l.Key = bench.Key("another")
	_, err := bench.Launch(t.Context(), generator(), l)
	if err == nil || !strings.Contains(err.Error(), "check the address, the source and the key") || strings.Contains(err.Error(), "another") {
		t.Errorf("Launch = %v, want what the generator complains of, without the key", err)
	}
}
