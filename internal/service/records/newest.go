package records

import (
	"context"
	"iter"
	"time"

	"receiver/api"
	"receiver/internal/audit"
	"receiver/internal/auditlog"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// maxLooked is how many records are looked at for a page that is newest first: one that hardly
// anything matches ends before it is full.
const maxLooked = 5000

// newest fills a page with what a query wants, newest first. It goes back in all streams at once,
// so a page ends at one moment, wherever the matches are.
func newest(ctx context.Context, bus *publish.Store, q Query, page *api.CallbackPage) error {
	var all []iter.Seq2[audit.Record, error]
	for _, stream := range q.read() {
		from := publish.Position{Sequence: q.after[stream], Time: q.Filter.Until, Back: true}
		if from.Sequence == 0 && (from.Time.IsZero() || from.Time.After(time.Now())) {
			last, err := bus.LastSequence(ctx, stream) // for the next page, too, if this one needs nothing of the stream
			if err != nil {
				return err
			}
			from.Sequence, q.after[stream] = last+1, last+1
		}
		all = append(all, readStream(ctx, bus, stream, from, stream != conn.ActionsStream))
	}
	looked := 0
	for r, err := range auditlog.Merge(age, all...) {
		if err != nil {
			return err
		}
		if r.Time.Before(q.Filter.Since) {
			return nil
		}
		e, ok := auditlog.Read(r)
		wanted := ok && q.Filter.Match(e)
		if looked++; looked > maxLooked || wanted && len(page.Callbacks) == q.Limit {
			page.Next = cursor(q.after)
			return nil
		}
		q.after[r.Stream], page.Reached = r.Seq, r.Time.UTC()
		if wanted {
			page.Callbacks = append(page.Callbacks, e)
		}
	}
	return nil
}

// age is a time that is the later, the older a record is.
func age(r audit.Record) time.Time { return time.Unix(0, -r.Time.UnixNano()) }
