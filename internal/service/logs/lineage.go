package logs

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
)

// Renamed is a record in ACTIONS: the logs under one name end, and those under another go on.
type Renamed struct {
	From string `json:"from"` // what the origins began with
	To   string `json:"to"`   // and begin with now
	// Carried is true if the new logs have the trees of the old ones; otherwise they begin anew,
	// and the old ones stay logs of their own.
	Carried bool `json:"carried"`
	// OldKey is true if the key of the old logs was there, to seal them a last time.
	OldKey bool `json:"old_key"`
	// Logs are the newest checkpoints of the old logs when it was recorded, by stream.
	Logs map[string]Head `json:"logs"`
}

// Head is the tree of a checkpoint.
type Head struct {
	Size int64  `json:"size"`
	Root string `json:"root"`
}

func headOf(cp audit.Checkpoint) Head { return Head{cp.Tree.N, cp.Tree.Hash.String()} }

// renames are the names that logs had before: the last record about each.
type renames map[string]Renamed

func readRenames(ctx context.Context, bus *publish.Store) (renames, error) {
	all := renames{}
	subject := job.Action{What: job.ActionRename}.Subject()
	for m, err := range bus.Messages(ctx, publish.Watch{Stream: conn.ActionsStream, Subjects: []string{subject}}) {
		if err != nil {
			return nil, err
		}
		var r Renamed
		if a, err := job.ParseAction(m.Subject, m.Data); err == nil && json.Unmarshal(a.Details, &r) == nil {
			all[r.From] = r
		}
	}
	return all, nil
}

// carried reports whether the logs under base go on, by one record or several, as those under to.
func (r renames) carried(base, to string) bool {
	for range r {
		next, ok := r[base]
		if !ok || !next.Carried {
			return false
		}
		if base = next.To; base == to {
			return true
		}
	}
	return false
}

// Lineage is what became of all logs over the streams of a store.
type Lineage struct {
	// Earlier are the origins that the log over a stream had before, by stream.
	Earlier map[string][]string
	// Apart are the logs that are not those of the configuration.
	Apart []Apart
}

// Apart is a log over a stream that a believed key signed and that is not continued.
type Apart struct {
	Config    config.Audit // with its name
	Stream    string
	Abandoned string // why nothing accounts for its end; empty if a record does
}

// Trace finds every log over the streams that a believed key has signed, in whatever place a
// checkpoint of it is kept. With an error there are still the logs, and no record accounts for any.
func Trace(ctx context.Context, c config.Audit, bus *publish.Store, kept *anchor.Collection) (Lineage, error) {
	l := Lineage{Earlier: map[string][]string{}}
	var recorded renames
	var failed error
	for _, origin := range kept.Origins() {
		base, stream, ok := split(origin)
		if !ok || base == Base(c) || !signedByAny(c, origin, kept.Of(origin)) {
			continue
		}
		if recorded == nil && failed == nil {
			recorded, failed = readRenames(ctx, bus)
		}
		r, ended := recorded[base]
		head, named := r.Logs[stream]
		switch {
		case !ended:
			l.Apart = append(l.Apart, Apart{At(c, base), stream, "it was signed by a believed key, and no record in ACTIONS says that it was continued or ended"})
		case named && !slices.ContainsFunc(kept.Of(origin), func(k audit.Kept) bool {
			cp, err := audit.ReadCheckpoint(k.Note)
			return err == nil && headOf(cp) == head
		}):
			l.Apart = append(l.Apart, Apart{At(c, base), stream, fmt.Sprintf("the record in ACTIONS about its end names a checkpoint of size %d that is not kept anywhere", head.Size)})
		case recorded.carried(base, Base(c)):
			l.Earlier[stream] = append(l.Earlier[stream], origin)
		default:
			l.Apart = append(l.Apart, Apart{At(c, base), stream, ""})
		}
	}
	return l, failed
}

// signedByAny reports whether a believed key has signed one of these checkpoints of a log.
func signedByAny(c config.Audit, origin string, kept []audit.Kept) bool {
	keys, err := Keys(c, origin)
	return err == nil && slices.ContainsFunc(kept, func(k audit.Kept) bool {
		_, err := audit.OpenCheckpoint(k.Note, keys)
		return err == nil
	})
}

// others are the newest checkpoints of the logs over these streams that have another name, by what
// their origins begin with and by stream, as far as a believed key has signed them. Of anchors in
// other accounts only audit verify reads them all.
func others(ctx context.Context, cfg *config.Config, bus *publish.Store, file anchor.Largest) (map[string]map[string]audit.Checkpoint, error) {
	stored, err := bus.NewestCheckpoints(ctx)
	if err != nil {
		return nil, err
	}
	kept := slices.Collect(maps.Values(file))
	add := func(note []byte) {
		if cp, err := audit.ReadCheckpoint(note); err == nil {
			kept = append(kept, cp)
		}
	}
	for _, m := range stored {
		add(m.Data)
	}
	for _, a := range cfg.Audit.Anchors {
		if a.Directory == "" {
			continue
		}
		newest, _ := anchor.Dir{Path: cfg.Abs(a.Directory)}.Newest() // Tell says that it cannot be read
		for _, k := range newest {
			add(k.Note)
		}
	}
	found := map[string]map[string]audit.Checkpoint{}
	for _, cp := range kept {
		base, stream, ok := split(cp.Origin)
		if !ok || base == Base(cfg.Audit) || !signedByAny(cfg.Audit, cp.Origin, []audit.Kept{{Note: cp.Note}}) {
			continue
		}
		if found[base] == nil {
			found[base] = map[string]audit.Checkpoint{}
		}
		if there, ok := found[base][stream]; !ok || cp.Tree.N > there.Tree.N {
			found[base][stream] = cp
		}
	}
	return found, nil
}

// refuseAbandoned is an error if there are logs over these streams that would be left behind.
func refuseAbandoned(ctx context.Context, cfg *config.Config, bus *publish.Store, file anchor.Largest) error {
	found, err := others(ctx, cfg, bus, file)
	if err != nil || len(found) == 0 {
		return err
	}
	recorded, err := readRenames(ctx, bus)
	if err != nil {
		return err
	}
	for _, base := range slices.Sorted(maps.Keys(found)) {
		_, whole := recorded[base]
		if whole && recorded.carried(base, Base(cfg.Audit)) {
			if whole, err = reaches(ctx, cfg.Audit, bus, found[base]); err != nil {
				return err
			}
		}
		if !whole {
			return config.UseErrorf("audit.name: the logs of these streams are %s/…, signed by a key that is believed, and not %s/…; "+
				"continue them under the new name with `receiver audit rename --from %s`, or set audit.name and audit.origin back", base, Base(cfg.Audit), base)
		}
	}
	return nil
}

// reaches reports whether the logs of a configuration are at least as large as those before them.
func reaches(ctx context.Context, c config.Audit, bus *publish.Store, before map[string]audit.Checkpoint) (bool, error) {
	for stream, head := range before {
		checkpoints, err := bus.Checkpoints(ctx, Place(c), stream)
		if err != nil {
			return false, err
		}
		note, _, err := checkpoints.Load(ctx)
		if err != nil {
			return false, err
		}
		if cp, err := audit.ReadCheckpoint(note); err != nil || cp.Tree.N < head.Tree.N {
			return false, nil
		}
	}
	return true, nil
}
