package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/verify"
	"receiver/internal/web"
)

// The bounds of what a signature is compared with.
const (
	historyMessages = 1000 // newest messages of each stream that are looked at
	historyKept     = 200  // newest callbacks of the source among those of a stream
	historyBody     = 64 << 10
	historyTimeout  = 2 * time.Second
)

// explainer answers the private door's questions by the configuration in force.
type explainer struct {
	cfg atomic.Pointer[config.Config]
	bus *publish.Bus
	log zerolog.Logger
}

func newExplainer(cfg *config.Config, bus *publish.Bus, log zerolog.Logger) *explainer {
	e := &explainer{bus: bus, log: log}
	e.cfg.Store(cfg)
	return e
}

// explain is a web.Explainer.
func (e *explainer) explain(ctx context.Context, name string, signatures []string, body []byte) (web.Explanation, bool) {
	cfg := e.cfg.Load()
	s, ok := cfg.Sources[name]
	if !ok {
		return web.Explanation{}, false
	}
	v, err := verifier(s)
	if err != nil {
		e.log.Error().Err(err).Str("source", name).Msg("a configuration in force has a key that is none")
		return web.Explanation{}, false
	}
	found := web.NewExplanation(v.Verify(signatures, body))
	q := verify.Question{Values: signatures, Body: body}
	q.Keys, q.Others = candidates(cfg, name)
	ctx, cancel := context.WithTimeout(ctx, historyTimeout)
	defer cancel()
	if q.Earlier, err = history(ctx, e.bus, name); err != nil {
		e.log.Warn().Err(err).Msg("explaining a signature without all of the callbacks that came before")
	}
	found.Compared = len(q.Earlier)
	found.Findings = verify.Explain(q)
	return found, true
}

// verifier returns what judges callbacks of a source.
func verifier(s config.Source) (*verify.Verifier, error) {
	keys := make([]*verify.Key, 0, len(s.SignatureKeys))
	for _, k := range s.SignatureKeys {
		key, err := verify.NewKey(k.Name, k.Value.Bytes(), verify.Window{NotBefore: k.NotBefore, NotAfter: k.NotAfter})
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return verify.New(keys...)
}

// candidates returns the keys of a source, and those of all others.
func candidates(cfg *config.Config, source string) (own, others []verify.Candidate) {
	for _, name := range names(cfg) {
		for _, k := range cfg.Sources[name].SignatureKeys {
			c := verify.NewCandidate(name, k.Name, k.Value.Bytes())
			if name == source {
				own = append(own, c)
			} else {
				others = append(others, c)
			}
		}
	}
	return own, others
}

// kept is a callback that a stream holds.
type kept struct {
	at      time.Time
	earlier verify.Earlier
}

// history returns the newest callbacks of a source whose bodies the streams hold whole,
// newest first. On an error it returns those that were read before it.
func history(ctx context.Context, bus *publish.Bus, source string) ([]verify.Earlier, error) {
	var all []kept
	var failed error
	for _, stream := range []string{publish.JobsStream, publish.AttemptsStream} {
		var held []kept
		last, err := bus.LastSequence(ctx, stream)
		if err == nil {
			from := max(last, historyMessages) - historyMessages + 1
			err = bus.Range(ctx, stream, from, last, func(m publish.Message) error {
				if job.Encrypted(m.Header) {
					m.Data, _ = bus.Body(ctx, m) // what stays hidden has another digest
				}
				if e, ok := earlier(m, source); ok {
					held = append(held, kept{m.Time, e})
				}
				if len(held) > historyKept {
					held = slices.Delete(held, 0, 1)
				}
				return nil
			})
		}
		all = append(all, held...)
		if err != nil {
			failed = fmt.Errorf("reading the callbacks of %s: %w", source, err)
		}
	}
	slices.SortStableFunc(all, func(a, b kept) int { return b.at.Compare(a.at) })
	var newest []verify.Earlier
	for _, k := range all {
		newest = append(newest, k.earlier)
	}
	return newest, failed
}

// earlier reads a callback of a source out of a message, if its body is there and not
// too large.
func earlier(m publish.Message, source string) (verify.Earlier, bool) {
	kind, rest, _ := strings.Cut(m.Subject, ".")
	get := func(name string) string { return strings.Join(m.Header[name], "") }
	signature := get("receiver-signature")
	if !strings.HasPrefix(rest, source+".") || signature == "" || len(m.Data) > historyBody ||
		get("receiver-body-sha256") != job.BodySHA256(m.Data) {
		return verify.Earlier{}, false
	}
	what := "event"
	if kind == "attempts" {
		what = "attempt"
	}
	return verify.Earlier{
		Label:  fmt.Sprintf("%s %d on %s of %s", what, m.Sequence, m.Subject, m.Time.UTC().Format(time.RFC3339)),
		Values: []string{signature}, Body: m.Data,
	}, true
}
