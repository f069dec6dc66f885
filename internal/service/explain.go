package service

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/internal/config"
	"receiver/internal/diagnose"
	"receiver/internal/job"
	"receiver/internal/keyusage"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/verify"
)

// The bounds of what a signature is compared with.
const (
	historyMessages = 1000 // newest messages of each stream that are looked at
	historyKept     = 200  // newest callbacks of the source among those of a stream
	historyBody     = 64 << 10
	historyTimeout  = 2 * time.Second
)

// explainer answers the questions of the private listener with the configuration in force.
type explainer struct {
	cfg atomic.Pointer[config.Config]
	bus *publish.Store
	log zerolog.Logger
}

func newExplainer(cfg *config.Config, bus *publish.Store, log zerolog.Logger) *explainer {
	e := &explainer{bus: bus, log: log}
	e.cfg.Store(cfg)
	return e
}

// explain is an apiserver.Explainer.
func (e *explainer) explain(ctx context.Context, name string, signatures []string, body []byte) (api.Explanation, bool) {
	cfg := e.cfg.Load()
	s, ok := cfg.Sources[name]
	if !ok {
		return api.Explanation{}, false
	}
	v, err := Verifier(s)
	if err != nil {
		e.log.Error().Err(err).Str("source", name).Msg("a configuration in force has an invalid key")
		return api.Explanation{}, false
	}
	found := api.NewExplanation(v.Verify(signatures, body))
	q := diagnose.Question{Values: signatures, Body: body}
	q.Keys, q.Others = KeyCandidates(cfg, name)
	ctx, cancel := context.WithTimeout(ctx, historyTimeout)
	defer cancel()
	if q.Earlier, err = EarlierCallbacks(ctx, e.bus, name); err != nil {
		e.log.Warn().Err(err).Msg("reading earlier callbacks failed; a signature is explained without all of them")
	}
	found.Compared = len(q.Earlier)
	found.Findings = diagnose.Explain(q)
	return found, true
}

// Verifier returns what judges callbacks of a source.
func Verifier(s config.Source) (*verify.Verifier, error) {
	keys := make([]*verify.Key, 0, len(s.SignatureKeys))
	for _, k := range s.SignatureKeys {
		if err := config.Usable(k.Value); err != nil {
			return nil, err
		}
		key, err := verify.NewKey(k.Name, k.Value.Bytes(), verify.Window{NotBefore: k.NotBefore, NotAfter: k.NotAfter})
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return verify.New(keys...)
}

// Verifiers returns what judges callbacks of each source, by its name; with only, of that source.
func Verifiers(cfg *config.Config, only string) (map[string]*verify.Verifier, error) {
	if _, err := ConfiguredKeys(cfg); err != nil && only == "" {
		return nil, err // of all at once
	}
	all := make(map[string]*verify.Verifier, len(cfg.Sources))
	for name, s := range cfg.Sources {
		if only != "" && name != only {
			continue
		}
		v, err := Verifier(s)
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", name, err)
		}
		all[name] = v
	}
	return all, nil
}

// ConfiguredKeys returns the signature keys of all sources, without the keys themselves.
func ConfiguredKeys(cfg *config.Config) (all []keyusage.Key, err error) {
	var secrets []config.Secret
	for _, name := range cfg.SourceNames() {
		for _, k := range cfg.Sources[name].SignatureKeys {
			secrets = append(secrets, k.Value)
			all = append(all, keyusage.Key{
				Source: name, Name: k.Name, Fingerprint: k.Value.Fingerprint(), NotBefore: k.NotBefore, NotAfter: k.NotAfter,
			})
		}
	}
	return all, config.Usable(secrets...)
}

// KeyCandidates returns the keys of a source, and those of all others, as far as they can be read.
func KeyCandidates(cfg *config.Config, source string) (own, others []diagnose.Candidate) {
	for _, name := range cfg.SourceNames() {
		for _, k := range cfg.Sources[name].SignatureKeys {
			if config.Usable(k.Value) != nil {
				continue
			}
			c := diagnose.NewCandidate(name, k.Name, k.Value.Bytes())
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
	earlier diagnose.Earlier
}

// EarlierCallbacks returns the newest callbacks of a source whose bodies the streams hold whole,
// newest first. On an error it returns those that were read before it.
func EarlierCallbacks(ctx context.Context, bus *publish.Store, source string) ([]diagnose.Earlier, error) {
	var all []kept
	var failed error
	for _, stream := range []string{conn.JobsStream, conn.AttemptsStream} {
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
	var newest []diagnose.Earlier
	for _, k := range all {
		newest = append(newest, k.earlier)
	}
	return newest, failed
}

// earlier reads a callback of a source out of a message, if its body is there and not
// too large.
func earlier(m publish.Message, source string) (diagnose.Earlier, bool) {
	kind, rest, _ := strings.Cut(m.Subject, ".")
	get := func(name string) string { return strings.Join(m.Header[name], "") }
	signature := get(job.HeaderSignature)
	if !strings.HasPrefix(rest, source+".") || signature == "" || len(m.Data) > historyBody ||
		get(job.HeaderBody) != job.BodySHA256(m.Data) {
		return diagnose.Earlier{}, false
	}
	what := "event"
	if kind == "attempts" {
		what = "attempt"
	}
	return diagnose.Earlier{
		Label:  fmt.Sprintf("%s %d on %s of %s", what, m.Sequence, m.Subject, m.Time.UTC().Format(time.RFC3339)),
		Values: []string{signature}, Body: m.Data,
	}, true
}
