package archiving

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"time"

	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service/records"
)

// Details are the details of the action export.
type Details struct {
	// Since and Until bound when a record was stored.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// Logs are what was exported and verified. An operator's export is recorded twice: without logs
	// before it begins, and with them when it is done.
	Logs []records.Exported `json:"logs,omitempty"`
	// Unattended is true of an export by audit.export.
	Unattended bool `json:"unattended,omitempty"`
}

// span is a range of sequences.
type span struct{ from, to uint64 }

// history is what the actions in ACTIONS say was exported.
type history struct {
	read     uint64    // the last of these actions that was read,
	readTime time.Time // and when it was stored
	archived map[string][]span
	// Of the last export by audit.export: its last sequences, when it began, its own sequence in
	// ACTIONS, and when that was stored.
	after map[string]uint64
	until time.Time
	own   uint64
	last  time.Time
}

func newHistory() *history {
	return &history{archived: map[string][]span{}, after: map[string]uint64{}}
}

// follow reads the actions that are new.
func (h *history) follow(ctx context.Context, store *publish.Store) error {
	w := publish.Watch{Stream: conn.ActionsStream, Subjects: []string{job.Action{What: job.ActionExport}.Subject()}, Since: h.readTime}
	for m, err := range store.Messages(ctx, w) {
		if err != nil {
			return err
		}
		if m.Sequence <= h.read {
			continue
		}
		h.read, h.readTime = m.Sequence, m.Time
		action, err := job.ParseAction(m.Subject, m.Data)
		var d Details
		if err != nil || json.Unmarshal(action.Details, &d) != nil {
			continue // audit verify names what this program did not write
		}
		h.take(m.Sequence, m.Time, d)
	}
	return nil
}

func (h *history) take(sequence uint64, at time.Time, d Details) {
	for _, e := range d.Logs {
		if e.From <= e.To && e.To < math.MaxUint64 {
			h.archived[e.Stream()] = with(h.archived[e.Stream()], span{e.From, e.To})
		}
		if d.Unattended {
			h.after[e.Stream()] = max(e.To, h.after[e.Stream()])
		}
	}
	if d.Unattended {
		h.until, h.own, h.last = d.Until, sequence, at
	}
}

// with adds a range to ranges, which are in order and do not touch.
func with(all []span, s span) []span {
	var others []span
	for _, other := range all {
		if other.to+1 < s.from || s.to+1 < other.from {
			others = append(others, other)
			continue
		}
		s = span{min(s.from, other.from), max(s.to, other.to)}
	}
	others = append(others, s)
	slices.SortFunc(others, func(a, b span) int { return int(min(max(int64(a.from-b.from), -1), 1)) })
	return others
}

// unarchived returns the first sequence from here on that is in no archive.
func (h *history) unarchived(stream string, from uint64) uint64 {
	for _, s := range h.archived[stream] {
		if s.from <= from && from <= s.to {
			from = s.to + 1
		}
	}
	return from
}
