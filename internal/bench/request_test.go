package bench_test

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"net/http"
	"testing"

	"receiver/internal/bench"
	"receiver/internal/job"
	"receiver/internal/verify"
)

// mixed is a load of everything.
func mixed() bench.Load {
	l := load("http://127.0.0.1:8080/callbacks/demo")
	l.Duplicates, l.Refusals, l.Large = 0.2, 0.1, 0.25
	return l
}

func writer(t *testing.T, l bench.Load) *bench.Writer {
	t.Helper()
	w, err := bench.NewWriter(l)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// The same load is the same bytes, from any writer and in any order.
func TestALoadIsTheSameEachTime(t *testing.T) {
	const n = 500
	first, again := writer(t, mixed()), writer(t, mixed())
	other := mixed()
	other.Seed++
	different := writer(t, other)
	texts := make([][]byte, n)
	for i := range texts {
		text, _ := first.Request(uint64(i))
		texts[i] = bytes.Clone(text)
	}
	for i := n - 1; i >= 0; i-- {
		if text, _ := again.Request(uint64(i)); !bytes.Equal(text, texts[i]) {
			t.Fatalf("request %d of the same load is\n%s\nwant\n%s", i, text, texts[i])
		}
		if text, _ := different.Request(uint64(i)); bytes.Equal(text, texts[i]) {
			t.Fatalf("request %d is the same with another seed:\n%s", i, text)
		}
	}
}

// Requests are what they are said to be, judged by the code that judges callbacks.
func TestRequestsAreOfTheirKind(t *testing.T) {
	l := mixed()
	w, v := writer(t, l), verifier(t)
	const primes, n = 1 << 40, 5_000
	primed := map[string]bool{}
	for i := range l.Prime {
		text, kind := w.Request(primes + uint64(i))
		if kind != bench.Fresh {
			t.Fatalf("callback %d to begin with is of kind %v, want %v", i, kind, bench.Fresh)
		}
		primed[string(text)] = true
	}
	jobs, kinds, large := map[string]bool{}, map[bench.Kind]int{}, 0
	for i := range uint64(n) {
		text, kind := w.Request(i)
		kinds[kind]++
		if kind == bench.Repeat {
			if !primed[string(text)] {
				t.Fatalf("request %d repeats none of what was sent to begin with:\n%s", i, text)
			}
			continue
		}
		r, body := parse(t, text)
		if r.URL.Path != "/callbacks/demo" || r.Host != "127.0.0.1:8080" {
			t.Fatalf("request %d goes to %s %s", i, r.Host, r.URL)
		}
		verdict := v.Verify(r.Header.Values(verify.Header), body)
		if want := kind == bench.Fresh; verdict.Accepted() != want || !want && verdict.Reason != verify.Mismatch {
			t.Fatalf("request %d of kind %v: %v", i, kind, verdict)
		}
		view, err := job.Read(body)
		if err != nil || jobs[view.ID] || view.Result != job.Succeeded {
			t.Fatalf("request %d: job %q, seen before: %v, result %s, error %v", i, view.ID, jobs[view.ID], view.Result, err)
		}
		jobs[view.ID] = true
		switch len(body) {
		case l.Body:
		case l.LargeBody:
			large++
		default:
			t.Fatalf("request %d has a body of %d bytes, want %d or %d", i, len(body), l.Body, l.LargeBody)
		}
	}
	for name, share := range map[string]struct{ got, want float64 }{
		"repeats": {float64(kinds[bench.Repeat]) / n, l.Duplicates},
		"forged":  {float64(kinds[bench.Forged]) / n, l.Refusals},
		"large":   {float64(large) / float64(kinds[bench.Fresh]), l.Large},
	} {
		if math.Abs(share.got-share.want) > 0.03 {
			t.Errorf("the share of %s is %.3f, want about %.3f", name, share.got, share.want)
		}
	}
}

func TestTheSmallestBodyIsWhatItSays(t *testing.T) {
	l := load("http://127.0.0.1/")
	l.Body = bench.MinBody
	text, _ := writer(t, l).Request(0)
	if _, body := parse(t, text); len(body) != bench.MinBody {
		t.Errorf("the smallest body has %d bytes, want %d", len(body), bench.MinBody)
	}
}

func parse(t *testing.T, text []byte) (*http.Request, []byte) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(text)))
	if err != nil {
		t.Fatalf("%v in request\n%s", err, text)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatalf("%v in the body of\n%s", err, text)
	}
	return r, body
}

func verifier(t *testing.T) *verify.Verifier {
	t.Helper()
	k, err := verify.NewKey("bench", []byte(key), verify.Window{})
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(k)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
