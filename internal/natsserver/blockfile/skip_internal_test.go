package blockfile

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"
	"time"
)

// Of a file with one damaged record, all others stay, and nothing else.
func TestWhatFollowsDamageIsFound(t *testing.T) {
	f := Folder{Path: t.TempDir(), Stream: "S"}
	var records [][]byte
	for seq := range uint64(3) {
		r, err := f.removal(1, seq+1, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	for name, damaged := range map[string]func(record []byte) []byte{
		"none":          func(r []byte) []byte { return r },
		"zeros":         func(r []byte) []byte { return make([]byte, len(r)) },
		"more zeros":    func([]byte) []byte { return make([]byte, 100_003) },
		"removed":       func([]byte) []byte { return nil },
		"three bytes":   func(r []byte) []byte { return r[:3] },
		"of a checksum": func(r []byte) []byte { r[len(r)-1] ^= 1; return r },
		"of a length":   func(r []byte) []byte { r[0]++; return r },
		"no text":       func(r []byte) []byte { return bytes.Repeat([]byte{0xff}, len(r)) },
	} {
		for place := range records {
			var parts, want [][]byte
			for i, r := range records {
				if i == place {
					r = damaged(slices.Clone(r))
				}
				parts = append(parts, r)
				if i != place || name == "none" {
					want = append(want, records[i])
				}
			}
			if err := os.WriteFile(f.File(1), slices.Concat(parts...), 0o600); err != nil {
				t.Fatal(err)
			}
			sound, _, err := f.Sound(1)
			if place == 0 && (name == "three bytes" || name == "no text") {
				if unknown := (*UnknownFormatError)(nil); !errors.As(err, &unknown) {
					t.Errorf("%s at the beginning: %d sound bytes (%v), want that it may be another format", name, len(sound), err)
				}
				continue
			}
			if err != nil || !bytes.Equal(sound, slices.Concat(want...)) {
				t.Errorf("%s in record %d: %d sound bytes (%v), want %d", name, place+1, len(sound), err, len(slices.Concat(want...)))
			}
		}
	}
}
