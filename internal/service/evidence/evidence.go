// Package evidence answers the private listener what auditors ask about the logs of a running
// receiver: how far each is intact and by whose word, its checkpoints over time, and the report
// about one record. The judgements are those of the audit commands.
package evidence

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"receiver/api"
	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service/logs"
	"receiver/internal/service/records"
	"receiver/internal/verify"
)

// Options are what an API answers with. All must be set.
type Options struct {
	Config *config.Config
	Bus    *publish.Store
	// Record records an action with its details, before it is done.
	Record func(ctx context.Context, a job.Action, details map[string]any) error
	// Forked are the streams whose logs were seen to contradict themselves.
	Forked func() []string
	// Sources returns the signature keys in force.
	Sources func() (map[string]*verify.Verifier, error)
	// Ending is done when the receiver stops: then a verification ends.
	Ending context.Context //nolint:containedctx // of the receiver, not of a call
}

// API is an apiserver.Trail and an apiserver.SealedLogs.
type API struct {
	*records.API
	o      Options
	checks checks
}

// New opens the logs for reading. It verifies nothing yet.
func New(ctx context.Context, o Options) (*API, error) {
	about, err := records.NewAPI(ctx, o.Config, o.Bus, o.Record)
	if err != nil {
		return nil, err
	}
	a := &API{API: about, o: o}
	a.checks.now.State, a.checks.now.Since = never, time.Now().UTC()
	return a, nil
}

// Logs implements apiserver.SealedLogs.
func (a *API) Logs(ctx context.Context) (api.Logs, error) {
	all, err := a.dated(ctx)
	if err != nil || len(all.Logs) == 0 {
		return all, err
	}
	all.Verification = a.checks.state()
	cosigned, err := a.cosigned(ctx)
	if err != nil {
		return all, err
	}
	receipts, err := anchor.ReadReceipts(logs.Receipts(a.o.Config))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return all, err
	}
	forked := a.o.Forked()
	for i := range all.Logs {
		l := &all.Logs[i]
		extent, err := a.o.Bus.Extent(ctx, l.Stream)
		if err != nil {
			return all, err
		}
		l.KeyId, l.First, l.Fork = keyID(l.VerifierKey), extent.First, slices.Contains(forked, l.Stream)
		for _, c := range all.Verification.Logs {
			if c.Origin == l.Origin {
				l.Check = c
			}
		}
		l.Witnesses, l.Anchors = cosigned[l.Origin], received(receipts, l.Origin)
		l.NotCovered = notCovered(*l, extent, all.Verification)
	}
	return all, nil
}

// dated returns the logs, and when the stream had the newest checkpoint of each. It asks again
// where a log was sealed between the two questions.
func (a *API) dated(ctx context.Context) (all api.Logs, err error) {
	for range 3 {
		if all, err = a.API.Logs(ctx); err != nil {
			return all, err
		}
		newest, err := a.o.Bus.NewestCheckpoints(ctx)
		if err != nil {
			return all, err
		}
		whole := true
		for i := range all.Logs {
			l := &all.Logs[i]
			for _, m := range newest {
				if m.Subject == a.subject(l.Stream) && string(m.Data) == l.Checkpoint.Checkpoint {
					l.SealedAt = m.Time.UTC()
				}
			}
			whole = whole && (l.Checkpoint.Size == 0 || !l.SealedAt.IsZero())
		}
		if whole {
			break
		}
	}
	return all, nil
}

// subject is where the checkpoints of the log over a stream are.
func (a *API) subject(stream string) string {
	return job.CheckpointSubject(logs.Place(a.o.Config.Audit), stream)
}

// keyID is the key ID in a verifier key. C2SP: signed-note, "Verifier keys".
func keyID(verifierKey string) string {
	_, rest, _ := strings.Cut(verifierKey, "+")
	id, _, _ := strings.Cut(rest, "+")
	return id
}

// recentCheckpoints is in how many of the newest checkpoints cosignatures are looked for.
const recentCheckpoints = 1000

// cosigned returns, of each log, the largest checkpoint that each configured witness has cosigned.
func (a *API) cosigned(ctx context.Context) (map[string][]api.WitnessedSize, error) {
	all := map[string][]api.WitnessedSize{}
	keys, err := logs.Keys(a.o.Config.Audit)
	if err != nil || len(keys.Witnesses) == 0 {
		return all, err
	}
	for _, stream := range logs.Streams {
		origin := logs.Origin(a.o.Config.Audit, stream)
		for _, w := range keys.Witnesses {
			all[origin] = append(all[origin], api.WitnessedSize{Witness: w.Name()})
		}
	}
	last, err := a.o.Bus.LastSequence(ctx, conn.CheckpointsStream)
	if err != nil {
		return nil, err
	}
	err = a.o.Bus.Range(ctx, conn.CheckpointsStream, last-min(last, recentCheckpoints)+1, last, func(m publish.Message) error {
		cp, err := audit.OpenCheckpoint(m.Data, keys)
		if err != nil {
			return nil //nolint:nilerr // a list of checkpoints shows what is wrong with it
		}
		for i, w := range all[cp.Origin] {
			for _, c := range cp.Cosignatures {
				if c.Witness == w.Witness && cp.Tree.N >= w.Size {
					all[cp.Origin][i] = api.WitnessedSize{Witness: c.Witness, Size: cp.Tree.N, Time: c.Time.UTC()}
				}
			}
		}
		return nil
	})
	return all, err
}

// received are the receipts for one log.
func received(receipts []anchor.Receipt, origin string) (all []api.AnchorReceipt) {
	for _, r := range receipts {
		if r.Log == origin {
			all = append(all, api.AnchorReceipt{Kind: r.Kind, Where: r.Where, Size: r.Size, Root: r.Root.String(), Time: r.Time.UTC()})
		}
	}
	slices.SortStableFunc(all, func(a, b api.AnchorReceipt) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.Where, b.Where))
	})
	return all
}
