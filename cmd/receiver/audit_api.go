package main

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
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/trail"
	"receiver/internal/web"
)

// auditAPI answers the private door what the audit commands answer. It is a web.Trail and
// a web.Logs.
type auditAPI struct {
	cfg  *config.Config
	bus  *publish.Bus
	logs map[string]*audit.Log // by stream
	keys map[string]string     // verifier keys, by stream
}

// newAuditAPI opens the logs for reading; without a log key there are none.
func newAuditAPI(ctx context.Context, cfg *config.Config, bus *publish.Bus) (*auditAPI, error) {
	a := &auditAPI{cfg: cfg, bus: bus, logs: map[string]*audit.Log{}, keys: map[string]string{}}
	if cfg.Audit.Key.Empty() {
		return a, nil
	}
	keys, err := auditKeys(cfg.Audit)
	if err != nil {
		return nil, err
	}
	key, err := audit.ParseKey(cfg.Audit.Key.Reveal())
	if err != nil {
		return nil, usagef("audit.key: %w", err)
	}
	for _, stream := range sealedStreams {
		if a.logs[stream], err = openLog(ctx, bus, cfg.Audit.Name, stream, keys); err != nil {
			return nil, err
		}
		a.keys[stream] = key.VerifierKey(audit.Origin(cfg.Audit.Name, stream))
	}
	return a, nil
}

// page is the answer to GET /v1/callbacks.
type page struct {
	Callbacks []trail.Entry `json:"callbacks"`
	// Next is the parameter after of the next page; empty after the last.
	Next string `json:"next,omitempty"`
}

const (
	pageSize    = 100
	pageMaximum = 1000
)

// Callbacks implements web.Trail. Its parameters are the flags of audit list, and limit
// and after, which is next of the page before.
func (a *auditAPI) Callbacks(ctx context.Context, query url.Values) (any, error) {
	q, err := parsePageQuery(query, time.Now())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", web.ErrQuery, err)
	}
	p := page{Callbacks: []trail.Entry{}}
	for e, err := range entries(ctx, a.bus, q.filter, q.actions, q.after) {
		if err != nil {
			return nil, err
		}
		if len(p.Callbacks) == q.limit {
			p.Next = cursor(q.after)
			break
		}
		p.Callbacks = append(p.Callbacks, e)
		q.after[e.Stream] = e.Sequence
	}
	return p, nil
}

// pageQuery is what GET /v1/callbacks asks for.
type pageQuery struct {
	auditListFlags
	after map[string]uint64
}

// parsePageQuery reads the parameters of GET /v1/callbacks. One that it does not know is
// an error: a filter that was misspelt would show what was not asked for.
func parsePageQuery(query url.Values, now time.Time) (pageQuery, error) {
	q := pageQuery{auditListFlags: auditListFlags{since: "24h", limit: pageSize}, after: map[string]uint64{}}
	for name, values := range query {
		if err := q.set(name, values); err != nil {
			return q, err
		}
	}
	return q, q.parse(now)
}

func (q *pageQuery) set(name string, values []string) (err error) {
	last := values[len(values)-1]
	switch name {
	case "since":
		q.since = last
	case "until":
		q.until = last
	case "source":
		q.filter.Sources = values
	case "verdict":
		q.filter.Verdicts = values
	case "reason":
		q.filter.Reasons = values
	case "address":
		q.addresses = values
	case "key":
		q.filter.Keys = values
	case "job":
		q.filter.Jobs = values
	case "body":
		q.filter.Bodies = values
	case "actions":
		q.actions, err = strconv.ParseBool(last)
	case "limit":
		q.limit, err = strconv.Atoi(last)
		if err == nil && (q.limit < 1 || q.limit > pageMaximum) {
			err = fmt.Errorf("limit is not 1 to %d", pageMaximum)
		}
	case "after":
		q.after, err = parseCursor(last)
	default:
		err = fmt.Errorf("there is no parameter %q", name)
	}
	return err
}

// cursor writes the last sequence seen of each stream.
func cursor(after map[string]uint64) string {
	var parts []string
	for _, stream := range sealedStreams {
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
		if err != nil || !slices.Contains(sealedStreams, stream) {
			return nil, fmt.Errorf("after %q is not next of another page", text)
		}
		after[stream] = seq
	}
	return after, nil
}

// Callback implements web.Trail.
func (a *auditAPI) Callback(ctx context.Context, stream string, seq uint64) (any, error) {
	if !slices.Contains(sealedStreams, stream) {
		return nil, fs.ErrNotExist
	}
	d, err := findDetail(ctx, a.cfg, a.bus, stream, seq)
	if errors.Is(err, errNoRecord) {
		return nil, fs.ErrNotExist
	}
	return d, err
}

// Bundle implements web.Trail. It gives the bytes that audit prove prints.
func (a *auditAPI) Bundle(ctx context.Context, stream string, seq uint64) ([]byte, error) {
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
func (a *auditAPI) Logs(ctx context.Context) (any, error) {
	all := []logState{}
	for _, stream := range sealedStreams {
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
			s.Checkpoint, s.Unsealed = checkpointJSON(cp), last-min(last, uint64(cp.Tree.N))
		}
		all = append(all, s)
	}
	return map[string]any{"name": a.cfg.Audit.Name, "logs": all}, nil
}

// Checkpoint implements web.Logs.
func (a *auditAPI) Checkpoint(ctx context.Context, stream string) ([]byte, error) {
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
func (a *auditAPI) Tile(ctx context.Context, stream, name string) ([]byte, error) {
	log := a.logs[stream]
	if log == nil {
		return nil, fs.ErrNotExist
	}
	return log.Tile(ctx, name)
}
