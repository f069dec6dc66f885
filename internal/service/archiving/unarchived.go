package archiving

import (
	"context"
	"time"

	"receiver/internal/auditlog"
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service/records"
)

// Unarchived is the oldest record of a stream that is in no archive.
type Unarchived struct {
	Stream   string
	Sequence uint64
	// Stored is when it was stored; zero if every record is in an archive.
	Stored time.Time
	// Ends is when its age removes it; zero if none does.
	Ends time.Time
	// Due is true if it is removed soon, by age or by size.
	Due bool
}

// streams are those that limits remove records from.
var streams = []string{conn.JobsStream, conn.AttemptsStream}

// Survey returns the oldest unarchived record of each stream that limits remove records from.
func Survey(ctx context.Context, cfg *config.Config, store *publish.Store) ([]Unarchived, error) {
	h := newHistory()
	if err := h.follow(ctx, store); err != nil {
		return nil, err
	}
	return h.survey(ctx, cfg, store)
}

func (h *history) survey(ctx context.Context, cfg *config.Config, store *publish.Store) ([]Unarchived, error) {
	var all []Unarchived
	for _, stream := range streams {
		extent, err := store.Extent(ctx, stream)
		if err != nil {
			return nil, err
		}
		u := Unarchived{Stream: stream, Sequence: h.unarchived(stream, extent.First)}
		if u.Sequence <= extent.Last {
			for m, err := range store.From(ctx, stream, publish.Position{Sequence: u.Sequence}, true) {
				if err != nil {
					return nil, err
				}
				u.Sequence, u.Stored = m.Sequence, m.Time
				break
			}
		}
		u.judge(records.Limits(cfg, stream), extent, time.Now())
		all = append(all, u)
	}
	return all, nil
}

// judge says whether a limit removes the record soon.
func (u *Unarchived) judge(l auditlog.Limits, e publish.Extent, now time.Time) {
	if u.Stored.IsZero() {
		return
	}
	if l.MaxAge > 0 {
		u.Ends = u.Stored.Add(l.MaxAge)
		u.Due = u.Ends.Sub(now) < lead(l.MaxAge)
	}
	if l.MaxBytes > 0 && e.Last >= e.First {
		// As if all records were of one size: those before it go first.
		before := float64(e.Bytes) * float64(u.Sequence-e.First) / float64(e.Last-e.First+1)
		u.Due = u.Due || float64(l.MaxBytes)-float64(e.Bytes)+before < float64(l.MaxBytes)/10
	}
}

// lead is how long before its age removes an unarchived record that is said: a tenth of the age,
// at least a day, at most half of the age.
func lead(age time.Duration) time.Duration { return min(max(age/10, 24*time.Hour), age/2) }
