package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/callback"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/veil"
	"receiver/internal/verify"
)

// reverifyFlags are the flags of audit reverify.
type reverifyFlags struct {
	since, source, key string
	accept             bool
	who                operatorFlags
}

func newAuditReverify(a *app) *cobra.Command {
	var f reverifyFlags
	cmd := &cobra.Command{
		Use:   "reverify --since TIME",
		Short: "List refused callbacks that are right by the keys of today; let them in",
		Long: `reverify is for the time after a wrong key was mended: it lists the callbacks that were
refused as mismatch and whose signature a configured key makes. With --accept they enter
JOBS, each once, with ce-evidence late; who let them in, and why, is recorded first and
cannot be taken back. Bodies over limits.attempt_body were not kept and cannot be let in:
the platform's own queue or receiver backfill may still have them.`,
		Example: "  receiver audit reverify --since 48h\n" +
			"  receiver audit reverify --since 48h --key 2026-11 --accept --operator 'M. Weber' --reason 'key file had a newline'",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.accept && (f.who.operator == "" || f.who.reason == "") {
				return usagef("--accept needs --operator and --reason: letting in what was refused is recorded")
			}
			return a.reverify(cmd.Context(), f)
		},
	}
	cmd.Flags().StringVar(&f.since, "since", "", "refused since: a duration (48h), a time (2026-11-23T00:00:00Z), or all (required)")
	cmd.Flags().StringVar(&f.source, "source", "", "only this source")
	cmd.Flags().StringVar(&f.key, "key", "", "only what this key makes, by its name")
	cmd.Flags().BoolVar(&f.accept, "accept", false, "let them in")
	f.who.flags(cmd)
	a.identityFlag(cmd)
	required(cmd, "since")
	return cmd
}

// mended is a refused callback that is right by a key of today.
type mended struct {
	ID      string    `json:"id"`
	Event   job.Event `json:"-"`
	Subject string    `json:"subject"`
	Key     string    `json:"key"`
	Times   int       `json:"times"` // that the same body was refused
	// State is new; there, when an event tells the same already; or accepted.
	State    string `json:"state"`
	Sequence uint64 `json:"sequence,omitempty"`
}

func (a *app) reverify(ctx context.Context, f reverifyFlags) error {
	from, err := since(f.since, time.Now())
	if err != nil {
		return err
	}
	cfg, err := a.load()
	if err != nil {
		return err
	}
	if f.source != "" {
		if _, _, err := source(cfg, f.source); err != nil {
			return err
		}
	}
	openBus := a.read
	if f.accept {
		openBus = a.write
	}
	bus, done, err := openBus(ctx, cfg)
	if err != nil {
		return err
	}
	defer done()
	found, hidden, err := findMended(ctx, cfg, bus, from, f)
	if err != nil {
		return err
	}
	if hidden > 0 {
		a.say("%s refused as mismatch cannot be looked at: encrypted to other keys than the identities", counted(hidden, "callback"))
	}
	if f.accept {
		l, err := a.ledgerOf(cfg, bus)
		if err != nil {
			return err
		}
		if err := admit(ctx, l, found, f); err != nil {
			return err
		}
	}
	return a.printMended(found)
}

// findMended returns the refused callbacks that are right now, each distinct body once, and
// of how many the body is encrypted to others.
func findMended(
	ctx context.Context, cfg *config.Config, bus *publish.Bus, from time.Time, f reverifyFlags,
) (all []*mended, hidden int, err error) {
	verifiers := make(map[string]*verify.Verifier)
	for name, s := range cfg.Sources {
		v, err := verifier(s)
		if err != nil {
			return nil, 0, err
		}
		if f.source == "" || f.source == name {
			verifiers[name] = v
		}
	}
	seen := make(map[string]*mended)
	for m, err := range bus.From(ctx, publish.AttemptsStream, publish.Position{Time: from}, false) {
		if err != nil {
			return nil, 0, err
		}
		attempt, err := mismatch(ctx, bus, verifiers, m)
		if err != nil {
			return nil, 0, err
		}
		if attempt.Hidden {
			hidden++
		}
		e, ok := callback.Mended(attempt, verifiers[attempt.Source])
		if !ok || f.key != "" && e.Receipt.Key != f.key {
			continue
		}
		if first := seen[e.Source+attempt.SHA256]; first != nil {
			first.Times++
			continue
		}
		found := &mended{
			ID: fmt.Sprintf("%s/%d", publish.AttemptsStream, m.Sequence), Event: e, Subject: e.Subject(), Times: 1, State: "new",
			Key: e.Receipt.Key + " " + e.Receipt.Fingerprint,
		}
		seen[e.Source+attempt.SHA256] = found
		all = append(all, found)
	}
	return all, hidden, markThere(ctx, bus, all)
}

// mismatch reads a callback that was refused as mismatch at one of the sources; any other
// message is the zero attempt. It is hidden if no identity that there is decrypts its body;
// without any identity that is an error.
func mismatch(ctx context.Context, bus *publish.Bus, sources map[string]*verify.Verifier, m publish.Message) (job.Attempt, error) {
	attempt, err := job.ParseAttempt(m.Subject, m.Header, nil)
	if err != nil || attempt.Verdict != string(verify.Mismatch) || sources[attempt.Source] == nil {
		return job.Attempt{}, nil
	}
	body, err := bus.Body(ctx, m)
	if errors.Is(err, veil.ErrNoIdentity) || err != nil && !errors.Is(err, publish.ErrHidden) {
		return job.Attempt{}, unread(fmt.Errorf("%s/%d: %w", publish.AttemptsStream, m.Sequence, err))
	}
	return job.ParseAttempt(m.Subject, m.Header, body)
}

// markThere finds out which of them told nothing new.
func markThere(ctx context.Context, bus *publish.Bus, all []*mended) error {
	for _, m := range all {
		for there, err := range bus.On(ctx, m.Subject) {
			if err != nil {
				return err
			}
			// Another outcome of the same job is news: it makes a conflict.
			same := there.Kind != job.Finished || there.Job.SameOutcome(m.Event.Job)
			if there.ID() == m.Event.ID() && same {
				m.State, m.Sequence = "there", there.Sequence
			}
		}
	}
	return nil
}

// admit records who lets them in, and does so.
func admit(ctx context.Context, l ledger, found []*mended, f reverifyFlags) error {
	var ids []string
	for _, m := range found {
		if m.State == "new" {
			ids = append(ids, m.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	if err := act(ctx, l.Bus, f.who.action(job.ActionReverify), map[string]any{"attempts": ids, "key": f.key, "since": f.since}); err != nil {
		return err
	}
	for _, m := range found {
		if m.State != "new" {
			continue
		}
		stored, err := job.Tell(ctx, l.Publish, m.Event)
		if err != nil {
			return fmt.Errorf("%s: %w; run it again, what was let in stays and is not let in twice", m.ID, err)
		}
		m.State, m.Sequence, m.Subject = "accepted", stored.Sequence, stored.Subject()
		if stored.Existed {
			m.State = "there"
		}
	}
	return nil
}

func (a *app) printMended(found []*mended) error {
	rows := make([][]string, 0, len(found))
	for _, m := range found {
		if a.output == "json" {
			if err := printJSON(a.out, m); err != nil {
				return err
			}
			continue
		}
		event := "-"
		if m.Sequence > 0 {
			event = fmt.Sprintf("%s/%d", publish.JobsStream, m.Sequence)
		}
		rows = append(rows, []string{m.ID, m.Event.Time.UTC().Format(time.RFC3339), m.Subject, m.Key, fmt.Sprint(m.Times), m.State, event})
	}
	if a.output == "json" {
		return nil
	}
	return table(a.out, []string{"ID", "RECEIVED", "SUBJECT", "KEY", "TIMES", "STATE", "EVENT"}, rows)
}
