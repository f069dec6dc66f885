package traffic

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"receiver/api"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/reader"
)

// keysChanged is the kind of a mark for a reload that changed keys.
const keysChanged = "keys"

// marked are the subjects of the actions that are marked.
var marked = []string{job.Action{What: job.ActionStart}.Subject(), job.Action{What: job.ActionReload}.Subject()}

// marks are what happened to receivers, by ACTIONS.
type marks struct {
	all  []api.TrafficMark // oldest first, one for each minute and kind
	read uint64            // the last action that was read
	keys []string          // in force by the last of them; nil if that is not known
}

// follow reads the actions that are new; of the last day if none was read yet, or too many came.
func (m *marks) follow(ctx context.Context, bus *publish.Store, now time.Time) error {
	last, err := bus.LastSequence(ctx, conn.ActionsStream)
	if err != nil || last == m.read {
		return err
	}
	actions := bus.From(ctx, conn.ActionsStream, publish.Position{Sequence: m.read + 1}, false)
	if m.read == 0 || last < m.read || last-m.read > mostGap {
		since := now.Add(-horizon)
		*m = marks{}
		if a, found := reader.LastAction(ctx, bus.JetStream(), marked, since); found {
			m.keys = keysOf(a)
		}
		actions = bus.Messages(ctx, publish.Watch{Stream: conn.ActionsStream, Subjects: marked, Since: since})
	}
	next := marks{keys: m.keys, read: last}
	for _, a := range m.all {
		if now.Sub(a.Time) < horizon {
			next.all = append(next.all, a)
		}
	}
	for msg, err := range actions {
		if err != nil {
			return err
		}
		if a, err := job.ParseAction(msg.Subject, msg.Data); err == nil && slices.Contains(marked, msg.Subject) {
			next.add(a, msg.Time)
		}
		next.read = max(next.read, msg.Sequence)
	}
	*m = next
	return nil
}

// add marks an action that was stored at a time.
func (m *marks) add(a job.Action, at time.Time) {
	mark := api.TrafficMark{Time: at.UTC(), Kind: a.What, Count: 1}
	keys := keysOf(a)
	if m.keys != nil && keys != nil {
		mark.Added, mark.Removed = missing(keys, m.keys), missing(m.keys, keys)
	}
	if m.keys = keys; a.What == job.ActionReload && len(mark.Added)+len(mark.Removed) > 0 {
		mark.Kind = keysChanged
	}
	for i, b := range slices.Backward(m.all) {
		if minuteOf(b.Time) != minuteOf(at) {
			break
		}
		if b.Kind == mark.Kind {
			b.Count++
			b.Added, b.Removed = bounded(b.Added, mark.Added), bounded(b.Removed, mark.Removed)
			m.all[i] = b
			return
		}
	}
	mark.Added, mark.Removed = bounded(nil, mark.Added), bounded(nil, mark.Removed)
	m.all = append(m.all, mark)
}

// horizon is how far back marks are read.
const horizon = longest + time.Minute

// mostKeys is how many keys a mark names.
const mostKeys = 20

func bounded(all, more []string) []string {
	all = slices.Concat(all, missing(more, all))
	return all[:min(len(all), mostKeys):min(len(all), mostKeys)]
}

// keysOf are the keys that an action put into force; nil if it does not say.
func keysOf(a job.Action) []string {
	var details struct {
		Keys []string `json:"keys"`
	}
	if json.Unmarshal(a.Details, &details) != nil {
		return nil
	}
	return details.Keys
}

// missing are the texts that are not among others.
func missing(all, others []string) (left []string) {
	for _, s := range all {
		if !slices.Contains(others, s) {
			left = append(left, s)
		}
	}
	return left
}
