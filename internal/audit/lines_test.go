package audit_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/verification"
)

// For any names in any order, lines have the same leaf as their map.
func TestLinesHaveTheLeavesOfTheirHeaders(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	w := audittest.NewWorld(t, 600)
	for seq := range uint64(600) {
		w.Stream.Change(seq+1, func(r *audit.Record) {
			r.Header = make(map[string][]string)
			for range random.IntN(12) {
				name := strings.Repeat("n", random.IntN(3)) + fmt.Sprint(random.IntN(3+int(seq)/4)) // more and more of them
				r.Header[name] = append(r.Header[name], fmt.Sprint(random.IntN(5)))
			}
		})
	}
	cp := w.Seal(t)
	if want := audittest.WantTree(t, w.Stream, 1, 600); cp.Tree != want {
		t.Errorf("Seal made %v out of lines, want %v as of maps", cp.Tree, want)
	}
	check := func(r audit.Record) error {
		if want := w.Stream.Held[r.Seq].Header; r.Lines != nil || fmt.Sprint(r.Header) != fmt.Sprint(want) {
			return fmt.Errorf("headers %q, want %q", r.Header, want)
		}
		return nil
	}
	for name, source := range map[string]audit.Source{"lines": audittest.Lined{Source: w.Stream}, "maps": w.Stream} {
		log, err := audit.NewLog(audit.LogOptions{
			Origin: audittest.Origin, Stream: "JOBS", Source: source, Storage: w.Store, Checkpoints: w.Checkpoints, Keys: audittest.Keys(t),
		})
		if err != nil {
			t.Fatal(err)
		}
		report, err := verification.Verify(t.Context(), log, verification.Options{Reverify: check})
		if err != nil || !report.OK() || report.Records != 600 || report.Reverified != 600 {
			t.Errorf("Verify by %s = %+v, %v, want 600 records without a fault", name, report, err)
		}
	}
}

// FuzzLines: the leaf of lines is that of the map they make.
func FuzzLines(f *testing.F) {
	f.Add("a:1\na:2\nb:3")
	f.Add("b:\n:x\na\x00:1\na:2")
	f.Fuzz(func(t *testing.T, text string) {
		lined, mapped := audittest.Record(1), audittest.Record(1)
		lined.Header, lined.Lines, mapped.Header = nil, audit.Lines{}, make(map[string][]string)
		for line := range strings.SplitSeq(text, "\n") {
			name, value, _ := strings.Cut(line, ":")
			lined.Lines = append(lined.Lines, [2]string{name, value})
			mapped.Header[name] = append(mapped.Header[name], value)
		}
		got, err1 := lined.AppendLeaf(nil)
		want, err2 := mapped.AppendLeaf(nil)
		if err1 != nil || err2 != nil || !bytes.Equal(got, want) {
			t.Errorf("leaf of lines %q = %q, %v, want %q, %v", text, got, err1, want, err2)
		}
	})
}
