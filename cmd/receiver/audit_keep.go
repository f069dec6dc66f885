package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/gofrs/flock"
	"github.com/rs/zerolog"
	"golang.org/x/mod/sumdb/note"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/publish"
	"receiver/internal/seal"
)

// keepers are what keeps the logs of one store sealed, and what has to be closed after.
type keepers struct {
	*seal.Keeper
	file     *audit.CheckpointFile
	lock     *flock.Flock
	accounts []*publish.Anchor
}

// openKeepers wires a keeper to the streams. Observe may be nil.
func openKeepers(ctx context.Context, cfg *config.Config, bus *publish.Bus, o seal.Options) (_ *keepers, err error) {
	path := cfg.Abs(cfg.Audit.CheckpointFile)
	k := &keepers{}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.close())
		}
	}()
	if k.lock, err = lockFile(path); err != nil {
		return k, err
	}
	known := lastKept{}
	if k.file, err = audit.OpenCheckpointFile(path, known.add); err != nil {
		return k, fmt.Errorf("audit.checkpoint_file: %w", err)
	}
	lease, err := bus.Lease(ctx, "seal."+cfg.Audit.Name)
	if err != nil {
		return k, err
	}
	o.Lease, o.Keep, o.Prove = lease, k.file.Publish, proveFork(path)
	o.Interval, o.AnchorInterval = cfg.Audit.Interval, cfg.Audit.AnchorInterval
	told, err := k.openAnchors(cfg)
	if err != nil {
		return k, err
	}
	for _, stream := range sealedStreams {
		log, err := sealLog(ctx, cfg, bus, logPlaces{stream, known[audit.Origin(cfg.Audit.Name, stream)], told, o.Log})
		if err != nil {
			return k, err
		}
		o.Logs = append(o.Logs, log)
	}
	k.Keeper = seal.New(o)
	return k, nil
}

func (k *keepers) close() error {
	var errs []error
	for _, a := range k.accounts {
		a.Close()
	}
	if k.file != nil {
		errs = append(errs, k.file.Close())
	}
	if k.lock != nil {
		errs = append(errs, k.lock.Unlock())
	}
	return errors.Join(errs...)
}

// errFileLocked is returned while another process writes the checkpoint file.
var errFileLocked = errors.New("it is written by another receiver; give each its own")

// lockFile keeps a second process from writing the checkpoint file.
func lockFile(path string) (*flock.Flock, error) {
	lock := flock.New(path, flock.SetPermissions(0o600))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("audit.checkpoint_file: locking it: %w", err)
	}
	if !ok {
		return nil, fmt.Errorf("audit.checkpoint_file: %s: %w", path, errFileLocked)
	}
	return lock, nil
}

// lastKept is the largest checkpoint of each log in a checkpoint file, by origin.
type lastKept map[string]audit.Checkpoint

func (l lastKept) add(c audit.Kept) error {
	cp, err := audit.ReadCheckpoint(c.Note)
	if err != nil {
		return fmt.Errorf("%s: %w; move the file away once it is clear who changed it", c.Where, err)
	}
	if there, ok := l[cp.Origin]; !ok || cp.Tree.N >= there.Tree.N {
		l[cp.Origin] = cp
	}
	return nil
}

// proveFork keeps the two checkpoints of a fork in a file beside the checkpoint file.
func proveFork(path string) func(*audit.ForkError) (string, error) {
	return func(fork *audit.ForkError) (string, error) {
		sum := sha256.Sum256(append(slices.Clone(fork.Known.Note), fork.Found.Note...))
		where := fmt.Sprintf("%s.fork-%x", path, sum[:8])
		file, err := audit.OpenCheckpointFile(where, nil)
		if err != nil {
			return "", err
		}
		if file.Last() != nil { // kept in an earlier life
			return where, file.Close()
		}
		for _, cp := range []audit.Checkpoint{fork.Known, fork.Found} {
			if cp.Note != nil {
				err = errors.Join(err, file.Publish(context.Background(), cp))
			}
		}
		return where, errors.Join(err, file.Close())
	}
}

// logPlaces is where checkpoints of one log come from and go to, beside the store.
type logPlaces struct {
	stream  string
	known   audit.Checkpoint
	anchors []anchorPlace
	log     zerolog.Logger
}

// sealLog wires one log. That what was kept of it cannot be believed does not keep a
// receiver from starting: it is said as everything else that is wrong with a log.
func sealLog(ctx context.Context, cfg *config.Config, bus *publish.Bus, p logPlaces) (seal.Log, error) {
	stream := p.stream
	l := seal.Log{Stream: stream, Last: streamSource{bus, stream}.Last, Kept: p.known.Note, Open: stream == publish.AttemptsStream}
	keys, err := auditKeys(cfg.Audit)
	if err != nil {
		return l, err
	}
	log, err := openLog(ctx, bus, cfg.Audit.Name, stream, keys)
	if err != nil {
		return l, err
	}
	signer, err := signer(cfg.Audit, stream)
	if err != nil {
		return l, err
	}
	o := audit.SealerOptions{Signer: signer}
	if p.known.Note != nil {
		o.Known = [][]byte{p.known.Note}
	}
	sealer, err := audit.NewSealer(log, o)
	if err != nil {
		l.Sealer = brokenSealer{fmt.Errorf("audit.checkpoint_file: %w", err)}
		return l, nil
	}
	l.Sealer = sealer
	for _, place := range p.anchors {
		l.Anchors = append(l.Anchors, place.of(ctx, sealer, stream, p.log))
	}
	return l, nil
}

func signer(c config.Audit, stream string) (note.Signer, error) {
	key, err := audit.ParseKey(c.Key.Reveal())
	if err != nil {
		return nil, usagef("audit.key: %w", err)
	}
	return key.Signer(audit.Origin(c.Name, stream))
}

// brokenSealer seals nothing, for a reason.
type brokenSealer struct{ err error }

// Seal implements seal.Sealer, as do SealSome and Follow.
func (b brokenSealer) Seal(context.Context) (audit.Checkpoint, error) {
	return audit.Checkpoint{}, b.err
}

// SealSome says why nothing is sealed, as Follow does.
func (b brokenSealer) SealSome(context.Context, int64) (audit.Checkpoint, error) {
	return audit.Checkpoint{}, b.err
}

// Follow says why nothing is sealed.
func (b brokenSealer) Follow(context.Context) (audit.Checkpoint, error) {
	return audit.Checkpoint{}, b.err
}
