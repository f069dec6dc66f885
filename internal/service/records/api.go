package records

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"receiver/api"
	"receiver/internal/audit"
	"receiver/internal/audit/bundle"
	"receiver/internal/auditlog"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/service/logs"
)

// API answers the private listener what the audit commands print. It is an apiserver.Trail and
// an apiserver.SealedLogs.
type API struct {
	cfg  *config.Config
	bus  *publish.Store
	logs map[string]*audit.Log // by stream
	keys map[string]string     // verifier keys, by stream
	// record records an action with its details, before it is done.
	record func(ctx context.Context, a job.Action, details map[string]any) error
}

// NewAPI opens the logs for reading; without a log key there are none. Record records an action
// with its details.
func NewAPI(
	ctx context.Context, cfg *config.Config, bus *publish.Store, record func(ctx context.Context, a job.Action, details map[string]any) error,
) (*API, error) {
	a := &API{cfg: cfg, bus: bus, logs: map[string]*audit.Log{}, keys: map[string]string{}, record: record}
	if cfg.Audit.Key.Empty() {
		return a, nil
	}
	keys, err := logs.Keys(cfg.Audit)
	if err != nil {
		return nil, err
	}
	key, err := logs.Key(cfg.Audit)
	if err != nil {
		return nil, err
	}
	for _, stream := range logs.Streams {
		if a.logs[stream], err = logs.Open(ctx, bus, cfg.Audit, stream, keys); err != nil {
			return nil, err
		}
		a.keys[stream] = key.VerifierKey(logs.Origin(cfg.Audit, stream))
	}
	return a, nil
}

// The entries of a page of GET /v1/callbacks.
const (
	pageSize    = 100
	pageMaximum = 1000
)

// Callbacks implements apiserver.Trail. Its parameters are the flags of audit list, reverse, limit
// and after, which is next of the page before, and what narrows actions.
func (a *API) Callbacks(ctx context.Context, p api.ListCallbacksParams) (api.CallbackPage, error) {
	q, err := pageQuery(p, time.Now())
	if err != nil {
		return api.CallbackPage{}, api.BadRequest.Problem("%v", err)
	}
	page := api.CallbackPage{Callbacks: []auditlog.Entry{}}
	if p.Since == "" && p.After == "" {
		if page.Older, err = Older(ctx, a.bus, q); err != nil {
			return page, err
		}
	}
	if p.Reverse {
		return page, newest(ctx, a.bus, q, &page)
	}
	for e, err := range Entries(ctx, a.bus, q) {
		if err != nil {
			return page, err
		}
		if len(page.Callbacks) == q.Limit {
			page.Next = cursor(q.after)
			break
		}
		page.Callbacks = append(page.Callbacks, e)
		q.after[e.Stream] = e.Sequence
	}
	return page, nil
}

func pageQuery(p api.ListCallbacksParams, now time.Time) (Query, error) {
	q := Query{
		Since: p.Since, Until: p.Until, Addresses: p.Address, Limit: pageSize, after: map[string]uint64{},
		Filter: auditlog.Filter{
			Sources: p.Source, Verdicts: p.Verdict, Reasons: p.Reason, Keys: p.Key, Jobs: p.Job, Bodies: p.Body, Actions: p.Action, Operators: p.Operator,
		},
	}
	q.Actions = p.Actions || q.Filter.OnlyActions()
	if p.Limit != nil {
		q.Limit = *p.Limit
	}
	if q.Limit < 1 || q.Limit > pageMaximum {
		return q, fmt.Errorf("limit is not 1 to %d", pageMaximum)
	}
	if p.After != "" {
		var err error
		if q.after, err = parseCursor(p.After); err != nil {
			return q, err
		}
	}
	return q, q.Parse(now)
}

// cursor writes the last sequence seen of each stream, in the direction of reading.
func cursor(after map[string]uint64) string {
	var parts []string
	for _, stream := range logs.Streams {
		if after[stream] > 0 {
			parts = append(parts, fmt.Sprintf("%s-%d", stream, after[stream]))
		}
	}
	return strings.Join(parts, ".")
}

func parseCursor(text string) (map[string]uint64, error) {
	after := make(map[string]uint64)
	for part := range strings.SplitSeq(text, ".") {
		stream, number, _ := strings.Cut(part, "-")
		seq, err := strconv.ParseUint(number, 10, 64)
		if err != nil || !slices.Contains(logs.Streams, stream) {
			return nil, fmt.Errorf("after %q is not the value of next of another page", text)
		}
		after[stream] = seq
	}
	return after, nil
}

// Callback implements apiserver.Trail.
func (a *API) Callback(ctx context.Context, stream string, seq uint64, same bool) (*auditlog.Detail, error) {
	if !slices.Contains(logs.Streams, stream) {
		return nil, NoRecord(stream, seq)
	}
	d, err := Detail(ctx, a.cfg, a.bus, stream, seq, same)
	if errors.Is(err, auditlog.ErrNoRecord) {
		return nil, NoRecord(stream, seq)
	}
	return d, err
}

// NoRecord is the problem that there is no such record.
func NoRecord(stream string, seq uint64) error {
	return api.UnknownRecord.Problem("there is no record %s/%d: it was removed, or never existed; GET /v1/callbacks lists them", stream, seq)
}

// Bundle implements apiserver.Trail. It gives the bytes that audit prove prints.
func (a *API) Bundle(ctx context.Context, stream string, seq uint64) ([]byte, error) {
	log, err := a.Log(stream)
	if err != nil {
		return nil, err
	}
	proved, err := log.Prove(ctx, seq)
	switch {
	case errors.Is(err, audit.ErrNotSealed), errors.Is(err, audit.ErrNoCheckpoint):
		return nil, api.NotSealed.Problem("%v: the next sealing covers it, in about a second; try again", err)
	case errors.Is(err, audit.ErrNoRecord):
		return nil, NoRecord(stream, seq)
	case err != nil:
		return nil, err
	}
	return bundle.Encode(proved)
}

// Log returns the log over a stream.
func (a *API) Log(stream string) (*audit.Log, error) {
	if log := a.logs[stream]; log != nil {
		return log, nil
	}
	return nil, api.UnknownRecord.Problem("there is no log over %q; GET /v1/log lists them, and audit.key makes them", stream)
}

// Logs implements apiserver.SealedLogs.
func (a *API) Logs(ctx context.Context) (api.Logs, error) {
	all := api.Logs{Name: a.cfg.Audit.Name, Logs: []api.Log{}}
	for _, stream := range logs.Streams {
		log := a.logs[stream]
		if log == nil {
			continue
		}
		last, err := a.bus.LastSequence(ctx, stream)
		if err != nil {
			return all, err
		}
		s := api.Log{Stream: stream, Origin: logs.Origin(a.cfg.Audit, stream), VerifierKey: a.keys[stream], Unsealed: last}
		switch cp, err := log.Checkpoint(ctx); {
		case err == nil:
			s.Checkpoint, s.Unsealed = Checkpoint(cp), last-min(last, uint64(cp.Tree.N))
		case errors.Is(err, audit.ErrCheckpoint), errors.Is(err, audit.ErrSignature), errors.Is(err, audit.ErrCosignature):
			s.Damage = err.Error()
		case !errors.Is(err, audit.ErrNoCheckpoint):
			return all, err
		}
		all.Logs = append(all.Logs, s)
	}
	return all, nil
}

// Checkpoint implements apiserver.SealedLogs.
func (a *API) Checkpoint(ctx context.Context, stream string) ([]byte, error) {
	log, err := a.Log(stream)
	if err != nil {
		return nil, err
	}
	cp, err := log.Checkpoint(ctx)
	if errors.Is(err, audit.ErrNoCheckpoint) {
		return nil, api.UnknownRecord.Problem("%s has no checkpoint yet: the first sealing makes one", stream)
	}
	return cp.Note, err
}

// Tile implements apiserver.SealedLogs.
func (a *API) Tile(ctx context.Context, stream, name string) ([]byte, error) {
	log, err := a.Log(stream)
	if err != nil {
		return nil, err
	}
	tile, err := log.Tile(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, api.UnknownRecord.Problem("there is no %s over %s", name, stream)
	}
	return tile, err
}

// Checkpoint returns a checkpoint as JSON shows it.
func Checkpoint(cp audit.Checkpoint) api.Checkpoint {
	shown := api.Checkpoint{Origin: cp.Origin, Size: cp.Tree.N, Root: cp.Tree.Hash.String(), Checkpoint: string(cp.Note), Cosignatures: []api.Cosignature{}}
	for _, c := range cp.Cosignatures {
		shown.Cosignatures = append(shown.Cosignatures, api.Cosignature{Witness: c.Witness, Time: c.Time.UTC()})
	}
	return shown
}
