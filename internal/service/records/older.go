package records

import (
	"context"
	"errors"

	"receiver/api"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// Older returns what the streams of a query hold from before its beginning; zero if that is
// nothing. It counts sequences and reads two records of each stream, so removed ones in the middle
// count as records.
func Older(ctx context.Context, bus *publish.Store, q Query) (older api.OlderRecords, err error) {
	for _, stream := range q.streams() {
		extent, err := bus.Extent(ctx, stream)
		if errors.Is(err, conn.ErrMissing) {
			continue
		}
		if err != nil {
			return older, err
		}
		next, err := firstSince(ctx, bus, stream, q.Filter.Since, extent)
		if err != nil {
			return older, err
		}
		if extent.Messages == 0 || next <= extent.First {
			continue
		}
		older.Records += int64(min(next-extent.First, extent.Messages))
		for m, err := range bus.From(ctx, stream, publish.Position{Sequence: extent.First}, true) {
			if err != nil {
				return older, err
			}
			if older.Since.IsZero() || m.Time.Before(older.Since) {
				older.Since = m.Time.UTC()
			}
			break
		}
	}
	return older, nil
}
