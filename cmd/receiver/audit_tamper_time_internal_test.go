package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/sealing"
	"receiver/internal/service"
	"receiver/internal/service/logs"
)

const day = 24 * time.Hour

// A record that is added to a store, or removed from it, before it is sealed is in the log as it is
// found. The times of the others, or the limits of the stream, contradict it all the same. The
// sealer says so first.
func TestWhatWasDoneBeforeSealingIsFound(t *testing.T) {
	t.Parallel()
	base := sealedFolder(t)
	for _, row := range []struct {
		name   string
		tamper func(x *intruder)
		want   []string // each begins a fault; the sealer logs those of a record
	}{
		{"nothing", func(x *intruder) { x.addAt("JOBS", 0, 0, 0) }, nil},
		{"a clock that is set back by half a minute", func(x *intruder) { x.addAt("JOBS", 0, -30*time.Second, 0) }, nil},
		{"the last event dated back by months", func(x *intruder) { x.addAt("JOBS", -160*day) }, []string{"JOBS/6: time"}},
		{"the last event dated back by minutes", func(x *intruder) { x.addAt("JOBS", 0, -3*time.Minute) }, []string{"JOBS/7: time"}},
		{"one in the middle dated back", func(x *intruder) { x.addAt("JOBS", 0, -day, 0) }, []string{"JOBS/7: time"}},
		{"several dated back, each by less than a minute", func(x *intruder) {
			x.addAt("JOBS", 0, -40*time.Second, -80*time.Second, -120*time.Second)
		}, []string{"JOBS/8: time"}},
		{"an attempt dated back", func(x *intruder) { x.addAt("ATTEMPTS", -day) }, []string{"ATTEMPTS/5: time"}},
		{"an action dated back", func(x *intruder) { x.addAt("ACTIONS", -day) }, []string{"ACTIONS/3: time"}},
		{"one in the middle dated forward", func(x *intruder) { x.addAt("JOBS", day, 0) }, []string{"JOBS/6: time", "JOBS/7: time"}},
		{"the last one dated forward", func(x *intruder) { x.addAt("JOBS", 0, day) }, []string{"JOBS: checkpoint", "JOBS/7: time"}},
		{"a callback that says it came months ago", func(x *intruder) { x.forgeAt("99", -160*day, nil) }, []string{"JOBS/6: time"}},
		{"one that says it came half an hour ago", func(x *intruder) { x.forgeAt("99", -30*time.Minute, nil) }, []string{"JOBS/6: time"}},
		{"one that says it came ten minutes ago", func(x *intruder) { x.forgeAt("99", -10*time.Minute, nil) }, nil},
		{"one that says it comes in an hour", func(x *intruder) { x.forgeAt("99", time.Hour, nil) }, []string{"JOBS/6: time"}},
		{"one that says it was accepted late, of which there is no attempt", func(x *intruder) {
			x.forgeAt("99", -160*day, map[string]string{"ce-evidence": "late"})
		}, []string{"JOBS/6: time"}},
		{"one that says it came by an edge, though none forwards here", func(x *intruder) {
			x.forgeAt("99", -160*day, map[string]string{
				"receiver-edge": "edge", "receiver-edge-store": "U", "receiver-edge-record": "JOBS/7", "receiver-edge-stored": time.Now().UTC().Format(time.RFC3339Nano),
			})
		}, []string{"JOBS/6: time"}},
		{"one that an edge stores tomorrow", func(x *intruder) {
			x.forgeAt("99", 0, map[string]string{
				"receiver-edge": "edge", "receiver-edge-store": "U", "receiver-edge-record": "JOBS/7", "receiver-edge-stored": time.Now().Add(day).UTC().Format(time.RFC3339Nano),
			})
		}, []string{"JOBS/6: time"}},
		{"one whose times contradict each other", func(x *intruder) {
			x.forgeAt("99", 0, map[string]string{"ce-time": "2026-01-01T00:00:00Z"})
		}, []string{"JOBS/6: time"}},
		{"a poll's answer of tomorrow", func(x *intruder) {
			x.forgeAt("99", 0, map[string]string{"ce-evidence": "poll", "receiver-received": "", "ce-time": time.Now().Add(day).UTC().Format(time.RFC3339Nano)})
		}, []string{"JOBS/6: time"}},
		{"a time that is none", func(x *intruder) { x.forgeAt("99", 0, map[string]string{"receiver-received": "yesterday"}) }, []string{"JOBS/6: time"}},
		{"a refusal of months ago", func(x *intruder) {
			a := refusal()
			a.Receipt.Received = time.Now().Add(-160 * day)
			x.send(a.Subject(), a.Header().Map(), a.Body)
		}, []string{"ATTEMPTS/5: time"}},
		{"an action of months ago", func(x *intruder) {
			a := job.Action{What: job.ActionCancel, Time: time.Now().Add(-160 * day)}
			data, err := a.Data()
			x.must(err)
			x.send(a.Subject(), nil, data)
		}, []string{"ACTIONS/3: time"}},
		{"an event removed, the last one", func(x *intruder) { x.addAt("JOBS", 0); x.delete("JOBS", 6) }, []string{"JOBS/6: absent"}},
		{"the first of several", func(x *intruder) { x.addAt("JOBS", 0, 0, 0); x.delete("JOBS", 6) }, []string{"JOBS/6: absent"}},
		{"one in the middle, and the files as after a crash", func(x *intruder) {
			x.addAt("JOBS", 0, 0, 0)
			x.delete("JOBS", 7)
			x.crash()
		}, []string{"JOBS/7: absent"}},
		{"all of them", func(x *intruder) { x.addAt("JOBS", 0, 0); x.delete("JOBS", 6); x.delete("JOBS", 7) }, []string{"JOBS/6: absent", "JOBS/7: absent"}},
		{"an action", func(x *intruder) { x.addAt("ACTIONS", 0); x.delete("ACTIONS", 3) }, []string{"ACTIONS/3: absent"}},
		{"an attempt", func(x *intruder) { x.addAt("ATTEMPTS", 0, 0); x.delete("ATTEMPTS", 5) }, []string{"ATTEMPTS/5: absent"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			x := intrude(t, base)
			row.tamper(x)
			x.leave()
			x.logged(sealLogged(t, x.dir), row.want)
			x.expect(row.want)
		})
	}
}

// A clock that was set back once leaves a fault in the log for good. Archives go on, and have it.
func TestAClockThatWasSetBackEndsNoExport(t *testing.T) {
	t.Parallel()
	x := intrude(t, sealedFolder(t))
	x.addAt("JOBS", 0, -3*time.Minute, 0)
	x.leave()
	sealLogged(t, x.dir)
	archive := filepath.Join(x.dir, "archive")
	if code, out := command(t, x.dir, "audit", "export", archive); code != exitDone || !strings.Contains(out, "8        1       "+archive) {
		t.Errorf("audit export = exit %d, %s; want 8 events with 1 fault", code, out)
	}
	code, report := auditVerify(t, x.dir, append(logKeys(keysOf(t, x.dir)), "--export", archive)...)
	wantFaults(t, code, report, []string{"JOBS/7: time"})
}

// The first records of a store have none before them. A checkpoint says that there were none.
func TestWhatWasDoneToTheFirstRecordsIsFound(t *testing.T) {
	t.Parallel()
	base := emptyFolder(t)
	for _, row := range []struct {
		name   string
		tamper func(x *intruder)
		want   []string
	}{
		{"nothing", func(x *intruder) { x.addAt("JOBS", 0) }, nil},
		{"the only event dated back", func(x *intruder) { x.addAt("JOBS", -60*day) }, []string{"JOBS/1: time"}},
		{"the only event removed", func(x *intruder) { x.addAt("JOBS", 0); x.delete("JOBS", 1) }, []string{"JOBS/1: absent"}},
		{"the first event removed", func(x *intruder) { x.addAt("JOBS", 0, 0); x.delete("JOBS", 1) }, []string{"JOBS/1: absent"}},
		{"all events, by a purge", func(x *intruder) { x.addAt("JOBS", 0, 0); x.purge("JOBS", 0) }, []string{"JOBS/1: absent", "JOBS/2: absent"}},
		{"the only attempt", func(x *intruder) { x.addAt("ATTEMPTS", 0); x.delete("ATTEMPTS", 1) }, []string{"ATTEMPTS/1: absent"}},
		{"the only action", func(x *intruder) { x.addAt("ACTIONS", 0); x.delete("ACTIONS", 1) }, []string{"ACTIONS/1: absent"}},
		{"a callback that says it came months ago", func(x *intruder) { x.forgeAt("99", -160*day, nil) }, []string{"JOBS/1: time"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			x := intrude(t, base)
			row.tamper(x)
			x.leave()
			sealLogged(t, x.dir)
			x.expect(row.want)
		})
	}
}

// expect verifies the folder, and compares what is found with what each fault begins with.
func (x *intruder) expect(want []string) {
	x.t.Helper()
	code, report := auditVerify(x.t, x.dir)
	if wrong := len(want) > 0; (code == exitFailed) != wrong || report.OK == wrong {
		x.t.Errorf("audit verify = exit %d, ok %v with faults %v, want faults: %v", code, report.OK, report.faults(), want)
	}
	for _, want := range want {
		if !slices.ContainsFunc(report.faults(), func(f audit.Fault) bool { return strings.HasPrefix(f.String(), want) }) {
			x.t.Errorf("no fault begins with %q; there are\n%v", want, report.faults())
		}
	}
}

// logged compares a sealer's log with the faults that it should have named.
func (x *intruder) logged(log string, want []string) {
	x.t.Helper()
	times, gaps := 0, false
	for _, f := range want {
		where, kind, _ := strings.Cut(f, ": ")
		stream, seq, _ := strings.Cut(where, "/")
		switch kind {
		case "time":
			times++
			if !strings.Contains(log, fmt.Sprintf(`"stream":%q,"sequence":%s,`, stream, seq)) {
				x.t.Errorf("the sealer does not name %s:\n%s", where, log)
			}
		case "absent":
			gaps = true
		}
	}
	if got := strings.Count(log, "whose times contradict"); got != times {
		x.t.Errorf("the sealer names %d records, want %d:\n%s", got, times, log)
	}
	if got := strings.Contains(log, "removed before they were sealed;"); got != gaps {
		x.t.Errorf("the sealer names a gap: %v, want %v:\n%s", got, gaps, log)
	}
}

// crash has the store look as if its server had been killed.
func (x *intruder) crash() {
	x.after = append(x.after, func() {
		folder := filepath.Join(x.dir, "receiver-data")
		x.must(os.Rename(filepath.Join(folder, "receiver.stopped"), filepath.Join(folder, "receiver.running")))
	})
}

// sealLogged seals what is there, as a receiver that starts does, and returns its log.
func sealLogged(t *testing.T, dir string) string {
	t.Helper()
	var log bytes.Buffer
	logger := zerolog.New(&log).Level(zerolog.ErrorLevel)
	cfg, err := config.Load(config.Options{Path: filepath.Join(dir, "config.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	server, bus, err := service.OpenStore(t.Context(), cfg, logger)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Stop()
	defer bus.Close(context.Background())
	keepers, err := logs.OpenKeepers(t.Context(), cfg, bus, sealing.Options{Log: logger})
	if err != nil {
		t.Fatal(err)
	}
	if err := keepers.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := keepers.Close(); err != nil {
		t.Fatal(err)
	}
	return log.String()
}

// emptyFolder is sealedFolder without a record.
func emptyFolder(t *testing.T) string {
	t.Helper()
	dir := configuredFolder(t, "{directory: anchor}")
	sealLogged(t, dir)
	return dir
}

// send publishes a message as it is.
func (x *intruder) send(subject string, header nats.Header, data []byte) {
	_, err := x.js.PublishMsg(x.t.Context(), &nats.Msg{Subject: subject, Header: header, Data: data})
	x.must(err)
}

// forgeAt publishes a signed event that says when it arrived, with other headers; an empty one is
// left out.
func (x *intruder) forgeAt(id string, ago time.Duration, other map[string]string) {
	e := signedEvent(x.t, id, sign(theKey, body(id)))
	e.Receipt.Received = time.Now().Add(ago)
	e.Time = e.Receipt.Received
	header := nats.Header(e.Header().Map())
	for name, value := range other {
		delete(header, name)
		if value != "" {
			header[name] = []string{value}
		}
	}
	x.send(e.Subject(), header, e.Data)
}

// addAt stores records, and sets their stored times off when the server has stopped.
func (x *intruder) addAt(stream string, offs ...time.Duration) {
	first := x.last(stream)
	for i := range offs {
		switch stream {
		case "JOBS":
			x.forgeAt(string(rune('a'+i)), 0, nil)
		case "ATTEMPTS":
			a := refusal()
			x.send(a.Subject(), a.Header().Map(), a.Body)
		default:
			a := job.Action{What: job.ActionCancel, Time: time.Now()}
			data, err := a.Data()
			x.must(err)
			x.send(a.Subject(), nil, data)
		}
	}
	if !slices.ContainsFunc(offs, func(d time.Duration) bool { return d != 0 }) {
		return
	}
	x.after = append(x.after, func() {
		e := editStream(x.t, x.dir, stream)
		for i, off := range offs {
			r := e.records[first+uint64(i)]
			binary.LittleEndian.PutUint64(r[12:], binary.LittleEndian.Uint64(r[12:])+uint64(off))
		}
		e.save()
		natstest.ForgetStop(x.t, filepath.Join(x.dir, "receiver-data"))
	})
}

// A start lists the records that it finds unsealed, before it seals them: loudly if they were
// written after the last clean stop.
func TestUnsealedRecordsAreListedAtTheStart(t *testing.T) {
	t.Parallel()
	base := sealedFolder(t)
	for _, row := range []struct {
		name   string
		tamper func(x *intruder)
		want   []string // parts of lines of the log
		action string   // the details in ACTIONS
	}{
		{"nothing", func(*intruder) {}, nil, ""},
		{"written and stopped cleanly", func(x *intruder) { x.addAt("JOBS", 0, 0) },
			[]string{`"level":"info","stream":"JOBS","first":6,"last":7,"message":"the store holds records that were not sealed before this start`},
			`"unsealed":{"JOBS":{"first":6,"last":7}}`},
		{"written before a crash", func(x *intruder) { x.addAt("ATTEMPTS", 0); x.crash() },
			[]string{`"level":"warn","stream":"ATTEMPTS","first":5,"last":5,"message":"the store holds records that were not sealed before this start`},
			`"unsealed":{"ATTEMPTS":{"first":5,"last":5}}`},
		{"written after the clean stop", func(x *intruder) {
			x.addAt("JOBS", 0)
			x.after = append(x.after, x.writeAtRest)
		}, []string{
			`"level":"error","stream":"JOBS","first":7,"last":7,"message":"records were written to the store after the last clean stop`,
			`"level":"info","stream":"JOBS","first":6,"last":6,"message":"the store holds records that were not sealed before this start`,
		}, `"unsealed":{"JOBS":{"first":6,"last":7,"added":7}}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			x := intrude(t, base)
			row.tamper(x)
			x.leave()
			var log bytes.Buffer
			cfg, err := config.Load(config.Options{Path: filepath.Join(x.dir, "config.yaml"), Env: []string{
				"RECEIVER_PUBLIC_ADDRESS=127.0.0.1:0", "RECEIVER_PRIVATE_ADDRESS=127.0.0.1:0",
			}})
			x.must(err)
			in, err := service.Start(t.Context(), cfg, zerolog.New(zerolog.SyncWriter(&log)))
			x.must(err)
			x.must(in.Stop())
			for _, want := range row.want {
				if !strings.Contains(log.String(), want) {
					t.Errorf("the log has no %s:\n%s", want, lines(log.String(), "sealed"))
				}
			}
			if got := strings.Count(log.String(), "sealed now"); got != len(row.want) {
				t.Errorf("%d lines list something, want %d:\n%s", got, len(row.want), lines(log.String(), "sealed"))
			}
			var out bytes.Buffer
			run(t.Context(), []string{"--config", filepath.Join(x.dir, "config.yaml"), "audit", "show", "--raw", "ACTIONS/3"}, strings.NewReader(""), &out, &out)
			if got := out.String(); !strings.Contains(got, row.action) || row.action == "" && strings.Contains(got, "unsealed") {
				t.Errorf("the start is recorded as %s, want %s", got, row.action)
			}
		})
	}
}

// lines are those with a word.
func lines(text, word string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return !strings.Contains(l, word) }), "\n")
}

// writeAtRest adds a copy of the last event to the files, and leaves the note of the clean stop.
func (x *intruder) writeAtRest() {
	e := editStream(x.t, x.dir, "JOBS")
	last := len(e.records)
	e.records = append(e.records, bytes.Clone(e.records[last-1]))
	e.number(last, uint64(last+1))
	e.save()
}
