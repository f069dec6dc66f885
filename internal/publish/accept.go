package publish

import (
	"encoding/binary"
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

	"receiver/internal/job"
)

// acceptFile is there from an operator's word about a loss until it stands in ACTIONS.
const acceptFile = "receiver.accepted"

// acceptance is an operator's word for going on without what is lost.
type acceptance struct {
	// Lost is what was accepted; anything else that is lost is not.
	Lost []string `json:"lost"`
	// Resume is the first sequence of streams of which nothing is left, so that no number
	// is given a second time.
	Resume map[string]uint64 `json:"resume,omitempty"`
	// Action is what is to be recorded.
	Action job.Action `json:"action"`
}

func readAcceptance(folder string) (*acceptance, error) {
	data, err := os.ReadFile(filepath.Join(folder, acceptFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a := new(acceptance)
	if err := json.Unmarshal(data, a); err != nil {
		return nil, nil //nolint:nilerr // half an operator's word is none
	}
	return a, nil
}

// covers reports whether all of it was accepted.
func (a *acceptance) covers(lost []string) bool {
	return len(lost) == 0 || a != nil && !slices.ContainsFunc(lost, func(l string) bool { return !slices.Contains(a.Lost, l) })
}

// refuse is the error about what was lost.
func refuse(lost []string) error {
	if strings.HasPrefix(lost[0], ofStore) {
		lost = lost[:1] // what else is missing follows from that
	}
	if more := len(lost) - mostNamed; more > 0 {
		lost = append(slices.Clone(lost[:mostNamed]), fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%w: %s; stop here and restore the folder from a backup; where there is none, "+
		"`receiver streams mend --accept-loss` goes on without it and records that", ErrLost, strings.Join(lost, "; "))
}

// Accepted returns the operator's word that the server was started on, to be recorded as an
// action; false if there was none, or it is recorded.
func (s *Server) Accepted() (job.Action, bool) {
	if s.accepted == nil {
		return job.Action{}, false
	}
	return s.accepted.Action, true
}

// Recorded is called when the word of Accepted stands in ACTIONS.
func (s *Server) Recorded() error {
	s.accepted = nil
	if err := os.Remove(filepath.Join(s.e.Folder, acceptFile)); err != nil {
		return fmt.Errorf("removing the accepted loss that is recorded now: %w", err)
	}
	return nil
}

// accept has the next start go on without what is lost, and record it. No part of the store
// but the ends of its streams changes.
func (h holding) accept(e Embedded, done Mended, action job.Action) (err error) {
	a := acceptance{Lost: done.Lost, Action: action}
	a.Action.Time = time.Now()
	if a.Action.Details, err = json.Marshal(done); err != nil {
		return err
	}
	if a.Resume, err = h.resume(done.Lost); err != nil {
		return fmt.Errorf("noting where the streams go on: %w", err)
	}
	// What is missing is named anew: the streams end where they did now.
	if a.Lost, _, err = missing(e); err != nil {
		return err
	}
	data, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(h.folder, acceptFile), data)
}

// resume has no sequence of the lost ones given a second time: behind what is left of a
// stream it notes the last one as removed, as the server does. A stream of which not even
// the configuration is left begins behind it when it is made again.
func (h holding) resume(lost []string) (map[string]uint64, error) {
	first := map[string]uint64{}
	for _, stream := range h.streams() {
		if !slices.ContainsFunc(lost, func(l string) bool { return strings.HasPrefix(l, stream+": ") }) {
			continue
		}
		want := h.sealed[stream]
		if h.note != nil {
			want = max(want, h.note.Streams[stream].Last)
		}
		msgs := h.msgs(stream)
		if err := os.Remove(filepath.Join(msgs.path, indexFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		sound, err := soundMeta(h.path(stream))
		if err != nil {
			return nil, err
		}
		if !sound {
			// The server leaves it out; then it is made again, around the messages that there are.
			if err := setAside(filepath.Join(h.path(stream), server.JetStreamMetaFile)); err != nil {
				return nil, err
			}
			if _, err := os.Stat(msgs.path); errors.Is(err, fs.ErrNotExist) {
				first[stream] = want + 1
				continue
			}
		}
		if err := msgs.end(want); err != nil {
			return nil, err
		}
	}
	return first, nil
}

// setAside renames a file that nothing may read any more.
func setAside(path string) error {
	err := os.Rename(path, path+".damaged")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// end has a stream end at a sequence at least, by a file with nothing but the note that the
// message was removed.
func (f blockFolder) end(seq uint64) error {
	now, err := f.walk(false)
	if err != nil || now.last >= seq || now.opaque {
		return err
	}
	if err := os.MkdirAll(f.path, 0o700); err != nil {
		return err
	}
	indexes, err := blockFiles(f.path)
	if err != nil {
		return err
	}
	index := uint32(1)
	if n := len(indexes); n > 0 {
		index = indexes[n-1] + 1
	}
	record, err := removal(f.stream, index, seq, time.Now())
	if err != nil {
		return err
	}
	return replaceFile(f.name(index), record)
}

// removal is the record that a message was removed.
func removal(stream string, index uint32, seq uint64, at time.Time) ([]byte, error) {
	b, err := newBlock(nil, stream, index)
	if err != nil {
		return nil, err
	}
	record := make([]byte, blockHead, blockHead+blockChecksum)
	binary.LittleEndian.PutUint32(record, blockHead+blockChecksum)
	binary.LittleEndian.PutUint64(record[4:], seq|removedFlag)
	binary.LittleEndian.PutUint64(record[12:], uint64(at.UnixNano()))
	b.hash.Write(record[4:20]) // a hash never returns an error
	return b.hash.Sum(record), nil
}
