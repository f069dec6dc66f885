package verification_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"receiver/internal/audit"
	"receiver/internal/audit/audittest"
	"receiver/internal/audit/verification"
)

// Limits remove the oldest records only. Any other record that was gone when it was sealed was
// removed, and so was one that cannot have reached its age.
func TestAbsentRecordsThatNoLimitExplains(t *testing.T) {
	t.Parallel()
	const age = 90 * 24 * time.Hour
	byAge := &verification.Drops{MaxAge: age}
	span := func(from, to uint64) (all []uint64) {
		for seq := from; seq <= to; seq++ {
			all = append(all, seq)
		}
		return all
	}
	// Each step stores so many records, removes some, and seals.
	type step struct {
		add    int
		remove []uint64
	}
	for _, row := range []struct {
		name  string
		steps []step
		begun time.Duration // how long ago the checkpoint of the empty log was made; 0 for none
		drops *verification.Drops
		want  []string
	}{
		{"none", []step{{add: 3}}, 0, byAge, nil},
		{"the last one", []step{{3, []uint64{3}}}, 0, byAge, []string{"absent 3"}},
		{"one in the middle", []step{{3, []uint64{2}}}, 0, byAge, []string{"absent 2"}},
		{"one in the middle, of a stream that is full", []step{{3, []uint64{2}}}, 0, &verification.Drops{Size: true}, []string{"absent 2"}},
		{"one in the middle of a log whose limits are not known", []step{{3, []uint64{2}}}, 0, &verification.Drops{Unknown: true}, []string{"absent 2"}},
		{"the first ones, of a log begun over an old stream", []step{{9, span(1, 5)}}, 0, byAge, nil},
		{"the first ones, of a log without limits", []step{{9, span(1, 2)}}, 0, &verification.Drops{}, []string{"absent 1", "absent 2"}},
		{"the first ones, of a full stream", []step{{9, span(1, 5)}}, 0, &verification.Drops{Size: true}, nil},
		{"the first ones, of a young log", []step{{}, {9, span(1, 2)}}, time.Hour, byAge, []string{"absent 1", "absent 2"}},
		{"the first ones, of an old log", []step{{}, {9, span(1, 5)}}, 100 * 24 * time.Hour, byAge, nil},
		{"the first ones, of a young stream", []step{{9, span(1, 1)}}, 0, &verification.Drops{MaxAge: age, Created: time.Now().Add(-time.Hour)}, []string{"absent 1"}},
		{"the first ones, of an old stream", []step{{9, span(1, 1)}}, 0, &verification.Drops{MaxAge: age, Created: time.Now().Add(-2 * age)}, nil},
		{"too old while nothing was sealed", []step{{add: 9}, {9, span(1, 15)}}, 0, byAge, nil},
		{"all too old while nothing was sealed", []step{{add: 9}, {9, span(1, 18)}}, 0, byAge, nil},
		{"removed before they were sealed, and those before too old since", []step{{9, span(5, 5)}, {9, span(1, 9)}}, 0, byAge, []string{"absent 5"}},
		{"the same, of a full stream", []step{{9, span(5, 5)}, {9, span(1, 9)}}, 0, &verification.Drops{Size: true}, nil},
		{"before a sequence that an operator names", []step{{9, span(2, 3)}}, 0, &verification.Drops{Before: 3}, []string{"absent 3"}},
		{"of a log of whose limits nobody says anything", []step{{3, []uint64{2}}}, 0, nil, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := audittest.NewWorld(t, 0)
			var kept []audit.Kept
			absent := map[uint64]bool{}
			for i, s := range row.steps {
				sealed := w.Stream.Newest
				w.Stream.Add(s.add)
				for seq := sealed + 1; seq <= w.Stream.Newest; seq++ {
					w.Stream.Change(seq, func(r *audit.Record) { r.Time = time.Now() })
				}
				w.Stream.Remove(s.remove...)
				for _, seq := range s.remove {
					if seq > sealed {
						absent[seq] = true
					}
				}
				note := w.Seal(t).Note
				k := audit.Kept{Where: "store", Note: note}
				if i == 0 && row.begun > 0 {
					k.Time = time.Now().Add(-row.begun)
				}
				kept = append(kept, k)
			}
			from := slices.Min(append(slices.Collect(maps.Keys(w.Stream.Held)), w.Stream.Newest+1))
			report := w.Verify(t, verification.Options{Kept: kept, From: from, Drops: row.drops})
			if got := audittest.Brief(report); !slices.Equal(got, append([]string{}, row.want...)) {
				t.Errorf("faults = %v, want %v", report.Faults, row.want)
			}
			if report.Absent != int64(len(absent)) {
				t.Errorf("%d absent records are counted, want %d", report.Absent, len(absent))
			}
		})
	}
}

// Which tile holds an absent leaf does not matter.
func TestAnAbsentRecordIsNamedWithoutItsTile(t *testing.T) {
	t.Parallel()
	w := audittest.NewWorld(t, 300)
	w.Stream.Remove(7)
	w.Seal(t)
	if err := w.Store.Delete(t.Context(), "tile/0/000"); err != nil {
		t.Fatal(err)
	}
	report := w.Verify(t, verification.Options{Drops: &verification.Drops{MaxAge: time.Hour}})
	if got := audittest.Brief(report); !slices.Contains(got, "absent 7") || !report.Proved {
		t.Errorf("faults = %v, proved %v, want that 7 is absent, and that it is proved", report.Faults, report.Proved)
	}
}

// A stored time before an earlier one's is named once for each step back.
func TestStoredTimesThatGoBack(t *testing.T) {
	t.Parallel()
	offs := func(at map[uint64]time.Duration) func(*audittest.World) {
		return func(w *audittest.World) {
			for seq, off := range at {
				w.Stream.Change(seq, func(r *audit.Record) { r.Time = r.Time.Add(off) })
			}
		}
	}
	from := func(first uint64, off time.Duration) map[uint64]time.Duration {
		all := map[uint64]time.Duration{}
		for seq := first; seq <= 300; seq++ {
			all[seq] = off
		}
		return all
	}
	for _, row := range []struct {
		name string
		edit func(*audittest.World)
		want []string
	}{
		{"in order", func(*audittest.World) {}, nil},
		{"back by less than clocks differ", offs(map[uint64]time.Duration{100: -time.Minute}), nil},
		{"back by more", offs(map[uint64]time.Duration{100: -2 * time.Minute}), []string{"time 100"}},
		{"the last one back", offs(map[uint64]time.Duration{300: -time.Hour}), []string{"time 300"}},
		{"one forward", offs(map[uint64]time.Duration{100: time.Hour}), []string{"time 101"}},
		{"the clock back", offs(from(200, -time.Hour)), []string{"time 200"}},
		{"the clock forward", offs(from(200, time.Hour)), nil},
		{"back bit by bit", offs(map[uint64]time.Duration{100: -40 * time.Second, 101: -81 * time.Second}), []string{"time 101"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := audittest.NewWorld(t, 300)
			row.edit(w)
			var odd []string
			s := audittest.NewSealer(t, w.Log, audit.SealerOptions{Odd: func(f audit.Fault) { odd = append(odd, f.String()) }})
			for range 2 { // and not again
				if _, err := s.Seal(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			report := w.Verify(t, verification.Options{})
			if got := audittest.Brief(report); !slices.Equal(got, append([]string{}, row.want...)) {
				t.Errorf("faults = %v, want %v", report.Faults, row.want)
			}
			known := w.Verify(t, verification.Options{Drops: &verification.Drops{Before: 302}})
			if !known.OK() {
				t.Errorf("faults = %v, want none before a sequence that an operator names", known.Faults)
			}
			if len(odd) != len(row.want) {
				t.Errorf("the sealer names %v, want %v", odd, row.want)
			}
		})
	}
}

// A record that is added to a quiet stream with a time that lies in between is sealed too late.
func TestARecordDatedIntoAQuietTime(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	now := time.Now()
	ago := func(offs ...time.Duration) (all []time.Time) {
		for _, off := range offs {
			all = append(all, now.Add(-off))
		}
		return all
	}
	for _, row := range []struct {
		name           string
		stored, sealed time.Duration // how long ago, of the last two records
		sealings       []time.Time
		want           []string
	}{
		{"sealed at once", 2 * day, 2 * day, ago(9*day, 2*day, day, 0), nil},
		{"sealed late, while others were sealed", 2 * day, 0, ago(9*day, day, 0), []string{"time 11"}},
		{"by hours", 5 * time.Hour, 0, ago(9*day, 3*time.Hour, 0), []string{"time 11"}},
		{"at the start after a crash", 2 * day, 0, ago(9*day, 2*day, 0), nil},
		{"behind a backlog, after a crash", 2 * day, 0, ago(9*day, 2*day, 30*time.Minute, 0), nil},
		{"soon after others were sealed", 2 * day, 0, ago(9*day, 2*day-30*time.Minute, 0), nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			w := audittest.NewWorld(t, 0)
			add := func(n int, stored, sealed time.Duration) audit.Kept {
				from := w.Stream.Newest + 1
				w.Stream.Add(n)
				for seq := from; seq <= w.Stream.Newest; seq++ {
					w.Stream.Change(seq, func(r *audit.Record) { r.Time = now.Add(-stored) })
				}
				return audit.Kept{Where: "store", Note: w.Seal(t).Note, Time: now.Add(-sealed)}
			}
			kept := []audit.Kept{add(10, 9*day, 9*day), add(2, row.stored, row.sealed), add(1, 0, 0)}
			report := w.Verify(t, verification.Options{Kept: kept, Sealings: row.sealings})
			if got := audittest.Brief(report); !slices.Equal(got, append([]string{}, row.want...)) {
				t.Errorf("faults = %v, want %v", report.Faults, row.want)
			}
			kept[1].Time = time.Time{}
			if report := w.Verify(t, verification.Options{Kept: kept, Sealings: row.sealings}); !report.OK() {
				t.Errorf("faults = %v, want none without the time of a checkpoint", report.Faults)
			}
			kept[1].Time = now.Add(-row.sealed)
			kept = append(kept[:1:1], append([]audit.Kept{{Where: "file", Note: append(slices.Clone(kept[1].Note), "— another AAAAAAAA\n"...)}}, kept[1:]...)...)
			report = w.Verify(t, verification.Options{Kept: kept, Sealings: row.sealings})
			if got := audittest.Brief(report); !slices.Equal(got, append([]string{}, row.want...)) {
				t.Errorf("faults = %v, want %v, where a file has the checkpoint with another signature", report.Faults, row.want)
			}
			begun := w.Verify(t, verification.Options{Kept: kept[1:], Sealings: row.sealings})
			if !begun.OK() {
				t.Errorf("faults = %v, want none of a log that was begun on an old stream", begun.Faults)
			}
		})
	}
}
