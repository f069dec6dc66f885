// Package deliveries shows and replays what the sinks of a configuration have not accepted.
package deliveries

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/sink"
	"receiver/internal/words"
)

// Names returns the names of the configured sinks.
func Names(cfg *config.Config) (names []string) {
	for _, k := range cfg.Sinks {
		names = append(names, k.Name)
	}
	return names
}

// Reports returns the state of the configured sinks, or of the one of a name.
func Reports(ctx context.Context, cfg *config.Config, bus *publish.Store, name string) ([]sink.Report, error) {
	names := Names(cfg)
	if name != "" && !slices.Contains(names, name) {
		return nil, fmt.Errorf("the configuration has no sink %q; it has: %s", name, cmp.Or(strings.Join(names, ", "), "none"))
	}
	reports := []sink.Report{}
	for _, known := range names {
		if name == "" || name == known {
			r, err := sink.Describe(ctx, bus, known)
			if err != nil {
				return nil, err
			}
			reports = append(reports, r)
		}
	}
	return reports, nil
}

// Table is Reports as a table: a row for each sink or, with a name, for each job and event that
// it has not accepted.
func Table(ctx context.Context, cfg *config.Config, bus *publish.Store, name string) (reports []sink.Report, header []string, rows [][]string, err error) {
	if reports, err = Reports(ctx, cfg, bus, name); err != nil {
		return nil, nil, nil, err
	}
	if name == "" {
		for _, r := range reports {
			rows = append(rows, []string{r.Name, fmt.Sprint(r.Pending), fmt.Sprint(r.Retrying), fmt.Sprint(r.GivenUp)})
		}
		return reports, []string{"SINK", "PENDING", "RETRYING", "GIVEN UP"}, rows, nil
	}
	for _, d := range reports[0].Open {
		source, id := d.Source()
		due := "given up"
		if !d.GivenUp {
			due = d.Due.UTC().Format(time.RFC3339)
		}
		rows = append(rows, []string{source, id, fmt.Sprint(d.Next), fmt.Sprint(d.Tries), d.Since.UTC().Format(time.RFC3339), due, d.Error})
	}
	return reports, []string{"SOURCE", "JOB", "SEQUENCE", "TRIES", "SINCE", "NEXT TRY", "ERROR"}, rows, nil
}

// Replay says what of a sink is posted again: everything, or one job.
type Replay struct {
	Sink, Source, Job string
	All               bool
	// Record records the action with its details, before it is done.
	Record func(ctx context.Context, details map[string]any) error
	// Say prints for the user what is posted again.
	Say func(format string, args ...any)
}

// Do has events posted again that a sink did not accept.
func (r Replay) Do(ctx context.Context, cfg *config.Config, bus *publish.Store) error {
	reports, err := Reports(ctx, cfg, bus, r.Sink)
	if err != nil {
		return err
	}
	n, err := r.replay(ctx, bus, reports[0].Open)
	if err == nil && n == 0 {
		err = fmt.Errorf("sink %s: %w of what you ask for; see `receiver sinks list %s`", r.Sink, sink.ErrNothing, r.Sink)
	}
	if err != nil {
		return err
	}
	r.Say("%s posted again", words.Count(n, "delivery"))
	return nil
}

// replay has what of open is asked for posted again, and returns how much that is. It records
// nothing if that is nothing.
func (r Replay) replay(ctx context.Context, bus *publish.Store, open []job.Delivery) (int, error) {
	open = slices.DeleteFunc(open, func(d job.Delivery) bool {
		source, id := d.Source()
		return !r.All && (source != r.Source || id != r.Job)
	})
	if len(open) == 0 {
		return 0, nil
	}
	details := map[string]any{"sink": r.Sink, "replayed": len(open)}
	if !r.All {
		details["source"], details["job"] = r.Source, r.Job
	}
	if err := r.Record(ctx, details); err != nil {
		return 0, err
	}
	return len(open), sink.Replay(ctx, bus, open)
}
