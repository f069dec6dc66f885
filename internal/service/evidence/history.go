package evidence

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"receiver/api"
	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service/logs"
)

const (
	// The checkpoints of a page of GET /v1/log/{stream}/checkpoints.
	pageSize    = 100
	pageMaximum = 500
	// span is how many messages of CHECKPOINTS, which has those of all logs, are read at once, and
	// mostSpans how often for a page.
	span      = 1000
	mostSpans = 20
	// mostReceipts is how many receipts of anchors a page has.
	mostReceipts = 200
	// sealGrace is how long a record may wait beyond the interval, as for `audit verify`.
	sealGrace = 2 * time.Minute
)

// Checkpoints implements apiserver.SealedLogs.
func (a *API) Checkpoints(ctx context.Context, stream string, p api.ListCheckpointsParams) (api.CheckpointPage, error) {
	page := api.CheckpointPage{Stream: stream, Checkpoints: []api.SealedCheckpoint{}}
	limit, before, err := pageOf(p)
	if err != nil {
		return page, err
	}
	log, err := a.Log(stream)
	if err != nil {
		return page, err
	}
	newest, err := log.Checkpoint(ctx)
	switch {
	case errors.Is(err, audit.ErrNoCheckpoint):
		return page, nil
	case err != nil && !errors.Is(err, audit.ErrCheckpoint) && !errors.Is(err, audit.ErrSignature) && !errors.Is(err, audit.ErrCosignature):
		return page, err
	}
	h := &history{log: log, newest: newest.Tree, subject: a.subject(stream), grace: 2*a.o.Config.Audit.Interval + sealGrace}
	if err == nil {
		h.root = log.Roots(ctx, newest.Tree)
	} // a newest checkpoint that is not right is shown as a break
	if before == 0 {
		if before, err = a.o.Bus.LastSequence(ctx, conn.CheckpointsStream); err != nil {
			return page, err
		}
		before++
		if page.Anchors, err = a.anchored(ctx, h, stream); err != nil {
			return page, err
		}
	}
	next, err := h.read(ctx, a.o.Bus, limit, before)
	if err != nil {
		return page, err
	}
	if page.Checkpoints, err = h.judged(ctx); err == nil && next > 1 {
		page.Next = strconv.FormatUint(next, 10)
	}
	return page, err
}

func pageOf(p api.ListCheckpointsParams) (limit int, before uint64, err error) {
	limit = pageSize
	if p.Limit != nil {
		limit = *p.Limit
	}
	if limit < 1 || limit > pageMaximum {
		return 0, 0, api.BadRequest.Problem("limit is not 1 to %d", pageMaximum)
	}
	if p.After != "" {
		if before, err = strconv.ParseUint(p.After, 10, 64); err != nil || before < 1 {
			return 0, 0, api.BadRequest.Problem("after %q is not the value of next of another page", p.After)
		}
	}
	return limit, before, nil
}

// history is a part of the checkpoints of one log.
type history struct {
	log     *audit.Log
	newest  tlog.Tree
	root    func(size int64) (tlog.Hash, error) // nil without a newest checkpoint that is right
	subject string
	grace   time.Duration
	rows    []row // newest first; the last is only what the one before follows
	shown   int
	damage  error // of the tiles
}

// row is a message of the stream CHECKPOINTS.
type row struct {
	publish.Message
	cp   audit.Checkpoint // as far as it can be read
	err  error            // of its signature
	lost [2]uint64        // messages before it that are not there
}

// read reads so many checkpoints of the log before a sequence, and one more. It returns the
// sequence that the next page comes before; 0 or 1 if there is none.
func (h *history) read(ctx context.Context, bus *publish.Store, limit int, before uint64) (next uint64, err error) {
	for range mostSpans {
		from := before - min(before-1, span)
		var part []row
		last := from - 1
		err := bus.Range(ctx, conn.CheckpointsStream, from, before-1, func(m publish.Message) error {
			r := row{Message: m}
			if m.Sequence > last+1 {
				r.lost = [2]uint64{last + 1, m.Sequence - 1}
			}
			last = m.Sequence
			if m.Subject == h.subject || r.lost[0] > 0 { // a gap may have been of any log
				part = append(part, r)
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
		if last < before-1 {
			h.gap([2]uint64{last + 1, before - 1})
		}
		slices.Reverse(part)
		for _, r := range part {
			if r.Subject != h.subject {
				h.gap(r.lost)
				continue
			}
			if len(h.rows) > limit {
				h.shown = limit
				return h.rows[limit-1].Sequence, nil
			}
			if r.cp, r.err = h.log.Open(r.Data); r.err != nil {
				r.cp, _ = audit.ReadCheckpoint(r.Data)
			}
			h.rows = append(h.rows, r)
		}
		if before = from; before <= 1 {
			break
		}
	}
	h.shown = min(len(h.rows), limit)
	if len(h.rows) > limit {
		return h.rows[limit-1].Sequence, nil
	}
	return before, nil
}

// gap gives a gap before a checkpoint of another log to the next of this one.
func (h *history) gap(lost [2]uint64) {
	if n := len(h.rows); n > 0 && h.rows[n-1].lost[0] == 0 {
		h.rows[n-1].lost = lost
	}
}

// judged are the rows of the page as the API gives them.
func (h *history) judged(ctx context.Context) ([]api.SealedCheckpoint, error) {
	all := []api.SealedCheckpoint{}
	for i, r := range h.rows[:h.shown] {
		c := api.SealedCheckpoint{Sequence: r.Sequence, Time: r.Time.UTC(), Size: r.cp.Tree.N, Root: r.cp.Tree.Hash.String(), Cosignatures: []api.Cosignature{}}
		_, c.KeyId, _ = strings.Cut(r.cp.Key, "+")
		for _, s := range r.cp.Cosignatures {
			c.Cosignatures = append(c.Cosignatures, api.Cosignature{Witness: s.Witness, Time: s.Time.UTC()})
		}
		var before *row
		if i+1 < len(h.rows) {
			before = &h.rows[i+1]
		}
		var err error
		if c.Break, err = h.breaks(ctx, r, before); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// breaks says how a checkpoint does not follow from the one before it, the worst first.
func (h *history) breaks(ctx context.Context, r row, before *row) (api.CheckpointBreak, error) {
	found := func(kind audit.Kind, format string, args ...any) (api.CheckpointBreak, error) {
		return api.CheckpointBreak{Kind: string(kind), Detail: fmt.Sprintf(format, args...)}, nil
	}
	switch {
	case r.err != nil:
		return found(audit.BadNote, "%v", r.err)
	case before != nil && r.cp.Tree.N < before.cp.Tree.N:
		return found(audit.RolledBack, "it is of size %d, and the one before it of %d", r.cp.Tree.N, before.cp.Tree.N)
	case before != nil && r.cp.Tree.N == before.cp.Tree.N && r.cp.Tree.Hash != before.cp.Tree.Hash:
		return found(audit.Forked, "the one before it has the same size and another root")
	}
	b, err := h.ofTree(r.cp.Tree)
	if err != nil || b.Kind != "" {
		return b, err
	}
	switch {
	case r.lost[0] > 0:
		return found(audit.Missing, "checkpoints %d to %d, of this log or another, were removed or cannot be read", r.lost[0], r.lost[1])
	case before == nil:
		return b, nil
	case r.Time.Before(before.Time):
		return found(audit.Misdated, "it was stored at %s, before the one that it follows: the server's clock was set back", r.Time.UTC().Format(time.RFC3339))
	}
	waited, seq, err := h.waited(ctx, r, *before)
	if err != nil || waited <= h.grace {
		return b, err
	}
	return found(audit.Unsealed, "record %d waited %s to be sealed", seq, waited.Round(time.Second))
}

// ofTree holds a tree against that of the newest checkpoint.
func (h *history) ofTree(t tlog.Tree) (b api.CheckpointBreak, _ error) {
	if h.root == nil || h.damage != nil {
		return b, nil
	}
	if t.N > h.newest.N {
		return api.CheckpointBreak{Kind: string(audit.RolledBack), Detail: fmt.Sprintf("it is of size %d, and the newest checkpoint of %d", t.N, h.newest.N)}, nil
	}
	root, err := h.root(t.N)
	switch {
	case errors.Is(err, audit.ErrTile):
		h.damage = err // once is enough
		return api.CheckpointBreak{Kind: string(audit.BadTile), Detail: "it and older ones cannot be compared with the newest: " + err.Error()}, nil
	case err != nil:
		return b, err
	case root != t.Hash:
		return api.CheckpointBreak{Kind: string(audit.Forked), Detail: fmt.Sprintf("the tree of the newest checkpoint had another root at size %d", t.N)}, nil
	}
	return b, nil
}

// waited is how long the first record that a checkpoint covers waited for it, if it is there. It is
// looked for only where it may have waited too long.
func (h *history) waited(ctx context.Context, r, before row) (waited time.Duration, seq uint64, err error) {
	if r.cp.Tree.N <= before.cp.Tree.N || r.Time.Sub(before.Time) <= h.grace {
		return 0, 0, nil
	}
	seq = h.log.Seq(before.cp.Tree.N)
	err = h.log.Options().Source.Records(ctx, seq, seq, func(record audit.Record) error {
		waited = r.Time.Sub(record.Time)
		return nil
	})
	return waited, seq, err
}

// anchored are the checkpoints that anchors took, as receipts say: the newest of each, and those
// that were in force at each start.
func (a *API) anchored(ctx context.Context, h *history, stream string) ([]api.AnchorReceipt, error) {
	now, err := anchor.ReadReceipts(logs.Receipts(a.o.Config))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	before, err := logs.EveryRecorded(ctx, a.o.Bus)
	if err != nil {
		return nil, err
	}
	all := received(slices.Concat(now, before), logs.Origin(a.o.Config.Audit, stream))
	all = slices.CompactFunc(all, func(a, b api.AnchorReceipt) bool {
		return a.Kind == b.Kind && a.Where == b.Where && a.Size == b.Size && a.Root == b.Root
	})
	all = all[:min(len(all), mostReceipts)]
	for i, r := range all {
		root, err := tlog.ParseHash(r.Root)
		if err != nil {
			continue
		}
		if all[i].Break, err = h.ofTree(tlog.Tree{N: r.Size, Hash: root}); err != nil {
			return nil, err
		}
	}
	return all, nil
}
