package records

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/audit/archive"
	"receiver/internal/auditlog"
	"receiver/internal/auditlog/report"
	"receiver/internal/config"
	"receiver/internal/encryption"
	"receiver/internal/publish"
	"receiver/internal/service/logs"
	"receiver/internal/words"
)

// ReportOptions are what a report is made of and with.
type ReportOptions struct {
	Config *config.Config
	Query  Query    // completed by Parse
	IDs    []string // records by name; with any, Query is not used
	// Distrusted is as in VerifyOptions.
	Distrusted *config.Audit
	// Report has Made, Program and Sources set.
	Report report.Options
}

// Report makes a report about records of a store.
func Report(ctx context.Context, bus *publish.Store, o ReportOptions) (report.Report, error) {
	o.Report.Body = storedBody(ctx, bus)
	keys, err := logs.Keys(o.Config.Audit)
	if err != nil {
		return report.Report{}, err
	}
	g := gathering{ReportOptions: o, entries: Entries(ctx, bus, o.Query), log: func(stream string) (*audit.Log, error) {
		return logs.Open(ctx, bus, o.Config.Audit, stream, keys)
	}}
	if len(keys.Witnesses) > 0 {
		g.kept = func() (*anchor.Collection, error) { return logs.Collect(ctx, o.Config, bus) }
	}
	return g.report(ctx)
}

// ReportArchive makes a report about records of an export.
func ReportArchive(ctx context.Context, path string, c *encryption.Cipher, o ReportOptions) (report.Report, error) {
	all, err := OpenArchives(path, logs.OfArchive(o.Config.Audit, o.Distrusted != nil))
	if err != nil {
		return report.Report{}, err
	}
	bodies, err := archive.BodiesOf(all.folders())
	if err != nil {
		return report.Report{}, err
	}
	o.Report.Body = BodyAlone(c, bodies, auditlog.ErrElsewhere)
	g := gathering{ReportOptions: o, entries: all.Entries(ctx, o.Query), log: all.Log, origins: all.Origins()}
	return g.report(ctx)
}

// gathering makes one report.
type gathering struct {
	ReportOptions
	entries iter.Seq2[auditlog.Entry, error] // that the query wants
	log     func(stream string) (*audit.Log, error)
	kept    func() (*anchor.Collection, error) // nil if older checkpoints are of no use
	size    int                                // of the records so far
	origins []string                           // of logs that the configuration does not name
}

func (g *gathering) report(ctx context.Context) (report.Report, error) {
	wanted, err := g.wanted()
	if err != nil {
		return report.Report{}, err
	}
	var proved []audit.Bundle
	for _, stream := range logs.Streams {
		if len(wanted[stream]) == 0 {
			continue
		}
		b, err := g.prove(ctx, stream, wanted[stream])
		if err != nil {
			return report.Report{}, err
		}
		if len(b.Entries) > 0 {
			proved = append(proved, b)
		}
	}
	if len(proved) == 0 {
		return report.Report{}, fmt.Errorf("none of %s: %w; `receiver audit seal` seals them or waits until they are sealed",
			words.Count(len(g.Report.Unsealed), "record"), audit.ErrNotSealed)
	}
	texts, err := logs.KeyTexts(g.Config.Audit, g.origins...)
	if err != nil {
		return report.Report{}, err
	}
	if g.Report.Keys, err = logs.Keys(g.Config.Audit, g.origins...); err != nil {
		return report.Report{}, err
	}
	g.Report.KeyTexts, g.Report.Asked = append(texts, logs.WitnessKeys(g.Config.Audit)...), g.asked()
	return report.Compose(proved, g.Report)
}

// wanted returns the sequences that are wanted of each stream, in ascending order.
func (g *gathering) wanted() (map[string][]uint64, error) {
	all, n := map[string][]uint64{}, 0
	add := func(stream string, seq uint64) error {
		if n++; n > report.MaxRecords {
			return config.UseErrorf("a report has at most %s; make several, with --since and --until, --job, or names of records", words.Count(report.MaxRecords, "record"))
		}
		all[stream] = append(all[stream], seq)
		return nil
	}
	for _, id := range g.IDs {
		stream, seq, err := ParseID(id)
		if err == nil {
			err = add(stream, seq)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(g.IDs) == 0 {
		for e, err := range g.entries {
			if err == nil {
				err = add(e.Stream, e.Sequence)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	if n == 0 {
		return nil, errors.New("no record is as asked for: `receiver audit list --since all` lists those that there are")
	}
	for stream, seqs := range all {
		slices.Sort(seqs)
		all[stream] = slices.Compact(seqs)
	}
	return all, nil
}

// prove proves records of a stream against one checkpoint, and notes those that it does not cover.
func (g *gathering) prove(ctx context.Context, stream string, seqs []uint64) (b audit.Bundle, err error) {
	log, err := g.log(stream)
	if err != nil {
		return b, err
	}
	cp, err := g.checkpoint(ctx, log, seqs)
	if errors.Is(err, audit.ErrNoCheckpoint) {
		return b, g.unsealed(stream, seqs, err)
	}
	if err != nil {
		return b, err
	}
	for i, seq := range seqs {
		one, err := log.ProveAt(ctx, cp, seq)
		switch {
		case errors.Is(err, audit.ErrNotSealed):
			return b, g.unsealed(stream, seqs[i:], err)
		case errors.Is(err, audit.ErrProof), errors.Is(err, audit.ErrTile):
			return b, fmt.Errorf("%w; run `receiver audit verify` to find the changes", err)
		case err != nil:
			return b, err
		}
		r := one.Entries[0].Record
		if g.size += weight(r); g.size > report.MaxBytes {
			return b, config.UseErrorf("a report has at most %d MiB of bodies and headers; make several, with --since and --until, or names of records", report.MaxBytes>>20)
		}
		one.Entries = append(b.Entries, one.Entries...)
		b = one
	}
	return b, nil
}

// weight is how many bytes a record has.
func weight(r audit.Record) int {
	n := len(r.Data) + len(r.Subject)
	for name, values := range r.Header {
		n += len(name) + len(strings.Join(values, ""))
	}
	return n
}

// unsealed notes records that no checkpoint covers; one that was named is an error.
func (g *gathering) unsealed(stream string, seqs []uint64, err error) error {
	if len(g.IDs) > 0 {
		return fmt.Errorf("%w; `receiver audit seal` seals it or waits until it is sealed", err)
	}
	for _, seq := range seqs {
		g.Report.Unsealed = append(g.Report.Unsealed, fmt.Sprintf("%s/%d", stream, seq))
	}
	return nil
}

// checkpoint returns the newest checkpoint, or an earlier one that covers the same of the records
// and that more witnesses have cosigned.
func (g *gathering) checkpoint(ctx context.Context, log *audit.Log, seqs []uint64) (audit.Checkpoint, error) {
	best, err := log.Checkpoint(ctx)
	if err != nil || g.kept == nil || len(best.Cosignatures) == len(g.Report.Keys.Witnesses) {
		return best, err
	}
	kept, err := g.kept()
	if err != nil {
		return best, err
	}
	newest, last := best.Tree.N, int64(min(seqs[len(seqs)-1], math.MaxInt64))
	for _, k := range kept.Of(best.Origin) {
		claims, err := audit.ReadCheckpoint(k.Note)
		if err != nil || claims.Tree.N > newest || claims.Tree.N < min(last, newest) || bytes.Count(k.Note, []byte("\n— ")) < 2 {
			continue
		}
		cp, err := audit.OpenCheckpoint(k.Note, g.Report.Keys)
		if err == nil && len(cp.Cosignatures) > len(best.Cosignatures) {
			best = cp
		}
	}
	return best, nil
}

// asked is what the records were selected by.
func (g *gathering) asked() []report.Fact {
	if len(g.IDs) > 0 {
		return []report.Fact{{Name: "records", Value: strings.Join(g.IDs, ", ")}}
	}
	f := g.Query.Filter
	all := []report.Fact{{Name: "stored since", Value: "the beginning"}, {Name: "stored before", Value: "this report"}}
	for i, t := range []time.Time{f.Since, f.Until} {
		if !t.IsZero() {
			all[i].Value = t.UTC().Format(time.RFC3339Nano)
		}
	}
	for _, l := range []struct {
		name   string
		values []string
	}{
		{"source", f.Sources}, {"verdict", f.Verdicts}, {"reason", f.Reasons}, {"address", g.Query.Addresses},
		{"key", f.Keys}, {"job", f.Jobs}, {"body", f.Bodies},
	} {
		if len(l.values) > 0 {
			all = append(all, report.Fact{Name: l.name, Value: strings.Join(l.values, ", ")})
		}
	}
	return all
}
