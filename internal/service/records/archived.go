package records

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"receiver/api"
	"receiver/internal/audit"
	"receiver/internal/audit/archive"
	"receiver/internal/auditlog"
	"receiver/internal/config"
	"receiver/internal/encryption"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/service/logs"
)

// Archived reads archives instead of a store. Nothing of it is verified but the seal of a record.
type Archived struct {
	path   string
	keys   func(origin string) (audit.Keys, error)
	series map[string]*archive.Series // by stream
}

// OpenArchives opens an archive, or all that are in a folder. The func returns the keys of the log
// with an origin.
func OpenArchives(path string, keys func(origin string) (audit.Keys, error)) (*Archived, error) {
	a := &Archived{path: path, keys: keys, series: map[string]*archive.Series{}}
	for _, stream := range logs.Streams {
		series, err := archive.OpenSeries(path, logs.Streams, stream)
		if err != nil {
			return nil, fmt.Errorf("reading the archive: %w", err)
		}
		if series != nil {
			a.series[stream] = series
		}
	}
	return a, nil
}

// Entries gives what the archives hold and a query wants, in the order in which it was stored.
func (a *Archived) Entries(ctx context.Context, q Query) iter.Seq2[auditlog.Entry, error] {
	read := func(stream string, since time.Time, _ uint64) iter.Seq2[audit.Record, error] {
		return a.read(ctx, stream, since)
	}
	streams := slices.DeleteFunc(q.streams(), func(s string) bool { return a.series[s] == nil })
	return auditlog.Entries(read, streams, q.Filter, nil)
}

// errEnough ends a reading whose caller wants no more.
var errEnough = errors.New("the caller stopped reading")

// read gives the records of a stream that were stored since a time, and then what is damaged.
func (a *Archived) read(ctx context.Context, stream string, since time.Time) iter.Seq2[audit.Record, error] {
	return func(yield func(audit.Record, error) bool) {
		err := a.series[stream].Records(ctx, 1, math.MaxUint64, func(r audit.Record) error {
			if r.Time.Before(since) || yield(r, nil) {
				return nil
			}
			return errEnough
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(audit.Record{}, fmt.Errorf("reading %s in %s: %w; run `receiver audit verify --export`", stream, a.path, err))
		}
	}
}

// Series returns the folders of a stream.
func (a *Archived) Series(stream string) (*archive.Series, error) {
	if s := a.series[stream]; s != nil {
		return s, nil
	}
	return nil, config.UseErrorf("%s has no records of %s", a.path, stream)
}

// Log opens the log over a stream.
func (a *Archived) Log(stream string) (*audit.Log, error) {
	series, err := a.Series(stream)
	if err != nil {
		return nil, err
	}
	keys, err := a.keys(series.Origin())
	if err != nil {
		return nil, err
	}
	return series.Log(keys)
}

// Stored reads the bodies that are kept outside of their messages.
func (a *Archived) Stored() (Stored, error) { return StoredInArchive(a.folders()) }

func (a *Archived) folders() (all []*archive.Folder) {
	for _, series := range a.series {
		all = append(all, series.Folders()...)
	}
	return all
}

// Origins are the origins of the logs.
func (a *Archived) Origins() (origins []string) {
	for _, series := range a.series {
		origins = append(origins, series.Origin())
	}
	return origins
}

// Trail returns the trail of the archives. They do not know of older records, nor which sources
// were configured.
func (a *Archived) Trail() Trail {
	return Trail{
		Entries: a.Entries,
		Older:   func(context.Context, Query) (api.OlderRecords, error) { return api.OlderRecords{}, nil },
		Known:   func(context.Context, string) error { return nil },
	}
}

// Detail reads a record with everything about it; without a log key, its seal is unknown. The error
// may be auditlog.ErrNoRecord.
func (a *Archived) Detail(ctx context.Context, c *encryption.Cipher, stream string, seq uint64) (*auditlog.Detail, error) {
	series, err := a.Series(stream)
	if err != nil {
		return nil, err
	}
	stored, err := a.Stored()
	if err != nil {
		return nil, err
	}
	r := auditlog.Reader{
		Source: series,
		Body: func(r audit.Record) (body []byte, err error) {
			if body = r.Data; publish.Refers(r.Header) {
				body, err = stored(ctx, r)
			}
			switch {
			case errors.Is(err, publish.ErrLost): // the archive was exported without it
				return nil, nil
			case err != nil || !job.Encrypted(r.Header) || len(body) == 0:
				return body, err
			}
			if body, err = c.Decrypt(body); err != nil {
				err = auditlog.Hidden(hint(fmt.Errorf("%s/%d: %w", r.Stream, r.Seq, err)))
			}
			return body, err
		},
		Log: func(context.Context) (*audit.Log, error) {
			keys, err := a.keys(series.Origin())
			if err != nil || len(keys.Log) == 0 {
				return nil, err
			}
			return series.Log(keys)
		},
		Entries: func(f auditlog.Filter) iter.Seq2[auditlog.Entry, error] { return a.Entries(ctx, Query{Filter: f}) },
	}
	return r.Detail(ctx, stream, seq)
}
