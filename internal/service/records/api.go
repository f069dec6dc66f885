package records

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"receiver/internal/audit"
	"receiver/internal/audit/logkey"
	"receiver/internal/auditlog"
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/service/logs"
	"receiver/internal/web"
)

// API answers the private listener what the audit commands print. It is a web.Trail and a
// web.Logs.
type API struct {
	cfg  *config.Config
	bus  *publish.Store
	logs map[string]*audit.Log // by stream
	keys map[string]string     // verifier keys, by stream
}

// NewAPI opens the logs for reading; without a log key there are none.
func NewAPI(ctx context.Context, cfg *config.Config, bus *publish.Store) (*API, error) {
	a := &API{cfg: cfg, bus: bus, logs: map[string]*audit.Log{}, keys: map[string]string{}}
	if cfg.Audit.Key.Empty() {
		return a, nil
	}
	keys, err := logs.Keys(cfg.Audit)
	if err != nil {
		return nil, err
	}
	key, err := logkey.Parse(cfg.Audit.Key.Reveal())
	if err != nil {
		return nil, config.UseErrorf("audit.key: %w", err)
	}
	for _, stream := range logs.Streams {
		if a.logs[stream], err = logs.Open(ctx, bus, cfg.Audit.Name, stream, keys); err != nil {
			return nil, err
		}
		a.keys[stream] = key.VerifierKey(audit.Origin(cfg.Audit.Name, stream))
	}
	return a, nil
}

// page is the answer to GET /v1/callbacks.
type page struct {
	Callbacks []auditlog.Entry `json:"callbacks"`
	// Next is the parameter after of the next page; empty after the last.
	Next string `json:"next,omitempty"`
}

// Callbacks implements web.Trail. Its parameters are the flags of audit list, and limit
// and after, which is next of the page before.
func (a *API) Callbacks(ctx context.Context, query url.Values) (any, error) {
	q, err := parsePageQuery(query, time.Now())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", web.ErrQuery, err)
	}
	p := page{Callbacks: []auditlog.Entry{}}
	for e, err := range Entries(ctx, a.bus, q) {
		if err != nil {
			return nil, err
		}
		if len(p.Callbacks) == q.Limit {
			p.Next = cursor(q.after)
			break
		}
		p.Callbacks = append(p.Callbacks, e)
		q.after[e.Stream] = e.Sequence
	}
	return p, nil
}

// cursor writes the last sequence seen of each stream.
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

// Callback implements web.Trail.
func (a *API) Callback(ctx context.Context, stream string, seq uint64) (any, error) {
	if !slices.Contains(logs.Streams, stream) {
		return nil, fs.ErrNotExist
	}
	d, err := Detail(ctx, a.cfg, a.bus, stream, seq)
	if errors.Is(err, auditlog.ErrNoRecord) {
		return nil, fs.ErrNotExist
	}
	return d, err
}

// Bundle implements web.Trail. It gives the bytes that audit prove prints.
func (a *API) Bundle(ctx context.Context, stream string, seq uint64) ([]byte, error) {
	log := a.logs[stream]
	if log == nil {
		return nil, fs.ErrNotExist
	}
	bundle, err := log.Prove(ctx, seq)
	switch {
	case errors.Is(err, audit.ErrNotSealed), errors.Is(err, audit.ErrNoCheckpoint):
		return nil, fmt.Errorf("%w: %w", web.ErrUnsealed, err)
	case errors.Is(err, audit.ErrNoRecord):
		return nil, fs.ErrNotExist
	case err != nil:
		return nil, err
	}
	return bundle.Encode()
}

// logState is one log in the answer to GET /v1/log.
type logState struct {
	Stream      string         `json:"stream"`
	Origin      string         `json:"origin"`
	VerifierKey string         `json:"verifier_key"`
	Checkpoint  map[string]any `json:"checkpoint,omitempty"` // none before the first sealing
	Unsealed    uint64         `json:"unsealed"`
}

// Logs implements web.Logs.
func (a *API) Logs(ctx context.Context) (any, error) {
	all := []logState{}
	for _, stream := range logs.Streams {
		log := a.logs[stream]
		if log == nil {
			continue
		}
		last, err := a.bus.LastSequence(ctx, stream)
		if err != nil {
			return nil, err
		}
		s := logState{Stream: stream, Origin: audit.Origin(a.cfg.Audit.Name, stream), VerifierKey: a.keys[stream], Unsealed: last}
		cp, err := log.Checkpoint(ctx)
		if err != nil && !errors.Is(err, audit.ErrNoCheckpoint) {
			return nil, err
		}
		if err == nil {
			s.Checkpoint, s.Unsealed = Checkpoint(cp), last-min(last, uint64(cp.Tree.N))
		}
		all = append(all, s)
	}
	return map[string]any{"name": a.cfg.Audit.Name, "logs": all}, nil
}

// Checkpoint implements web.Logs.
func (a *API) Checkpoint(ctx context.Context, stream string) ([]byte, error) {
	log := a.logs[stream]
	if log == nil {
		return nil, fs.ErrNotExist
	}
	cp, err := log.Checkpoint(ctx)
	if errors.Is(err, audit.ErrNoCheckpoint) {
		return nil, fs.ErrNotExist
	}
	return cp.Note, err
}

// Tile implements web.Logs.
func (a *API) Tile(ctx context.Context, stream, name string) ([]byte, error) {
	log := a.logs[stream]
	if log == nil {
		return nil, fs.ErrNotExist
	}
	return log.Tile(ctx, name)
}

// Checkpoint is a checkpoint as JSON shows it.
func Checkpoint(cp audit.Checkpoint) map[string]any {
	cosignatures := make([]map[string]any, 0, len(cp.Cosignatures))
	for _, c := range cp.Cosignatures {
		cosignatures = append(cosignatures, map[string]any{"witness": c.Witness, "time": c.Time.UTC()})
	}
	return map[string]any{
		"origin": cp.Origin, "size": cp.Tree.N, "root": cp.Tree.Hash.String(), "checkpoint": string(cp.Note), "cosignatures": cosignatures,
	}
}
