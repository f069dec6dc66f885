package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/doctor"
	"receiver/internal/publish"
	"receiver/internal/seal"
)

// anchorPlace is one configured anchor.
type anchorPlace struct {
	name string
	// tell hands over a checkpoint, as seal.Anchor does.
	tell func(ctx context.Context, s *audit.Sealer, stream string, cp audit.Checkpoint) (audit.Checkpoint, error)
	// know makes the largest checkpoint known that is kept there and signed; the func is nil
	// where nothing can be read back. The error may be of others that are there too.
	know func(ctx context.Context, s *audit.Sealer, stream string) error
}

// openAnchors wires the configured anchors; witnesses come first, so that the others get
// their cosignatures.
func (k *keepers) openAnchors(cfg *config.Config) ([]anchorPlace, error) {
	var all []anchorPlace
	configured := slices.SortedStableFunc(slices.Values(cfg.Audit.Anchors), func(a, b config.Anchor) int {
		return cmp.Compare(b.Witness, a.Witness) // those with one first
	})
	for _, a := range configured {
		switch {
		case a.Witness != "":
			witness, err := audit.NewWitness(a.Witness, a.Key, nil)
			if err != nil {
				return nil, usagef("audit.anchors: %w", err)
			}
			all = append(all, atWitness(a.Witness, witness))
		case len(a.NATS.URLs) > 0:
			account, err := publish.DialAnchor(anchorOptions(cfg, a.NATS))
			if err != nil {
				return nil, usagef("audit.anchors: %w", err)
			}
			k.accounts = append(k.accounts, account)
			all = append(all, inAccount(cfg.Audit.Name, account))
		default:
			all = append(all, inDirectory(cfg.Audit.Name, audit.CheckpointDir{Path: cfg.Abs(a.Directory)}))
		}
	}
	return all, nil
}

func anchorOptions(cfg *config.Config, n config.AnchorNATS) publish.AnchorOptions {
	return publish.AnchorOptions{External: client(cfg, n.URLs, n.CredentialsFile, n.TLS), Stream: n.Stream, Subject: n.Subject}
}

func atWitness(url string, w *audit.Witness) anchorPlace {
	return anchorPlace{name: url, tell: func(ctx context.Context, s *audit.Sealer, _ string, _ audit.Checkpoint) (audit.Checkpoint, error) {
		return s.Cosign(ctx, w)
	}}
}

func inDirectory(name string, dir audit.CheckpointDir) anchorPlace {
	return anchorPlace{
		name: dir.Path,
		tell: func(ctx context.Context, _ *audit.Sealer, _ string, cp audit.Checkpoint) (audit.Checkpoint, error) {
			return cp, dir.Publish(ctx, cp)
		},
		know: func(_ context.Context, s *audit.Sealer, stream string) error {
			return dir.Largest(audit.Origin(name, stream), s.Know)
		},
	}
}

// inAccount is an anchor in another NATS account. Before it is told anything, what it holds
// that was not read yet is read back, and the log must extend the largest of it.
func inAccount(name string, a *publish.Anchor) anchorPlace {
	read := make(map[string]*readBack)
	for _, stream := range sealedStreams {
		read[stream] = &readBack{account: a, name: name, stream: stream}
	}
	return anchorPlace{
		name: a.Name(),
		know: func(ctx context.Context, s *audit.Sealer, stream string) error {
			_, strange, err := read[stream].more(ctx, s)
			return errors.Join(strange, err)
		},
		tell: func(ctx context.Context, s *audit.Sealer, stream string, cp audit.Checkpoint) (audit.Checkpoint, error) {
			newest, strange, err := read[stream].more(ctx, s)
			if err != nil || bytes.Equal(newest, cp.Note) {
				return cp, errors.Join(strange, err)
			}
			if newest != nil {
				if _, err = s.Follow(ctx); err != nil {
					return cp, err
				}
			}
			// What somebody else wrote there is said, and keeps nobody from writing behind it.
			return cp, errors.Join(strange, a.Tell(ctx, name, stream, cp.Note))
		},
	}
}

// readBack is how far an account was read back for one log. It is used by one at a time.
type readBack struct {
	account      *publish.Anchor
	name, stream string
	after        uint64 // the last sequence that was read
	newest       []byte // what stands there
	largest      int64  // leaves of the largest that the sealer knows from here
}

// readBackBatch bounds how many checkpoints are held at once; of each batch at least one
// signature is verified.
const readBackBatch = 4096

// more reads what was not read yet and makes the largest checkpoint known to the sealer.
// What was read before an error counts, and is not read again.
func (r *readBack) more(ctx context.Context, s *audit.Sealer) (newest []byte, strange, err error) {
	var batch [][]byte
	know := func() {
		var wrong error
		r.largest, wrong = s.KnowLargest(batch, r.largest)
		strange = cmp.Or(strange, wrong)
		batch = nil
	}
	err = r.account.Since(ctx, r.name, r.stream, r.after, func(m publish.Message) error {
		r.after, r.newest = m.Sequence, m.Data
		if batch = append(batch, m.Data); len(batch) == readBackBatch {
			know()
		}
		return nil
	})
	know()
	return r.newest, strange, err
}

// of is the anchor for one log. What it holds already is made known to the sealer, so that
// a store that was rolled back while no receiver ran is not sealed any further. An anchor
// that does not answer keeps no receiver from starting: it is read back when it does, before
// it is told anything.
func (p anchorPlace) of(ctx context.Context, s *audit.Sealer, stream string, log zerolog.Logger) seal.Anchor {
	if p.know != nil {
		asking, cancel := context.WithTimeout(ctx, anchorPatience)
		defer cancel()
		if err := p.know(asking, s, stream); err != nil {
			log.Warn().Err(err).Str("stream", stream).Str("anchor", p.name).Msg("anchor not read back, or not all of it")
		}
	}
	return seal.Anchor{Name: p.name, Tell: func(ctx context.Context, cp audit.Checkpoint) (audit.Checkpoint, error) {
		return p.tell(ctx, s, stream, cp)
	}}
}

// anchorPatience bounds how long a start waits for one answer of an anchor.
const anchorPatience = 3 * time.Second

// anchor looks at an anchor in another NATS account.
func (x examination) anchor(ctx context.Context, i int, n config.AnchorNATS) []doctor.Finding {
	d := doctor.Anchor{Where: n.Stream + " at " + n.URLs[0], Setting: fmt.Sprintf("audit.anchors[%d].nats", i)}
	account, err := publish.DialAnchor(anchorOptions(x.cfg, n))
	if err != nil {
		d.Err = err
		return d.Findings()
	}
	defer account.Close()
	for _, stream := range sealedStreams {
		facts, err := account.Facts(ctx, x.cfg.Audit.Name, stream)
		if err != nil {
			d.Err = err
			return d.Findings()
		}
		for _, weak := range facts.Weak {
			if !slices.Contains(d.Weak, weak) {
				d.Weak = append(d.Weak, weak)
			}
		}
		d.Ours = facts.Account != "" && facts.Account == x.account(ctx)
		d.MayRewrite, d.Known, d.Removed = facts.MayRewrite, facts.Known, facts.Removed
	}
	return d.Findings()
}

// account is the one that the streams are in, of a cluster; empty if it is not known.
// Accounts of other servers may have the same name: that of the embedded server is its own.
func (x examination) account(ctx context.Context) string {
	if x.embedded() {
		return ""
	}
	survey, err := publish.SurveyCluster(ctx, external(x.cfg), busOptions(x.cfg, x.log))
	if err != nil {
		return ""
	}
	defer survey.Close()
	return survey.Account(ctx)
}
