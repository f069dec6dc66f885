package logs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/sealing"
)

// RenameOptions say how logs go on under the configured name.
type RenameOptions struct {
	// From is their old name; or domain/name, if the domain was another one.
	From string
	// Anew has the new logs begin with the first record that is left, and not with the old trees.
	Anew bool
	// Action is who does it, and why.
	Action job.Action
}

// renaming is one run of Rename.
type renaming struct {
	cfg  *config.Config // with the new name
	old  config.Audit
	bus  *publish.Store
	keys audit.Keys // of both
	log  zerolog.Logger
}

// Rename makes the logs over the streams go on under the configured name, and returns their first
// checkpoints. It records that first, seals the old logs a last time if the configured key is
// theirs, and then signs their trees under the new name. No receiver may run. Repeated after a
// crash it finishes what it began.
func Rename(ctx context.Context, cfg *config.Config, bus *publish.Store, log zerolog.Logger, o RenameOptions) ([]audit.Checkpoint, error) {
	if !strings.Contains(o.From, "/") {
		o.From = cfg.Audit.Origin + "/" + o.From
	}
	heads, err := oldHeads(ctx, cfg, bus, o.From)
	if err != nil {
		return nil, err
	}
	r := &renaming{cfg: cfg, old: At(cfg.Audit, o.From), bus: bus, log: log}
	var origins []string
	for _, cp := range heads {
		origins = append(origins, cp.Origin)
	}
	if r.keys, err = Keys(cfg.Audit, origins...); err != nil {
		return nil, err
	}
	record := Renamed{From: o.From, To: Base(cfg.Audit), Carried: !o.Anew, OldKey: r.signs(heads), Logs: map[string]Head{}}
	behind := false
	for stream, cp := range heads {
		record.Logs[stream] = headOf(cp)
		s, err := r.plan(ctx, stream, cp)
		behind = behind || err == nil && s.behind
		if err != nil && !o.Anew {
			return nil, fmt.Errorf("%w; `receiver audit verify` names what is wrong; with --begin-anew the new logs begin without the old ones, "+
				"which stay to be verified", err)
		}
	}
	if err := r.record(ctx, record, behind, o.Action); err != nil {
		return nil, err
	}
	if !o.Anew {
		if err := r.carryAll(ctx, record.OldKey, heads); err != nil {
			return nil, err
		}
	}
	return Seal(ctx, cfg, bus, log)
}

// oldHeads are the newest checkpoints of the old logs, by stream.
func oldHeads(ctx context.Context, cfg *config.Config, bus *publish.Store, from string) (map[string]audit.Checkpoint, error) {
	if _, err := Key(cfg.Audit); err != nil {
		return nil, err
	}
	file, err := sealing.OpenCheckpoints(cfg.Abs(cfg.Audit.CheckpointFile))
	if errors.Is(err, sealing.ErrLocked) {
		return nil, config.UseErrorf("a receiver runs: stop it, on every replica, before its logs are renamed: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFile, err)
	}
	found, err := others(ctx, cfg, bus, file.Largest())
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	if found[from] == nil {
		names := "no other has another name than the configured one"
		if len(found) > 0 {
			names = "there are those of " + strings.Join(slices.Sorted(maps.Keys(found)), ", ")
		}
		return nil, config.UseErrorf("--from: no log of %s over these streams is signed by a key that is believed; %s", from, names)
	}
	return found[from], nil
}

// signs reports whether the configured key has signed all of these.
func (r *renaming) signs(heads map[string]audit.Checkpoint) bool {
	key, err := Key(r.old)
	if err != nil {
		return false
	}
	own, err := audit.ParseKeys(VerifierKeys(r.old, key), nil)
	for _, cp := range heads {
		if _, wrong := audit.OpenCheckpoint(cp.Note, own); wrong != nil {
			return false
		}
	}
	return err == nil
}

// record records what is about to be done, unless that is recorded and done, or begun.
func (r *renaming) record(ctx context.Context, what Renamed, behind bool, a job.Action) error {
	known, err := readRenames(ctx, r.bus)
	if err != nil {
		return err
	}
	if there, ok := known[what.From]; ok && there.To == what.To && there.Carried == what.Carried && (!behind || maps.Equal(there.Logs, what.Logs)) {
		return nil
	}
	a.What, a.Time = job.ActionRename, time.Now()
	if a.Details, err = json.Marshal(what); err != nil {
		return err
	}
	_, err = r.bus.Act(ctx, a)
	return err
}

// carryAll seals the old logs, if their key is there, and continues each.
func (r *renaming) carryAll(ctx context.Context, oldKey bool, heads map[string]audit.Checkpoint) error {
	if oldKey {
		old := *r.cfg
		old.Audit = r.old
		if _, err := sealWith(ctx, &old, r.bus, r.log, openAnyway); err != nil {
			return fmt.Errorf("sealing the logs of %s a last time: %w", Base(r.old), err)
		}
	}
	for _, stream := range Streams {
		known, ok := heads[stream]
		if !ok && !oldKey {
			continue
		}
		s, err := r.plan(ctx, stream, known)
		if err == nil && s.behind {
			err = s.carry(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// step is one log that goes on under another name.
type step struct {
	r        *renaming
	stream   string
	old      *audit.Log
	tree     audit.Checkpoint // the newest of the old log
	new      *audit.Log
	revision uint64
	behind   bool // the new log does not have the tree yet
}

// plan compares the two logs over a stream. Known is a checkpoint of the old one.
func (r *renaming) plan(ctx context.Context, stream string, known audit.Checkpoint) (*step, error) {
	s := &step{r: r, stream: stream}
	var err error
	if s.old, err = Open(ctx, r.bus, r.old, stream, r.keys); err != nil {
		return nil, err
	}
	if s.new, err = Open(ctx, r.bus, r.cfg.Audit, stream, r.keys); err != nil {
		return nil, err
	}
	if s.tree, err = s.old.Checkpoint(ctx); err != nil {
		return nil, err
	}
	if known.Note != nil {
		if err := s.old.Extends(ctx, s.tree, known); err != nil {
			return nil, err
		}
	}
	note, revision, err := s.new.Options().Checkpoints.Load(ctx)
	if err != nil || note == nil {
		s.behind = true
		return s, err
	}
	there, err := s.new.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	s.revision, s.behind = revision, there.Tree.N < s.tree.Tree.N
	if s.behind {
		return s, s.old.Extends(ctx, s.tree, there)
	}
	return s, s.new.Extends(ctx, there, s.tree)
}

// carry copies the tiles and then signs the tree under the new name. Until then nothing reads them.
func (s *step) carry(ctx context.Context) error {
	tiles, ok := s.new.Options().Storage.(audit.Storage)
	checkpoints, also := s.new.Options().Checkpoints.(audit.CheckpointStore)
	if !ok || !also {
		return fmt.Errorf("the log of %s can only be read", s.stream)
	}
	err := s.old.Tiles(ctx, s.tree.Tree.N, func(name string, data []byte) error { return tiles.Put(ctx, name, data) })
	if err != nil {
		return fmt.Errorf("copying the tiles of %s: %w", s.tree.Origin, err)
	}
	signer, err := signer(s.r.cfg.Audit, s.stream)
	if err != nil {
		return err
	}
	cp, err := audit.Sign(Origin(s.r.cfg.Audit, s.stream), s.tree.Tree, signer)
	if err != nil {
		return err
	}
	_, err = checkpoints.Store(ctx, cp.Note, s.revision)
	return err
}
