package anchor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/mod/sumdb/note"

	"receiver/internal/audit"
)

// Place is one configured anchor of all logs of a receiver.
type Place struct {
	ID
	Name string
	// Tell hands over a checkpoint of the log over a stream, and returns the one to keep: the
	// same, or the same with a cosignature. Told is the size that the place received before; if it
	// has less now, the error is ErrForgotten and it is not told more. Only one goroutine may call
	// it for a stream at a time.
	Tell func(ctx context.Context, s *audit.Sealer, stream string, cp audit.Checkpoint, told int64) (audit.Checkpoint, error)
	// Know makes the largest checkpoint known that is kept there and signed, or has a witness say
	// whether the stored one extends what it has cosigned. The error is ErrForgotten if the place
	// has less than it received. Other errors may be of others that are there too.
	Know func(ctx context.Context, s *audit.Sealer, stream string, told int64) error
}

// WitnessID is the identity of a witness: that of its key, wherever it listens.
func WitnessID(key note.Verifier) ID {
	return ID{"witness", fmt.Sprintf("%s+%08x", key.Name(), key.KeyHash())}
}

// DirID is the identity of a folder.
func DirID(path string) ID { return ID{"folder", path} }

// AccountID is the identity of a stream in another account.
func AccountID(name string) ID { return ID{"account", name} }

// AtWitness is an anchor that cosigns; origin is that of the log over a stream.
func AtWitness(origin func(stream string) string, url string, w *Witness) Place {
	ask := func(ctx context.Context, s *audit.Sealer, stream string, told int64) (audit.Checkpoint, error) {
		w.Cosigned(origin(stream), told)
		return s.Cosign(ctx, w)
	}
	return Place{
		ID: WitnessID(w.key), Name: url,
		Tell: func(ctx context.Context, s *audit.Sealer, stream string, _ audit.Checkpoint, told int64) (audit.Checkpoint, error) {
			return ask(ctx, s, stream, told)
		},
		Know: func(ctx context.Context, s *audit.Sealer, stream string, told int64) error {
			_, err := ask(ctx, s, stream, told)
			return err
		},
	}
}

// InDir is a folder that holds checkpoints; origin is that of the log over a stream.
func InDir(origin func(stream string) string, dir Dir, streams ...string) Place {
	held := make(map[string]*inDir)
	for _, stream := range streams {
		held[stream] = &inDir{dir: dir, origin: origin(stream)}
	}
	return Place{
		ID: DirID(dir.Path), Name: dir.Path,
		Tell: func(ctx context.Context, s *audit.Sealer, stream string, cp audit.Checkpoint, told int64) (audit.Checkpoint, error) {
			return cp, held[stream].tell(ctx, s, cp, told)
		},
		Know: func(_ context.Context, s *audit.Sealer, stream string, told int64) error {
			return held[stream].know(s, told)
		},
	}
}

// inDir is what is known of a folder for one log. It is used by one at a time.
type inDir struct {
	dir    Dir
	origin string
	newest string // path of the file that was written last
}

func (d *inDir) know(s *audit.Sealer, told int64) error {
	if _, err := d.dir.names(d.origin); err != nil && told > 0 {
		return fmt.Errorf("%w of %s: %w", ErrForgotten, d.origin, err)
	}
	largest := int64(0)
	err := d.dir.Largest(d.origin, func(signed []byte) error {
		if err := s.Know(signed); err != nil {
			return err
		}
		cp, err := audit.ReadCheckpoint(signed)
		largest = cp.Tree.N
		return err
	})
	return cmp.Or(forgotten(d.dir.Path, d.origin, told, largest), err)
}

// tell writes a checkpoint, unless what was written is gone. A folder may be one in which nothing
// is mounted yet.
func (d *inDir) tell(ctx context.Context, s *audit.Sealer, cp audit.Checkpoint, told int64) error {
	if _, err := os.Stat(d.newest); told > 0 && err != nil {
		if err := d.know(s, told); errors.Is(err, ErrForgotten) {
			return err
		}
	}
	if err := d.dir.Publish(ctx, cp); err != nil {
		return err
	}
	d.newest = d.dir.file(cp)
	return nil
}

// forgotten returns ErrForgotten if a place has less than it received.
func forgotten(where, origin string, told, largest int64) error {
	if largest >= told {
		return nil
	}
	return fmt.Errorf("%s: %w of %s: a checkpoint of size %d, and the largest there is of size %d", where, ErrForgotten, origin, told, largest)
}

// Account keeps checkpoints in a foreign account. anchorstream.Anchor is one.
type Account interface {
	Name() string
	// Since calls yield with the checkpoints behind a sequence, of the log over one stream, oldest
	// first.
	Since(ctx context.Context, name, stream string, after uint64, yield func(sequence uint64, checkpoint []byte) error) error
	// All calls yield with all of them, of all logs and receivers, and with when they were stored.
	All(ctx context.Context, yield func(sequence uint64, name, stream string, stored time.Time, checkpoint []byte) error) error
	Append(ctx context.Context, name, stream string, checkpoint []byte) error
}

// InAccount is an anchor in another account. Before it gets a checkpoint, its new checkpoints are
// read, and the log must extend the largest of them.
func InAccount(name string, a Account, streams ...string) Place {
	read := make(map[string]*readBack)
	for _, stream := range streams {
		read[stream] = &readBack{account: a, name: name, stream: stream}
	}
	return Place{
		ID: AccountID(a.Name()), Name: a.Name(),
		Know: func(ctx context.Context, s *audit.Sealer, stream string, told int64) error {
			_, strange, err := read[stream].more(ctx, s, told)
			return errors.Join(strange, err)
		},
		Tell: func(ctx context.Context, s *audit.Sealer, stream string, cp audit.Checkpoint, told int64) (audit.Checkpoint, error) {
			newest, strange, err := read[stream].more(ctx, s, told)
			if err != nil || bytes.Equal(newest, cp.Note) {
				return cp, errors.Join(strange, err)
			}
			if newest != nil {
				if _, err = s.Follow(ctx); err != nil {
					return cp, err
				}
			}
			// Foreign messages there are reported, and do not prevent further checkpoints.
			return cp, errors.Join(strange, a.Append(ctx, name, stream, cp.Note))
		},
	}
}

// readBack is how far an account was read back for one log. It is used by one at a time.
type readBack struct {
	account      Account
	name, stream string
	after        uint64 // the last sequence that was read
	newest       []byte // what stands there
	largest      int64  // leaves of the largest that the sealer knows from here
}

// readBackBatch bounds how many checkpoints are held at once; of each batch at least one
// signature is verified.
const readBackBatch = 4096

// more reads the new checkpoints and makes the largest known to the sealer. Those read before an
// error count, and are not read again, unless the last of them is gone: then all are. The error is
// ErrForgotten if the largest is less than the account received.
func (r *readBack) more(ctx context.Context, s *audit.Sealer, told int64) (newest []byte, strange, err error) {
	if err := r.again(ctx); err != nil {
		return r.newest, nil, err
	}
	var batch [][]byte
	know := func() {
		var wrong error
		r.largest, wrong = s.KnowLargest(batch, r.largest)
		strange = cmp.Or(strange, wrong)
		batch = nil
	}
	err = r.account.Since(ctx, r.name, r.stream, r.after, func(sequence uint64, checkpoint []byte) error {
		r.after, r.newest = sequence, checkpoint
		if batch = append(batch, checkpoint); len(batch) == readBackBatch {
			know()
		}
		return nil
	})
	know()
	if err == nil {
		err = forgotten(r.account.Name(), r.name+"/"+r.stream, told, r.largest)
	}
	return r.newest, strange, err
}

// errRead ends a reading.
var errRead = errors.New("enough was read")

// again begins anew if what was read last is not there any more.
func (r *readBack) again(ctx context.Context) error {
	if r.after == 0 {
		return nil
	}
	there := false
	err := r.account.Since(ctx, r.name, r.stream, r.after-1, func(sequence uint64, checkpoint []byte) error {
		there = sequence == r.after && bytes.Equal(checkpoint, r.newest)
		return errRead
	})
	if err != nil && !errors.Is(err, errRead) {
		return err
	}
	if !there {
		r.after, r.newest, r.largest = 0, nil, 0
	}
	return nil
}
