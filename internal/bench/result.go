package bench

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a load met with.
type Result struct {
	// Requests is how many were answered, in Elapsed seconds.
	Requests uint64  `json:"requests"`
	Elapsed  float64 `json:"elapsed_seconds"`
	// Rate is requests answered a second.
	Rate float64 `json:"requests_per_second"`
	// Latency is of the answered requests. In open loop it counts from when a request
	// fell due if it had to wait for a connection: one slow answer shows in all that it
	// held up.
	Latency Latency `json:"latency_ms"`
	// Answers counts answers by status, and by outcome where the answer names one, such
	// as `200 accepted`.
	Answers map[string]uint64 `json:"answers"`
	// Unexpected is how many answers had another status than their request should get,
	// Failed how many requests got none.
	Unexpected uint64 `json:"unexpected"`
	Failed     uint64 `json:"failed"`
	// Behind is how many requests had fallen due, in open loop, and were not sent: the
	// receiver, or this machine, does not bear the rate.
	Behind uint64 `json:"behind"`
	// GeneratorCPU is the CPU time of sending and reading, in microseconds for a request.
	GeneratorCPU float64 `json:"generator_cpu_us_per_request"`
}

// Latency is in milliseconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99_9"`
	Max  float64 `json:"max"`
}

// The range of measured latencies, to three digits.
const (
	shortest = time.Microsecond
	longest  = time.Minute
)

// tally is what one connection has met with.
type tally struct {
	times              *hdrhistogram.Histogram
	answers            map[string]*uint64
	unexpected, failed uint64
}

func newTally() *tally {
	return &tally{times: hdrhistogram.New(int64(shortest), int64(longest), 3), answers: map[string]*uint64{}}
}

func (t *tally) record(took time.Duration) {
	// Within its range a histogram takes every value.
	_ = t.times.RecordValue(int64(min(max(took, shortest), longest)))
}

// count counts an answer.
func (t *tally) count(kind Kind, status int, body []byte) {
	want := http.StatusOK
	if kind == Forged {
		want = http.StatusUnauthorized
	}
	if status != want {
		t.unexpected++
	}
	var room [32]byte
	label := strconv.AppendInt(room[:0], int64(status), 10)
	if outcome := outcome(body); len(outcome) > 0 {
		label = append(append(label, ' '), outcome...)
	}
	n := t.answers[string(label)]
	if n == nil {
		n = new(uint64)
		t.answers[string(label)] = n
	}
	*n++
}

// outcome returns the value of the member `outcome` of an answer, as the receiver
// writes it.
func outcome(body []byte) []byte {
	_, rest, _ := bytes.Cut(body, []byte(`"outcome":"`))
	word, _, found := bytes.Cut(rest, []byte(`"`))
	if !found || len(word) > 24 {
		return nil
	}
	return word
}

// add adds what another connection has met with.
func (t *tally) add(other *tally) {
	t.times.Merge(other.times)
	for answer, n := range other.answers {
		if t.answers[answer] == nil {
			t.answers[answer] = new(uint64)
		}
		*t.answers[answer] += *n
	}
	t.unexpected += other.unexpected
	t.failed += other.failed
}

func (t *tally) result(elapsed time.Duration) Result {
	ms := func(v int64) float64 { return float64(v) / float64(time.Millisecond) }
	n := uint64(t.times.TotalCount())
	answers := make(map[string]uint64, len(t.answers))
	for answer, n := range t.answers {
		answers[answer] = *n
	}
	return Result{
		Requests: n, Elapsed: elapsed.Seconds(), Rate: float64(n) / elapsed.Seconds(),
		Answers: answers, Unexpected: t.unexpected, Failed: t.failed,
		Latency: Latency{
			P50: ms(t.times.ValueAtQuantile(50)), P99: ms(t.times.ValueAtQuantile(99)),
			P999: ms(t.times.ValueAtQuantile(99.9)), Max: ms(t.times.Max()),
		},
	}
}
