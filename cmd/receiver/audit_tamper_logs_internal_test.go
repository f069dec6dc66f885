package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"receiver/internal/service/logs"
)

// An attacker who has all that the receiver has, its log key included, may give the logs another
// name, key or domain, and begin anew without a record. Each log that a believed key has signed
// stays part of a verification. Each row is one way.
func TestNoLogIsForgotten(t *testing.T) {
	t.Parallel()
	base := sealedFolder(t)
	pinned := keysOf(t, base)
	for _, row := range []struct {
		name  string
		do    func(t *testing.T, dir string)
		flags []string // of audit verify
		want  []string // each begins a fault; none if it must find nothing
	}{
		{"a log begins anew under another name without a record", func(t *testing.T, dir string) {
			removeAnd(t, dir, "JOBS", 2)
			renamed(t, dir, "other")
			sealAnew(t, dir)
		}, nil, []string{"receiver/test/JOBS: abandoned", "receiver/test/ATTEMPTS: abandoned", "receiver/test/ACTIONS: abandoned", "JOBS/2: missing"}},
		{"the same, as an auditor with the old keys sees it", func(t *testing.T, dir string) {
			removeAnd(t, dir, "JOBS", 2)
			renamed(t, dir, "other")
			sealAnew(t, dir)
		}, logKeys(pinned), []string{"receiver/test/JOBS: abandoned", "JOBS/2: missing"}},
		{"the same, under another domain", func(t *testing.T, dir string) {
			removeAnd(t, dir, "JOBS", 2)
			edit(t, dir, "name: test", "name: test, origin: hooks.example.com")
			sealAnew(t, dir)
		}, nil, []string{"receiver/test/JOBS: abandoned", "JOBS/2: missing"}},
		{"the name is changed twice", func(t *testing.T, dir string) {
			removeAnd(t, dir, "JOBS", 2)
			renamed(t, dir, "other")
			sealAnew(t, dir)
			removeAnd(t, dir, "JOBS", 1)
			edit(t, dir, "name: other", "name: third")
			sealAnew(t, dir)
		}, nil, []string{"receiver/test/JOBS: abandoned", "receiver/other/JOBS: abandoned", "JOBS/1: missing", "JOBS/2: missing"}},
		{"the name is changed and back", func(t *testing.T, dir string) {
			renamed(t, dir, "other")
			sealAnew(t, dir)
			edit(t, dir, "name: other", "name: test")
		}, nil, []string{"receiver/other/JOBS: abandoned"}},
		{"only the checkpoint file knows the old name", func(t *testing.T, dir string) {
			forget(t, dir, "CHECKPOINTS", "anchor")
			renamed(t, dir, "other")
			sealAnew(t, dir)
		}, nil, []string{"receiver/test/JOBS: abandoned"}},
		{"only the anchor knows the old name", func(t *testing.T, dir string) {
			forget(t, dir, "CHECKPOINTS", "file")
			renamed(t, dir, "other")
			sealAnew(t, dir)
		}, nil, []string{"receiver/test/JOBS: abandoned"}},
		{"only CHECKPOINTS knows the old name", func(t *testing.T, dir string) {
			forget(t, dir, "file", "anchor")
			renamed(t, dir, "other")
			sealAnew(t, dir)
		}, nil, []string{"receiver/test/JOBS: abandoned"}},
		{"the tiles of the old name are removed, too", func(t *testing.T, dir string) {
			renamed(t, dir, "other")
			sealAnew(t, dir)
			x := enter(t, dir)
			x.tile("test/JOBS/tile/0/000.p/5", nil)
			x.leave()
		}, nil, []string{"receiver/test/JOBS: abandoned", "JOBS: tile: tile/0/000.p/5: it is missing"}},
		{"the key is swapped, too", func(t *testing.T, dir string) {
			removeAnd(t, dir, "JOBS", 2)
			renamed(t, dir, "other")
			swapKey(t, dir)
			sealAnew(t, dir)
		}, logKeys(pinned), []string{"receiver/test/JOBS: abandoned", "JOBS/2: missing", "receiver/other/JOBS: checkpoint: receiver/other/JOBS+"}},
		{"the key is swapped, and every checkpoint removed", func(t *testing.T, dir string) {
			forget(t, dir, "CHECKPOINTS", "file", "anchor")
			swapKey(t, dir)
			sealAnew(t, dir)
		}, logKeys(pinned), []string{
			"receiver/test/JOBS: missing: no checkpoint of it by the key", "receiver/test/JOBS: checkpoint: receiver/test/JOBS+", "JOBS: checkpoint: store: checkpoint is not signed",
		}},
		{"the same, and the configuration is trusted besides", func(t *testing.T, dir string) {
			forget(t, dir, "CHECKPOINTS", "file", "anchor")
			swapKey(t, dir)
			sealAnew(t, dir)
		}, append(logKeys(pinned), "--trust-config"), []string{"receiver/test/JOBS: missing: no checkpoint of it by the key", "receiver/test/ACTIONS: missing"}},
		{"a key is given whose log there is not", func(*testing.T, string) {},
			append(logKeys(pinned), "--log-key", otherKey(t).VerifierKey("receiver/elsewhere/JOBS")), []string{"receiver/elsewhere/JOBS: missing: no checkpoint of it by the key"}},
		{"all keys are given", func(*testing.T, string) {}, logKeys(pinned), nil},
		{"the key of one log is given, which is that of all", func(*testing.T, string) {}, logKeys(pinned[:1]), nil},
		{"the key of the last log is given", func(*testing.T, string) {}, logKeys(pinned[2:]), nil},
		{"a record in ACTIONS claims what was not done", func(t *testing.T, dir string) {
			heads := headsOf(t, dir)
			removeAnd(t, dir, "JOBS", 2)
			renamed(t, dir, "other")
			claim(t, dir, logs.Renamed{From: "receiver/test", To: "receiver/other", Carried: true, Logs: heads})
			sealAnew(t, dir)
		}, nil, []string{"JOBS: fork"}},
		{"a record in ACTIONS names a tree that there was not", func(t *testing.T, dir string) {
			renamed(t, dir, "other")
			claim(t, dir, logs.Renamed{From: "receiver/test", To: "receiver/other", Carried: true, Logs: map[string]logs.Head{"JOBS": {Size: 5, Root: "x"}}})
			sealAnew(t, dir)
		}, nil, []string{"receiver/test/JOBS: abandoned: the record in ACTIONS about its end names a checkpoint of size 5"}},
		{"a record in ACTIONS leads elsewhere", func(t *testing.T, dir string) {
			removeAnd(t, dir, "JOBS", 2)
			renamed(t, dir, "other")
			claim(t, dir, logs.Renamed{From: "receiver/test", To: "receiver/test", Carried: true})
			sealAnew(t, dir)
		}, nil, []string{"JOBS/2: missing"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := copyOf(t, base)
			row.do(t, dir)
			code, report := auditVerify(t, dir, row.flags...)
			wantFaults(t, code, report, row.want)
		})
	}
}

// A changed name is a rotation: no receiver seals until the logs were continued, and then old and
// new are one.
func TestLogsAreRenamed(t *testing.T) {
	t.Parallel()
	base := sealedFolder(t)
	for _, row := range []struct {
		name string
		do   func(t *testing.T, dir string)
		want []string
	}{
		{"once", func(t *testing.T, dir string) {
			renamed(t, dir, "other")
			rename(t, dir, "test")
		}, nil},
		{"twice", func(t *testing.T, dir string) {
			renamed(t, dir, "other")
			rename(t, dir, "test")
			sealMore(t, dir, []string{"6"})
			edit(t, dir, "name: other", "name: third")
			rename(t, dir, "other")
			sealMore(t, dir, []string{"7"})
		}, nil},
		{"and back", func(t *testing.T, dir string) {
			renamed(t, dir, "other")
			rename(t, dir, "test")
			sealMore(t, dir, []string{"6"})
			edit(t, dir, "name: other", "name: test")
			rename(t, dir, "other")
			sealMore(t, dir, []string{"7"})
		}, nil},
		{"there, back and there again", func(t *testing.T, dir string) {
			for _, way := range [][2]string{{"test", "other"}, {"other", "test"}, {"test", "other"}} {
				edit(t, dir, "name: "+way[0], "name: "+way[1])
				refused(t, dir, "receiver audit rename --from receiver/"+way[0])
				rename(t, dir, way[0])
				sealMore(t, dir, []string{way[0] + way[1]})
			}
			if n := strings.Count(listed(t, dir), `"action":"rename"`); n != 3 {
				t.Errorf("%d records of it, want 3", n)
			}
		}, nil},
		{"to a domain", func(t *testing.T, dir string) {
			edit(t, dir, "name: test", "name: test, origin: hooks.example.com")
			rename(t, dir, "receiver/test")
			sealMore(t, dir, []string{"6"})
		}, nil},
		{"with the key lost", func(t *testing.T, dir string) {
			old := keysOf(t, dir)
			renamed(t, dir, "other")
			swapKey(t, dir)
			edit(t, dir, "name: other", `name: other, verifier_keys: ["`+strings.Join(old, `", "`)+`"]`)
			rename(t, dir, "test")
			sealMore(t, dir, []string{"6"})
		}, nil},
		{"a second time, after a crash behind the record", func(t *testing.T, dir string) {
			heads := headsOf(t, dir)
			renamed(t, dir, "other")
			claim(t, dir, logs.Renamed{From: "receiver/test", To: "receiver/other", Carried: true, OldKey: true, Logs: heads})
			refused(t, dir, "receiver audit rename --from receiver/test")
			rename(t, dir, "test")
			rename(t, dir, "test")
			if n := strings.Count(listed(t, dir), `"action":"rename"`); n != 1 {
				t.Errorf("%d records of it, want 1", n)
			}
		}, nil},
		{"a second time, after a crash between two logs", func(t *testing.T, dir string) {
			old := keysOf(t, dir)
			renamed(t, dir, "other")
			swapKey(t, dir)
			edit(t, dir, "name: other", `name: other, verifier_keys: ["`+strings.Join(old, `", "`)+`"]`)
			const tile = "test/ATTEMPTS/tile/0/000.p/4"
			kept := swapTile(t, dir, tile, nil)
			if code, out := command(t, dir, "audit", "rename", "--from", "test"); code != exitFailed || !strings.Contains(out, "copying the tiles of receiver/test/ATTEMPTS") {
				t.Errorf("rename without a tile = exit %d, %s", code, out)
			}
			refused(t, dir, "receiver audit rename --from receiver/test")
			swapTile(t, dir, tile, kept)
			rename(t, dir, "test")
		}, nil},
		{"after a record was removed", func(t *testing.T, dir string) {
			removeAnd(t, dir, "JOBS", 2)
			renamed(t, dir, "other")
			rename(t, dir, "test")
		}, []string{"JOBS/2: missing"}},
		{"before a record was removed", func(t *testing.T, dir string) {
			renamed(t, dir, "other")
			rename(t, dir, "test")
			removeAnd(t, dir, "JOBS", 2)
		}, []string{"JOBS/2: missing"}},
		{"and the tiles of the old name removed", func(t *testing.T, dir string) {
			renamed(t, dir, "other")
			rename(t, dir, "test")
			swapTile(t, dir, "test/JOBS/tile/0/000.p/5", nil)
		}, nil},
		{"and the record of it removed", func(t *testing.T, dir string) {
			renamed(t, dir, "other")
			rename(t, dir, "test")
			removeAnd(t, dir, "ACTIONS", 3)
		}, []string{"ACTIONS/3: missing", "receiver/test/JOBS: abandoned"}},
		{"and sealed on under the old name, by a program that forks", func(t *testing.T, dir string) {
			renamed(t, dir, "other")
			rename(t, dir, "test")
			sealMore(t, dir, []string{"6"})
			x := enter(t, dir)
			note := resign(t, x.key(), x.newest("JOBS"), func(text string) string { return strings.Replace(text, "\n5\n", "\n6\n", 1) })
			x.checkpoint("JOBS", note)
			x.leave()
		}, []string{"JOBS: fork"}},
		{"and begun anew, with all records there", func(t *testing.T, dir string) {
			renamed(t, dir, "other")
			rename(t, dir, "test", "--begin-anew")
			sealMore(t, dir, []string{"6"})
		}, nil},
		{"and begun anew, after a record was removed", func(t *testing.T, dir string) {
			removeAnd(t, dir, "JOBS", 2)
			renamed(t, dir, "other")
			rename(t, dir, "test", "--begin-anew")
			sealMore(t, dir, []string{"6"})
		}, []string{"JOBS/2: missing"}},
		{"and had begun anew with an earlier version, which asked for nothing", func(t *testing.T, dir string) {
			renamed(t, dir, "other")
			sealAnew(t, dir)
			rename(t, dir, "test")
			sealMore(t, dir, []string{"6"})
		}, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			dir := copyOf(t, base)
			row.do(t, dir)
			code, report := auditVerify(t, dir)
			wantFaults(t, code, report, row.want)
			if row.want == nil { // and so it is for an auditor with the first keys alone, if they signed
				for _, log := range report.Logs {
					if len(log.Keys) == 0 || !slices.ContainsFunc(log.Keys, func(k string) bool { return strings.HasPrefix(k, log.Origin+"+") }) {
						t.Errorf("%s is signed by %q, want a key of its name", log.Origin, log.Keys)
					}
				}
			}
		})
	}
}

// The old name may be known to nobody but an account of others.
func TestNoLogIsForgottenThatOnlyAnAccountKnows(t *testing.T) {
	t.Parallel()
	url, _ := auditorsStream(t)
	dir := sealedFolderWith(t, fmt.Sprintf(`{nats: {urls: ["%s"], stream: KEPT, subject: kept}}`, url))
	forget(t, dir, "CHECKPOINTS", "file")
	republish(t, url, []byte("of another receiver, and no checkpoint")) // which is its own matter
	removeAnd(t, dir, "JOBS", 2)
	renamed(t, dir, "other")
	sealAnew(t, dir)
	code, report := auditVerify(t, dir)
	wantFaults(t, code, report, []string{"receiver/test/JOBS: abandoned", "JOBS/2: missing"})
}

// An archive of a log that began anew is not one of the log whose key the reader holds, though the
// same key has signed it.
func TestAnArchiveUnderAnotherNameIsAnotherLog(t *testing.T) {
	t.Parallel()
	dir := sealedFolder(t)
	pinned := keysOf(t, dir)
	renamed(t, dir, "other")
	rename(t, dir, "test", "--begin-anew")
	archive := filepath.Join(dir, "archive")
	if code, out := command(t, dir, "audit", "export", archive); code != exitDone {
		t.Fatalf("audit export = exit %d, %s", code, out)
	}
	for name, row := range map[string]struct {
		flags []string
		want  int
	}{
		"the keys of the old name": {logKeys(pinned), exitFailed}, "the keys of the new name": {logKeys(keysOf(t, dir)), exitDone},
		"the configuration": {nil, exitDone},
	} {
		for what, args := range map[string][]string{
			"verify": {"audit", "verify", "--export", archive}, "prove": {"audit", "prove", "--export", archive, "JOBS/1"},
		} {
			if code, out := command(t, dir, append(args, row.flags...)...); code != row.want {
				t.Errorf("audit %s of the archive with %s = exit %d, want %d: %s", what, name, code, row.want, out)
			}
		}
	}
}

// Before the logs were continued, nothing seals under the new name. The error names the command.
func TestNothingSealsUnderAnotherName(t *testing.T) {
	t.Parallel()
	dir := sealedFolder(t)
	renamed(t, dir, "other")
	refused(t, dir, "receiver audit rename --from receiver/test")
	if code, out := command(t, dir, "audit", "seal"); code == exitDone || !strings.Contains(out, "receiver audit rename --from receiver/test") {
		t.Errorf("audit seal = exit %d, %s, want it refused", code, out)
	}
	if code, out := command(t, dir, "audit", "rename", "--from", "nobody"); code != exitUsage || !strings.Contains(out, "there are those of receiver/test") {
		t.Errorf("rename of a name that there was not = exit %d, %s", code, out)
	}
	edit(t, dir, "name: other", "name: test")
	sealMore(t, dir, []string{"6"})
	if code, report := auditVerify(t, dir); code != exitDone {
		t.Errorf("audit verify after the name was put back = exit %d, %v", code, report.faults())
	}
}

// A stream that was removed is one fault, and hides no other log.
func TestARemovedStreamHidesNoOther(t *testing.T) {
	t.Parallel()
	base := sealedFolder(t)
	for _, row := range []struct {
		stream string
		want   []string
	}{
		{"JOBS", []string{"JOBS: missing: the stream was removed", "ATTEMPTS/1: missing"}},
		{"ATTEMPTS", []string{"ATTEMPTS: missing: the stream was removed", "JOBS/1: missing"}},
		{"ACTIONS", []string{"ACTIONS: missing: the stream was removed", "JOBS/1: missing"}},
		{"WATCH", []string{"JOBS/1: missing"}},
	} {
		t.Run(row.stream, func(t *testing.T) {
			t.Parallel()
			x := intrude(t, base)
			if row.stream == "JOBS" {
				x.delete("ATTEMPTS", 1)
			} else {
				x.delete("JOBS", 1)
			}
			x.deleteStream(row.stream)
			x.leave()
			code, report := auditVerify(t, x.dir)
			wantFaults(t, code, report, row.want)
			if want := 3 - len(row.want)/2; len(report.Logs) != want {
				t.Errorf("%d logs were verified, want %d", len(report.Logs), want)
			}
		})
	}
}
