// Package conformance attacks a webhook receiver whose sender signs bodies by HMAC, and says
// of each attack what should have come of it, and what did.
//
// It speaks to loopback addresses only, without a switch for it, over raw connections, and it
// signs by itself: code shared with the receiver would hide a fault of both. It judges what can
// be seen from outside: answers, closed connections and how long they took. It cannot see what
// was stored, nor whether signatures are compared in constant time.
package conformance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Options says what to attack, and with what.
type Options struct {
	// URL is the address of the receiver: http or https on loopback.
	URL string
	// Key signs, as the sender would.
	Key []byte
	// Scheme says how; see Schemes.
	Scheme Scheme
	// OtherURL and OtherKey are those of a second source at the same receiver; empty for none.
	OtherURL string
	OtherKey []byte
	// Time bounds the whole run.
	Time time.Duration
	// CutOff is how long the receiver may take to end a connection that sends too slowly.
	CutOff time.Duration
	// Idle is the number of idle connections in the class connections.
	Idle int
	// Only names the classes to run besides the control; none means all.
	Only []string
	// Restart restarts the receiver and returns when that is done; nil if nothing can.
	Restart func(ctx context.Context) error
	// Earlier is what a run before a restart returned in Report.Kept; nil for none. A run with it
	// judges the restart only.
	Earlier *Kept
}

// The verdicts.
const (
	Pass = "pass"
	Fail = "fail"
	Skip = "skip"
)

// Result is what came of one case. It holds neither a key nor a whole signature.
type Result struct {
	Class    string `json:"class"`
	Name     string `json:"name"`
	Request  string `json:"request"`
	Expected string `json:"expected"`
	Seen     string `json:"seen"`
	Verdict  string `json:"verdict"`
}

// Report is the outcome of a run.
type Report struct {
	Results []Result
	// Kept is what Options.Earlier takes after a restart.
	Kept *Kept
}

// Count returns how many results have a verdict.
func (c Report) Count(verdict string) int {
	n := 0
	for _, r := range c.Results {
		if r.Verdict == verdict {
			n++
		}
	}
	return n
}

// ErrControl is returned by Run when the receiver does not accept what is rightly signed: then
// nothing else can be judged. The error says what to check.
var ErrControl = errors.New("the receiver does not accept a correctly signed callback")

// ErrUse is returned by Run for options that make no sense; nothing was sent then.
var ErrUse = errors.New("wrong usage")

// class is a kind of attack. Its probes are made when it is its turn.
type class struct {
	name   string
	probes func(*runner) []probe
}

// classes are all kinds of attacks but slow ones, in the order of the report.
var classes = []class{
	{"stripping", (*runner).stripping},
	{"keys", (*runner).keys},
	{"algorithms", (*runner).algorithms},
	{"macs", (*runner).macs},
	{"headers", (*runner).headers},
	{"replays", (*runner).replays},
	{"re-encoding", (*runner).reencoding},
	{"identity", (*runner).identity},
	{"lengths", (*runner).lengths},
	{"chunks", (*runner).chunks},
	{"connections", (*runner).connections},
	{"smuggling", (*runner).smuggling},
	{"encodings", (*runner).encodings},
	{"paths", (*runner).paths},
	{"json", (*runner).json},
	{"subjects", (*runner).subjects},
	{"oracles", (*runner).oracles},
	{"dedup", (*runner).dedup},
	{"tenants", (*runner).tenants},
	{"restart", (*runner).restarts},
}

// Classes returns the names of all kinds of attacks.
func Classes() []string {
	names := []string{"control"}
	for _, c := range classes {
		names = append(names, c.name)
	}
	return append(names, "slow")
}

// runner is one run.
type runner struct {
	Options
	to, other *target
	id        string // of the run
	n         int    // jobs made so far
	kept      *Kept
	mark      marker
}

// Run attacks the receiver. Its error wraps ErrUse or ErrControl, or is that of ctx; what was
// judged until then is on the report.
func Run(ctx context.Context, o Options) (Report, error) {
	r := &runner{Options: o, id: strings.ToLower(rand.Text()[:10])}
	r.kept = &Kept{URL: o.URL, Body: string(r.fresh())}
	for _, name := range o.Only {
		if !slices.Contains(Classes(), name) {
			return Report{}, fmt.Errorf("%w: unknown class %q; the classes are: %s", ErrUse, name, strings.Join(Classes(), ", "))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, o.Time)
	defer cancel()
	var err error
	if r.to, err = newTarget(ctx, o.URL); err != nil {
		return Report{}, err
	}
	if o.OtherURL != "" {
		if r.other, err = newTarget(ctx, o.OtherURL); err != nil {
			return Report{}, err
		}
	}
	var report Report
	result, err := r.control(ctx)
	report.Results = append(report.Results, result)
	if err != nil {
		return report, err
	}
	if o.Earlier != nil {
		report.Results = append(report.Results, r.class(ctx, class{"restart", (*runner).resumed})...)
		return report, context.Cause(ctx)
	}
	slow := make(chan []Result, 1)
	go func() { slow <- r.slow(ctx) }()
	for _, c := range classes {
		if r.wanted(c.name) {
			report.Results = append(report.Results, r.class(ctx, c)...)
		}
	}
	report.Results = append(report.Results, <-slow...)
	report.Kept = r.kept
	return report, nil
}

func (r *runner) wanted(class string) bool { return len(r.Only) == 0 || slices.Contains(r.Only, class) }

// class judges all cases of a class, and whether the receiver still works after them.
func (r *runner) class(ctx context.Context, c class) []Result {
	if ctx.Err() != nil {
		return []Result{r.judge(ctx, c.name, probe{name: "all cases"})}
	}
	var results []Result
	probes := c.probes(r)
	for _, p := range probes {
		results = append(results, r.judge(ctx, c.name, p))
	}
	if results[len(results)-1].Verdict == Skip && len(results) == 1 {
		return results
	}
	return append(results, r.judge(ctx, c.name, r.signed("afterwards, a signed callback is accepted", accepted, r.fresh())))
}

// control sends what is rightly signed.
func (r *runner) control(ctx context.Context) (Result, error) {
	p := r.signed("a signed callback is accepted", accepted, r.fresh())
	got, err := r.exchange(ctx, p)
	result := r.result("control", p, got, err)
	if result.Verdict == Pass {
		return result, nil
	}
	return result, fmt.Errorf("%w: %s", ErrControl, r.advice(got, err))
}

// advice says what to check when the control fails.
func (r *runner) advice(got seen, err error) string {
	if err != nil {
		return fmt.Sprintf("%v; check that the receiver runs, and that --url has its address, port and scheme", err)
	}
	if len(got.answers) == 0 {
		return fmt.Sprintf("the result is: %s; check http or https in --url, and the port", got)
	}
	code := got.answers[0].code
	advice := "check --url"
	switch {
	case code == 401 || code == 403 || code == 400:
		advice = fmt.Sprintf("check --key-file (one newline at its end is removed), --scheme (now %s) and --header (now %s); a receiver that "+
			"requires more than a signature, such as a token or a password, cannot be tested", r.Scheme.Name, r.Scheme.Header)
	case code == 404 || code == 405:
		advice = "check the path in --url; callbacks are sent by POST"
	case code >= 300 && code < 400:
		advice = "redirects are not followed; give the final address in --url"
	case code >= 500:
		advice = "the receiver has an internal error; see its log"
	}
	return fmt.Sprintf("it responds %s; %s", got, advice)
}

// job returns a new id of a job.
func (r *runner) job() string {
	r.n++
	return fmt.Sprintf("conformance-%s-%d", r.id, r.n)
}

// fresh returns a body about a new job.
func (r *runner) fresh() []byte { return bodyOf(r.job()) }

func bodyOf(id string) []byte {
	// Keys are sorted, so that a receiver that writes JSON again accepts the control, and fails
	// where it must.
	return fmt.Appendf(nil, `{"id":"%s","note":"ünï","recordsCount":3,"recordsFailedCount":0,"status":"COMPLETED"}`, id)
}
