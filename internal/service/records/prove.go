package records

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"receiver/internal/audit"
	"receiver/internal/audit/archive"
	"receiver/internal/audit/bundle"
	"receiver/internal/auditlog"
	"receiver/internal/config"
	"receiver/internal/durable"
	"receiver/internal/service/logs"
	"receiver/internal/words"
)

// The most that a query selects for a proof: records, and bytes of bodies in them.
const (
	MaxProved      = 10_000
	maxProvedBytes = 64 << 20
)

// Selection are the sequences of records, by stream.
type Selection map[string][]uint64

// ParseIDs reads names of records.
func ParseIDs(names []string) (Selection, error) {
	s := Selection{}
	for _, text := range names {
		stream, seq, err := ParseID(text)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(s[stream], seq) {
			s[stream] = append(s[stream], seq)
		}
	}
	return s, nil
}

// Select returns the records that are named or, without any, those that a query wants. None, and
// too many to be proved at once, are an error.
func (t Trail) Select(ctx context.Context, q Query, named Selection) (Selection, error) {
	if len(named) > 0 {
		return named, nil
	}
	s, records, bytes := Selection{}, 0, int64(0)
	_, err := t.List(ctx, q, func(e auditlog.Entry) error {
		records, bytes = records+1, bytes+max(e.Size, 0)
		if records > MaxProved || bytes > maxProvedBytes {
			return config.UseErrorf("more than %s, or %d MiB of bodies, match; narrow them with --since and --until, "+
				"or give all to others with `receiver audit export`", words.Count(MaxProved, "record"), maxProvedBytes>>20)
		}
		s[e.Stream] = append(s[e.Stream], e.Sequence)
		return nil
	})
	if err == nil && records == 0 {
		err = errors.New("no record matches; `receiver audit list` with the same flags lists the callbacks that would be proved")
	}
	return s, err
}

// Streams are those that have a record, in the order of logs.Streams.
func (s Selection) Streams() []string {
	return slices.DeleteFunc(slices.Clone(logs.Streams), func(stream string) bool { return len(s[stream]) == 0 })
}

// ByStream returns a selection for each stream: a bundle has the records of one log.
func (s Selection) ByStream() (each []Selection) {
	for _, stream := range s.Streams() {
		each = append(each, Selection{stream: s[stream]})
	}
	return each
}

// ByRecord returns a selection for each record.
func (s Selection) ByRecord() (each []Selection) {
	for _, stream := range s.Streams() {
		for _, seq := range s[stream] {
			each = append(each, Selection{stream: {seq}})
		}
	}
	return each
}

// file names the bundle of a selection of one stream.
func (s Selection) file() string {
	stream := s.Streams()[0]
	if len(s[stream]) == 1 {
		return fmt.Sprintf("%s-%d.json", stream, s[stream][0])
	}
	return stream + ".json"
}

// maxNamed is how many bundles, and how many records of each, an error names.
const maxNamed = 10

// ProveOne returns the bundle of the only selection. For several, the error says why a bundle has
// not all, and how to get them.
func ProveOne(each []Selection, why string, prove func(Selection) ([]byte, error)) ([]byte, error) {
	if len(each) == 1 {
		return prove(each[0])
	}
	var lines strings.Builder
	for _, s := range each[:min(len(each), maxNamed)] {
		stream := s.Streams()[0]
		if n := len(s[stream]); n > maxNamed {
			fmt.Fprintf(&lines, "\n  %s of %s, from %[2]s/%[3]d to %[2]s/%[4]d", words.Count(n, "record"), stream, s[stream][0], s[stream][n-1])
			continue
		}
		lines.WriteString("\n  receiver audit prove")
		for _, seq := range s[stream] {
			fmt.Fprintf(&lines, " %s/%d", stream, seq)
		}
	}
	if more := len(each) - maxNamed; more > 0 {
		fmt.Fprintf(&lines, "\n  and %d more", more)
	}
	return nil, config.UseErrorf("%s, so these need %s; give --folder to have them all, or prove them one by one:%s", why, words.Count(len(each), "bundle"), lines.String())
}

// Bundled is a bundle in a file.
type Bundled struct {
	Bundle  string `json:"bundle"`
	Stream  string `json:"stream"`
	Records int    `json:"records"`
}

// ProveInto writes the bundle of each selection into a folder, which must not exist, or be empty.
// Nothing is written unless all are proved.
func ProveInto(folder string, each []Selection, prove func(Selection) ([]byte, error)) ([]Bundled, error) {
	texts := make([][]byte, len(each))
	for i, s := range each {
		var err error
		if texts[i], err = prove(s); err != nil {
			return nil, err
		}
	}
	if err := archive.EmptyFolder(folder); err != nil {
		return nil, err
	}
	made := make([]Bundled, 0, len(each))
	for i, s := range each {
		stream := s.Streams()[0]
		b := Bundled{filepath.Join(folder, s.file()), stream, len(s[stream])}
		if err := durable.WriteFile(b.Bundle, texts[i]); err != nil {
			return nil, err
		}
		made = append(made, b)
	}
	return made, nil
}

// Prove returns the bundle of a selection of one stream, as JSON. It is given to write before.
func Prove(ctx context.Context, s Selection, open func(stream string) (*audit.Log, error), write func(audit.Bundle) error) ([]byte, error) {
	stream := s.Streams()[0]
	log, err := open(stream)
	if err != nil {
		return nil, err
	}
	proved, err := log.Prove(ctx, s[stream]...)
	switch {
	case errors.Is(err, audit.ErrNotSealed), errors.Is(err, audit.ErrNoCheckpoint):
		return nil, fmt.Errorf("%w; `receiver audit seal` seals it or waits until it is sealed", err)
	case errors.Is(err, audit.ErrNoRecord):
		return nil, fmt.Errorf("%w: it was removed, or never existed; `receiver audit list` lists the records", err)
	case errors.Is(err, audit.ErrProof), errors.Is(err, audit.ErrTile):
		return nil, fmt.Errorf("%w; run `receiver audit verify` to find the changes", err)
	case err != nil:
		return nil, err
	}
	if err := write(proved); err != nil {
		return nil, err
	}
	return bundle.Encode(proved)
}
