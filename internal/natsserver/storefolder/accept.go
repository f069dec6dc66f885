package storefolder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"receiver/internal/durable"
	"receiver/internal/job"
)

// acceptFile exists from the acceptance of a loss until that is recorded in ACTIONS.
const acceptFile = "receiver.accepted"

// Acceptance is an operator's decision to continue without what is lost.
type Acceptance struct {
	// Lost is what was accepted; any other loss is not.
	Lost []string `json:"lost"`
	// Resume is the first sequence of each stream of which nothing is left, so that no sequence is
	// given a second time.
	Resume map[string]uint64 `json:"resume,omitempty"`
	// Action is the action to be recorded.
	Action job.Action `json:"action"`
}

func readAcceptance(folder string) (*Acceptance, error) {
	data, err := os.ReadFile(filepath.Join(folder, acceptFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a := new(Acceptance)
	if err := json.Unmarshal(data, a); err != nil {
		return nil, nil //nolint:nilerr // half an operator's word is none
	}
	return a, nil
}

// covers reports whether all of the loss was accepted.
func (a *Acceptance) covers(lost []string) bool {
	return len(lost) == 0 || a != nil && !slices.ContainsFunc(lost, func(l string) bool { return !slices.Contains(a.Lost, l) })
}

// lostError is the error about what was lost.
func lostError(lost []string) error {
	if strings.HasPrefix(lost[0], ofStore) {
		lost = lost[:1] // the other losses follow from that
	}
	if more := len(lost) - maxNamed; more > 0 {
		lost = append(slices.Clone(lost[:maxNamed]), fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%w: %s; restore the folder from a backup; without a backup, "+
		"`receiver streams mend --accept-loss` accepts the loss and records it", ErrLost, strings.Join(lost, "; "))
}

// DropAcceptance is called when the acceptance is recorded in ACTIONS.
func DropAcceptance(folder string) error { return os.Remove(filepath.Join(folder, acceptFile)) }

// accept makes the next start continue without what is lost, and record that. Nothing in the store
// changes but the ends of its streams.
func (h expected) accept(e Store, done Mended, action job.Action) (err error) {
	a := Acceptance{Lost: done.Lost, Action: action}
	a.Action.Time = time.Now()
	if a.Action.Details, err = json.Marshal(done); err != nil {
		return err
	}
	if a.Resume, err = h.resume(done.Lost); err != nil {
		return fmt.Errorf("recording the next sequences of the streams: %w", err)
	}
	// The losses are listed again: the streams end elsewhere now.
	if a.Lost, h, err = missing(e); err != nil {
		return err
	}
	// A start that ends before it records this leaves a store that was not closed cleanly, which
	// shows the same losses in other ways.
	h.clean, h.noted = false, ""
	unclean, err := h.lost()
	if err != nil {
		return err
	}
	a.Lost = append(a.Lost, unclean...)
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(h.folder, acceptFile), data)
}

// resume makes sure that no lost sequence is given a second time. Behind what is left of a stream
// it notes the last sequence as removed, as the server does. A stream whose configuration is lost
// too starts behind that sequence when it is created again.
func (h expected) resume(lost []string) (map[string]uint64, error) {
	first := map[string]uint64{}
	for _, stream := range h.streams() {
		if !slices.ContainsFunc(lost, func(l string) bool { return strings.HasPrefix(l, stream+": ") }) {
			continue
		}
		want := h.sealed[stream].Size
		if h.note != nil {
			want = max(want, h.note.Streams[stream].Last)
		}
		msgs := h.msgs(stream)
		if err := msgs.DropIndex(); err != nil {
			return nil, err
		}
		sound, err := soundMeta(h.path(stream))
		if err != nil {
			return nil, err
		}
		if !sound {
			// The server skips it; then it is created again, around the messages that are left.
			if err := renameDamaged(filepath.Join(h.path(stream), server.JetStreamMetaFile)); err != nil {
				return nil, err
			}
			if _, err := os.Stat(msgs.Path); errors.Is(err, fs.ErrNotExist) {
				first[stream] = want + 1
				continue
			}
		}
		if err := msgs.ExtendTo(want); err != nil {
			return nil, err
		}
	}
	return first, nil
}

// renameDamaged renames a file that must not be read any more.
func renameDamaged(path string) error {
	err := os.Rename(path, path+".damaged")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
