package simulator

import (
	"cmp"
	"math/rand/v2"
	"strings"
	"time"
)

// Faults are the dials of one job, or of the platform's default for every job. The zero value is a
// platform in good order. ParseFaults makes them from text and checks them; a Faults put together
// in Go is not checked, and words no dial knows are as good as unset.
//
// In the platform's default, HTTP and Slow befall all API requests, HTTP counted over the platform.
// In a job's own set they befall the requests about that job after the POST that made it. Dials
// that a job's set (or a drawn one) leaves unset are those of the default; the word "none" unsets.
type Faults struct {
	Callback   Callback
	Signature  Signature
	Keys       string        // "v1" (the default) or "v3": generation of field names
	ID         string        // "string", "number", "big" (a number beyond 2^53); "" lets the seed choose
	Status     string        // final status instead of COMPLETED, verbatim
	Progress   string        // a callback with this status while the job runs
	Conflict   string        // a second callback with this status after the first; "other" picks one
	Failed     int           // that many rows fail, AllRows for every one; bad rows of the file always do
	Post       string        // what becomes of the POST: a status code, "drop" (no job) or "lost" (job made)
	HTTP       []Answer      // instead of an answer, in this order
	HTML       bool          // what HTTP and Post answer is an HTML page
	RetryAfter time.Duration // Retry-After of what HTTP and Post answer, in whole seconds, rounded up
	Slow       time.Duration // pause before each answer, not scaled
	Timeout    time.Duration // how long the sender waits for a callback's answer, not scaled; 0 means 30 s
	Mix        []Faults      // each job draws one of these and lays it over the rest
	Rate       float64       // chance of drawing from Mix at all; 0 means 1
}

// AllRows as Faults.Failed makes every row fail.
const AllRows = -1

// Callback says when and how often the callback at the end is sent.
type Callback struct {
	Mode  string        // "once" (as ""), "never", "late", "times", "early" (before the POST is answered)
	Late  time.Duration // for "late": after the job's end, scaled
	Times int           // for "times": so many equal ones at once
}

// Signature says what is wrong with the callback's signature.
type Signature struct {
	Mode     string // "right" (as ""), "wrong_key", "forged" (body changed after signing), "none" (no header)
	Attempts int    // only the first so many attempts of a callback; 0 means all
}

// Answer is a fault of the API's own answers.
type Answer struct {
	Code  int // 400 to 599; 0 drops the connection, which Go's client hides by repeating a GET if it was a kept one
	Times int // so many requests; AllRequests for every one
}

// AllRequests as Answer.Times never ends.
const AllRequests = -1

const none = "none"

// over lays f over the platform's default base. Mix stays behind: it belongs to the platform; HTTP
// and Slow of the base too: they are applied to all requests already.
func (f Faults) over(base Faults) Faults {
	return Faults{
		Callback:   cmp.Or(f.Callback, base.Callback),
		Signature:  cmp.Or(f.Signature, base.Signature),
		Keys:       cmp.Or(f.Keys, base.Keys),
		ID:         cmp.Or(f.ID, base.ID),
		Status:     cmp.Or(f.Status, base.Status),
		Progress:   cmp.Or(f.Progress, base.Progress),
		Conflict:   cmp.Or(f.Conflict, base.Conflict),
		Failed:     cmp.Or(f.Failed, base.Failed),
		Post:       cmp.Or(f.Post, base.Post),
		HTTP:       f.HTTP,
		HTML:       f.HTML || base.HTML,
		RetryAfter: cmp.Or(f.RetryAfter, base.RetryAfter),
		Slow:       f.Slow,
		Timeout:    cmp.Or(f.Timeout, base.Timeout),
	}
}

// draw picks what the n-th job gets from the mix, the zero Faults when there is none or the rate
// says so.
func (f Faults) draw(seed, n uint64) Faults {
	if len(f.Mix) == 0 {
		return Faults{}
	}
	dice := rand.New(rand.NewPCG(seed, ^n))
	if f.Rate > 0 && dice.Float64() >= f.Rate {
		return Faults{}
	}
	return f.Mix[dice.IntN(len(f.Mix))]
}

// word is a dial's word, "" when unset.
func word(s string) string {
	if s == none {
		return ""
	}
	return s
}

// EveryFault is what the bare dial "mix" draws from: each fault alone, and one job in good order.
// Faults that leave no end to find out about (an unknown final status), or that end all calling for
// everyone (a signature wrong for ever), are not in it.
func EveryFault() []Faults {
	texts := strings.Fields(`callback=once callback=never callback=late:30s callback=twice callback=times:10
		callback=early signature=wrong_key:1 signature=forged:1 signature=none:1 keys=v3 id=number id=big
		keys=v3,id=big status=COMPLETE status=SUCCESS status=WARNING status=ABORTED status=ERROR
		status=CANCELLED progress progress=SIMMERING conflict failed=1 failed=all callback=never,failed=1
		http=429:1 http=429:1,retry_after=1s http=502:2,html http=503:1 http=401:1 http=drop:1 slow=200ms
		post=429 post=503,html post=drop post=lost post=lost,callback=never`)
	all := make([]Faults, len(texts))
	for i, text := range texts {
		all[i], _ = ParseFaults(text) // constants of ours; a test parses each
	}
	return all
}
