package anchor

import (
	"bytes"
	"cmp"
	"context"
	"errors"

	"receiver/internal/audit"
)

// Place is one configured anchor of all logs of a receiver.
type Place struct {
	Name string
	// Tell hands over a checkpoint of the log over a stream, and returns the one to keep: the
	// same, or the same with a cosignature. Only one goroutine may call it at a time.
	Tell func(ctx context.Context, s *audit.Sealer, stream string, cp audit.Checkpoint) (audit.Checkpoint, error)
	// Know makes the largest checkpoint known that is kept there and signed; the func is nil
	// where nothing can be read back. The error may be of others that are there too.
	Know func(ctx context.Context, s *audit.Sealer, stream string) error
}

// AtWitness is an anchor that cosigns.
func AtWitness(url string, w *Witness) Place {
	return Place{Name: url, Tell: func(ctx context.Context, s *audit.Sealer, _ string, _ audit.Checkpoint) (audit.Checkpoint, error) {
		return s.Cosign(ctx, w)
	}}
}

// InDir is a folder that holds checkpoints of the receiver called name.
func InDir(name string, dir Dir) Place {
	return Place{
		Name: dir.Path,
		Tell: func(ctx context.Context, _ *audit.Sealer, _ string, cp audit.Checkpoint) (audit.Checkpoint, error) {
			return cp, dir.Publish(ctx, cp)
		},
		Know: func(_ context.Context, s *audit.Sealer, stream string) error {
			return dir.Largest(audit.Origin(name, stream), s.Know)
		},
	}
}

// Account keeps checkpoints in a foreign account. anchorstream.Anchor is one.
type Account interface {
	Name() string
	// Since calls yield with the checkpoints behind a sequence, of the log over one stream or
	// of all ("*"), oldest first.
	Since(ctx context.Context, name, stream string, after uint64, yield func(sequence uint64, checkpoint []byte) error) error
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
		Name: a.Name(),
		Know: func(ctx context.Context, s *audit.Sealer, stream string) error {
			_, strange, err := read[stream].more(ctx, s)
			return errors.Join(strange, err)
		},
		Tell: func(ctx context.Context, s *audit.Sealer, stream string, cp audit.Checkpoint) (audit.Checkpoint, error) {
			newest, strange, err := read[stream].more(ctx, s)
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
// error count, and are not read again.
func (r *readBack) more(ctx context.Context, s *audit.Sealer) (newest []byte, strange, err error) {
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
	return r.newest, strange, err
}
