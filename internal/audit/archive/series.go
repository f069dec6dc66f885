package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

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
			s.folders = append(s.folders, f)
			if n := f.tree().N; n > size || n == size && f.info.Origin != s.newest.info.Origin { // the later of two names
				s.newest, size = f, n
			}
		}
	}
	if s.newest == nil {
		return nil, nil
	}
	for _, f := range s.folders {
		if f.info.Origin != s.newest.info.Origin && !s.continues(f) {
			return nil, fmt.Errorf("%s has archives of two logs, %s and %s; name the archives of one", path, s.newest.info.Origin, f.info.Origin)
		}
	}
	slices.SortStableFunc(s.folders, func(a, b *Folder) int {
		return cmp.Or(cmp.Compare(a.info.From, b.info.From), cmp.Compare(a.info.To, b.info.To))
	})
	return s, nil
}

// continues reports whether the newest folder has the tree of one under another name: the log was
// renamed. The signatures are checked where something is proved.
func (s *Series) continues(f *Folder) bool {
	log, err := s.Log(audit.Keys{Log: []note.Verifier{noKey(s.Origin())}})
	if err != nil {
		return false
	}
	old, later := f.tree(), s.newest.tree()
	if old.N == 0 || old == later {
		return true
	}
	proof, err := log.ProveTree(context.Background(), later, old.N)
	return err == nil && tlog.CheckTree(proof, later.N, later.Hash, old.N, old.Hash) == nil
}

// noKey opens the log with an origin, and verifies nothing.
type noKey string

// Name, KeyHash and Verify implement note.Verifier.
func (k noKey) Name() string          { return string(k) }
func (noKey) KeyHash() uint32         { return 0 }
func (noKey) Verify(_, _ []byte) bool { return false }

// tree is what the folder's checkpoint claims; empty if it is none.
func (f *Folder) tree() tlog.Tree {
	signed, _, err := f.Load(context.Background())
	if err != nil {
		return tlog.Tree{}
	}
	cp, err := audit.ReadCheckpoint(signed)
	if err != nil {
		return tlog.Tree{}
	}
	return cp.Tree
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
	var gaps []Gap
	end := map[string]uint64{}
	for _, f := range holding(archives) {
		last, ok := end[f.info.Origin]
		if ok && f.info.From > last && f.info.From-last > 1 {
			gaps = append(gaps, Gap{f.info.Origin, last + 1, f.info.From - 1})
		}
		end[f.info.Origin] = max(last, f.info.To)
	}
	return gaps
}

// holding returns the folders that say they hold records, by the first one.
func holding(archives []Archive) (all []*Folder) {
	for _, a := range archives {
		for _, f := range a.Folders {
			if f.info.From <= f.info.To {
				all = append(all, f)
			}
		}
	}
	slices.SortFunc(all, func(a, b *Folder) int {
		return cmp.Or(cmp.Compare(a.info.From, b.info.From), cmp.Compare(a.info.Origin, b.info.Origin))
	})
	return all
}

// Lacking returns the sequences of a stream, from a first one on, that none of these archives says
// it holds: those before records that one of them holds, or the first one if there are none.
func Lacking(archives []Archive, stream string, first uint64) (lacking []Gap) {
	last, origin := first-1, stream
	for _, f := range holding(archives) {
		if f.info.Stream != stream || f.info.To <= last {
			continue
		}
		if origin = f.info.Origin; f.info.From > last+1 {
			lacking = append(lacking, Gap{origin, last + 1, f.info.From - 1})
		}
		last = f.info.To
	}
	if last < first {
		lacking = append(lacking, Gap{origin, first, first})
	}
	return lacking
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
			n := newest{folder: f, size: f.tree().N, kept: audit.Kept{Where: "archive " + a.Name}}
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
