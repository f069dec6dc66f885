package records_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"receiver/internal/auditlog"
	"receiver/internal/config"
	"receiver/internal/service/records"
)

func entries(n int, size int64, streams ...string) iter.Seq2[auditlog.Entry, error] {
	return func(yield func(auditlog.Entry, error) bool) {
		for i := range n {
			if !yield(auditlog.Entry{Stream: streams[i%len(streams)], Sequence: uint64(i + 1), Size: size}, nil) {
				return
			}
		}
	}
}

func TestSelectIsBounded(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name    string
		entries iter.Seq2[auditlog.Entry, error]
		wrong   string
	}{
		{"as many as may be", entries(records.MaxProved, -1, "JOBS", "ATTEMPTS"), ""},
		{"one more", entries(records.MaxProved+1, -1, "JOBS", "ATTEMPTS"), "more than 10000 records, or 64 MiB of bodies, match; narrow them with --since and --until"},
		{"as large as may be", entries(8, 8<<20, "JOBS"), ""},
		{"larger", entries(9, 8<<20, "JOBS"), "64 MiB of bodies"},
		{"none", entries(0, 0, "JOBS"), "no record matches"},
		{"unreadable", func(yield func(auditlog.Entry, error) bool) { yield(auditlog.Entry{}, broken) }, "broken"},
	} {
		trail := records.Trail{Entries: func(context.Context, records.Query) iter.Seq2[auditlog.Entry, error] { return tt.entries }}
		s, err := trail.Select(t.Context(), records.Query{Since: "all"}, nil)
		if tt.wrong == "" && (err != nil || len(s) == 0) || tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)) {
			t.Errorf("%s: Select = %d streams, %v, want %q", tt.name, len(s), err, tt.wrong)
		}
	}
}

// nameOf proves nothing: the bundle of a selection is its text.
func nameOf(s records.Selection) ([]byte, error) { return fmt.Append(nil, s), nil }

func TestProveOneSaysHowToGetSeveral(t *testing.T) {
	many := make([]string, 25)
	for i := range many {
		many[i] = fmt.Sprintf("attempts/%d", i+3)
	}
	for _, tt := range []struct {
		name     string
		names    []string
		byRecord bool
		want     string
	}{
		{"one", []string{"JOBS/1"}, true, "map[JOBS:[1]]"},
		{"several of one stream", []string{"JOBS/7", "JOBS/2", "jobs/7"}, false, "map[JOBS:[7 2]]"},
		{"of several streams", []string{"ACTIONS/9", "JOBS/1", "JOBS/2"}, false, "W, so these need 2 bundles; give --folder to have them all, or prove them one by one:\n" +
			"  receiver audit prove JOBS/1 JOBS/2\n  receiver audit prove ACTIONS/9"},
		{"too many for a line", append(many, "JOBS/1"), false, "prove JOBS/1\n  25 records of ATTEMPTS, from ATTEMPTS/3 to ATTEMPTS/27"},
		{"by record", []string{"JOBS/1", "JOBS/2"}, true, "\n  receiver audit prove JOBS/1\n  receiver audit prove JOBS/2"},
		{"too many records", many, true, "prove ATTEMPTS/12\n  and 15 more"},
	} {
		s, err := records.ParseIDs(tt.names)
		if err != nil {
			t.Fatal(err)
		}
		each := s.ByStream()
		if tt.byRecord {
			each = s.ByRecord()
		}
		text, err := records.ProveOne(each, "W", nameOf)
		got, wrong := string(text), config.UseError{}
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tt.want) || (err != nil) != errors.As(err, &wrong) {
			t.Errorf("%s: ProveOne = %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestProveIntoWritesAllOrNothing(t *testing.T) {
	s, err := records.ParseIDs([]string{"ATTEMPTS/1", "JOBS/7", "JOBS/2"})
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "new", "evidence")
	broken := errors.New("broken")
	second := func(s records.Selection) ([]byte, error) {
		if s.Streams()[0] == "ATTEMPTS" {
			return nil, broken
		}
		return nameOf(s)
	}
	if _, err := records.ProveInto(folder, s.ByStream(), second); !errors.Is(err, broken) {
		t.Errorf("ProveInto = %v, want its error", err)
	}
	if _, err := os.Stat(folder); !os.IsNotExist(err) {
		t.Errorf("a proof that failed leaves a folder: %v", err)
	}
	made, err := records.ProveInto(folder, s.ByStream(), nameOf)
	want := []records.Bundled{{Bundle: filepath.Join(folder, "JOBS.json"), Stream: "JOBS", Records: 2}, {Bundle: filepath.Join(folder, "ATTEMPTS-1.json"), Stream: "ATTEMPTS", Records: 1}}
	if err != nil || !slices.Equal(made, want) {
		t.Errorf("ProveInto = %v, %v, want %v", made, err, want)
	}
	for _, b := range want {
		if text, err := os.ReadFile(b.Bundle); err != nil || !strings.Contains(string(text), b.Stream) {
			t.Errorf("%s = %q, %v", b.Bundle, text, err)
		}
	}
	if _, err := records.ProveInto(folder, s.ByRecord(), nameOf); err == nil || !strings.Contains(err.Error(), "never overwritten") {
		t.Errorf("ProveInto a folder that has something = %v, want that nothing is overwritten", err)
	}
}
