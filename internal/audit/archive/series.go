package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"receiver/internal/audit"
)

// Series is the folders of one log, of one export or of several, read as one log: the records of
// all, and the tiles and the checkpoint of the newest. It is a Source.
type Series struct {
	folders []*Folder // by the first sequence that each says it holds
	newest  *Folder
}

// OpenSeries opens the folders of one of these streams, of all archives at path; it returns nil if
// there is none.
func OpenSeries(path string, streams []string, stream string) (*Series, error) {
	archives, err := OpenAll(path, streams)
	if err != nil {
		return nil, err
	}
	s, size := &Series{}, int64(-1)
	for _, a := range archives {
		for _, f := range a.Folders {
			if f.info.Stream != stream {
				continue
			}
			if s.newest != nil && s.newest.info.Origin != f.info.Origin {
				return nil, fmt.Errorf("%s has archives of two logs, %s and %s; name the archives of one", path, s.newest.info.Origin, f.info.Origin)
			}
			s.folders = append(s.folders, f)
			if n := f.size(); n > size {
				s.newest, size = f, n
			}
		}
	}
	if s.newest == nil {
		return nil, nil
	}
	slices.SortStableFunc(s.folders, func(a, b *Folder) int {
		return cmp.Or(cmp.Compare(a.info.From, b.info.From), cmp.Compare(a.info.To, b.info.To))
	})
	return s, nil
}

// size is how many leaves the folder's checkpoint claims; 0 if it is none.
func (f *Folder) size() int64 {
	note, _, err := f.Load(context.Background())
	if err != nil {
		return 0
	}
	cp, err := audit.ReadCheckpoint(note)
	if err != nil {
		return 0
	}
	return cp.Tree.N
}

// Folders returns the folders of the log.
func (s *Series) Folders() []*Folder { return s.folders }

// Origin returns the origin of the log.
func (s *Series) Origin() string { return s.newest.Origin() }

// Log returns the log, for reading.
func (s *Series) Log(keys audit.Keys) (*audit.Log, error) {
	return audit.NewLog(audit.LogOptions{
		Origin: s.newest.info.Origin, Stream: s.newest.info.Stream, First: s.newest.info.First,
		Source: s, Storage: s.newest, Checkpoints: s.newest, Keys: keys,
	})
}

// Last implements audit.Source.
func (s *Series) Last(ctx context.Context) (uint64, error) { return s.newest.Last(ctx) }

// Records implements audit.Source. A record that several folders hold is read once. Damage is
// returned in the end, as *audit.DamageError.
func (s *Series) Records(ctx context.Context, from, to uint64, yield func(audit.Record) error) error {
	damage := &audit.DamageError{}
	next := from
	for _, f := range s.folders {
		if f.info.To < next || f.info.From > to {
			continue
		}
		err := f.Records(ctx, next, to, func(r audit.Record) error {
			if r.Seq < next || r.Stream != f.info.Stream {
				return nil // audit verify names it
			}
			next = r.Seq + 1
			return yield(r)
		})
		if found := new(audit.DamageError); errors.As(err, &found) {
			for _, place := range found.Places {
				damage.Places = append(damage.Places, f.path+": "+place)
			}
		} else if err != nil {
			return err
		}
	}
	if len(damage.Places) == 0 || from == to && next > from { // what is beside a record does not matter
		return nil
	}
	return damage
}

// Gap is a range of sequences of a log.
type Gap struct {
	Origin   string
	From, To uint64
}

// Gaps returns the sequences between the folders of a log that none of these archives says it
// holds.
func Gaps(archives []Archive) []Gap {
	var all []*Folder
	for _, a := range archives {
		for _, f := range a.Folders {
			if f.info.From <= f.info.To {
				all = append(all, f)
			}
		}
	}
	slices.SortFunc(all, func(a, b *Folder) int {
		return cmp.Or(cmp.Compare(a.info.Origin, b.info.Origin), cmp.Compare(a.info.From, b.info.From))
	})
	var gaps []Gap
	end := map[string]uint64{}
	for _, f := range all {
		last, ok := end[f.info.Origin]
		if ok && f.info.From > last && f.info.From-last > 1 {
			gaps = append(gaps, Gap{f.info.Origin, last + 1, f.info.From - 1})
		}
		end[f.info.Origin] = max(last, f.info.To)
	}
	return gaps
}

// Earlier returns of each folder the newest checkpoint of the next smaller one of its log, which is
// to be of one history with it. So all are compared, each with one.
func Earlier(archives []Archive) map[*Folder][]audit.Kept {
	type newest struct {
		folder *Folder
		size   int64
		kept   audit.Kept
	}
	byOrigin := map[string][]newest{}
	for _, a := range archives {
		for _, f := range a.Folders {
			n := newest{folder: f, size: f.size(), kept: audit.Kept{Where: "archive " + a.Name}}
			n.kept.Note, _, _ = f.Load(context.Background()) // Verify says what is wrong with it
			byOrigin[f.info.Origin] = append(byOrigin[f.info.Origin], n)
		}
	}
	earlier := map[*Folder][]audit.Kept{}
	for _, all := range byOrigin {
		slices.SortStableFunc(all, func(a, b newest) int { return cmp.Compare(a.size, b.size) })
		for i := range all[1:] {
			earlier[all[i+1].folder] = []audit.Kept{all[i].kept}
		}
	}
	return earlier
}
