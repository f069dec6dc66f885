package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/rs/zerolog"

	"receiver/internal/audit"
	"receiver/internal/auditlog"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/sealing"
	"receiver/internal/service"
	"receiver/internal/service/logs"
)

// origins is a store on an external NATS with a small max_payload that has records of every kind,
// sealed, and the folder with its configuration, keys and bodies.
type origins struct {
	t      *testing.T
	dir    string
	bus    *publish.Store // nothing is encrypted
	veiled *publish.Store // everything is
	last   map[string]int // sequence of each stream
	keys   []string       // --log-key of each log
}

// originCase is a record, how it is checked, and the conclusion.
type originCase struct {
	name   string
	record string // such as JOBS/1
	args   []string
	want   auditlog.Conclusion
	code   int
	inGo   bool // needs an identity, which the checker in Python does not read
}

func newOrigins(t *testing.T) *origins {
	t.Helper()
	o := &origins{t: t, dir: t.TempDir(), last: map[string]int{}}
	s := natstest.NewServer(t, 16<<10)
	identity, err := age.GenerateX25519Identity()
	o.must(err)
	o.write("identity.key", []byte(identity.String()+"\n"))
	o.write("signature.key", []byte(theKey+"\n"))
	common := `sources: {demo: {signature_keys: [{name: first, value: "` + theKey + `"}]}}
audit: {name: test, key: "file:log.key"}
nats: {mode: external, urls: ["` + s.NATS.ClientURL() + `"]}
`
	o.write("config.yaml", []byte(common))
	o.write("encrypting.yaml", []byte(common+"encryption: {recipients: ["+identity.Recipient().String()+"]}\n"))
	if code, out := o.run("audit", "init"); code != exitDone {
		t.Fatalf("audit init = exit %d: %s", code, out)
	}
	_, keys := o.run("audit", "keys")
	for key := range strings.FieldsSeq(keys) {
		o.keys = append(o.keys, "--log-key", key)
	}
	o.bus, o.veiled = o.open("config.yaml"), o.open("encrypting.yaml")
	return o
}

func (o *origins) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *origins) path(name string) string { return filepath.Join(o.dir, name) }

func (o *origins) write(name string, data []byte) string {
	o.t.Helper()
	o.must(os.WriteFile(o.path(name), data, 0o600))
	return o.path(name)
}

// run runs a command with the configuration, and gives its exit code and all that it prints.
func (o *origins) run(args ...string) (int, string) {
	var out bytes.Buffer
	code := run(o.t.Context(), append([]string{"--config", o.path("config.yaml")}, args...), strings.NewReader(""), &out, &out)
	return code, out.String()
}

func (o *origins) load(name string) *config.Config {
	o.t.Helper()
	cfg, err := config.Load(config.Options{Path: o.path(name)})
	o.must(err)
	return cfg
}

func (o *origins) open(name string) *publish.Store {
	o.t.Helper()
	bus, done, err := service.Opener{Config: o.load(name), Log: zerolog.Nop(), Say: o.t.Logf}.Write(o.t.Context())
	o.must(err)
	o.t.Cleanup(done)
	return bus
}

func (o *origins) seal() {
	o.t.Helper()
	keepers, err := logs.OpenKeepers(o.t.Context(), o.load("config.yaml"), o.bus, sealing.Options{Log: zerolog.Nop()})
	o.must(err)
	o.must(keepers.Finish(o.t.Context()))
	o.must(keepers.Close())
}

// event stores an event and names its record.
func (o *origins) event(bus *publish.Store, id string, size int, change func(*job.Event)) string {
	o.t.Helper()
	e := signedEvent(o.t, id, "")
	if size > 0 {
		e = natstest.Large(e, size)
	}
	e.Receipt.Signature = sign(theKey, e.Data)
	o.write("body-"+id, e.Data)
	if change != nil {
		change(&e)
	}
	stored, err := bus.Publish(o.t.Context(), e)
	o.must(err)
	return fmt.Sprintf("JOBS/%d", stored.Sequence)
}

// attempt stores an attempt and names its record.
func (o *origins) attempt(verdict, signature string, change func(*job.Attempt)) string {
	o.t.Helper()
	a := refusal()
	a.Verdict, a.Receipt.Signature = verdict, signature
	if change != nil {
		change(&a)
	}
	o.must(o.bus.Record(o.t.Context(), a))
	o.last["ATTEMPTS"]++
	return fmt.Sprintf("ATTEMPTS/%d", o.last["ATTEMPTS"])
}

// polled is an event that the platform was polled for.
func polled(e *job.Event) { e.Evidence, e.Receipt = job.ByPoll, nil }

func named(a *job.Attempt) {
	a.Receipt.Key, a.Receipt.Fingerprint = "first", config.NewSecret(theKey).Fingerprint()
}

func left(a *job.Attempt) { a.Body = nil }

// all stores and seals a record for each case.
func (o *origins) all() []originCase {
	o.t.Helper()
	right := sign(theKey, body("1"))
	cases := append(o.events(), []originCase{
		{"refused without a signature", o.attempt("missing", "", nil), nil, auditlog.Unsigned, exitDone, false},
		{"refused, signed with another key", o.attempt("mismatch", sign("guessed", body("1")), nil), nil, auditlog.RefusedRightly, exitDone, false},
		{"refused, signed with the given key", o.attempt("mismatch", right, nil), nil, auditlog.RefusedWrongly, exitDone, false},
		{"refused for the form of its signature", o.attempt("malformed", "sha256=x", nil), nil, auditlog.RefusedRightly, exitDone, false},
		{"refused for two signatures", o.attempt("ambiguous", right+", "+right, nil), nil, auditlog.RefusedRightly, exitDone, false},
		{"at an unknown source, signed", o.attempt(job.UnknownSource, right, func(a *job.Attempt) { a.Source = job.NoSource }), nil, auditlog.RefusedWrongly, exitDone, false},
		{"refused for its token", o.attempt("missing_token", right, named), nil, auditlog.Signed, exitDone, false},
		{"a duplicate", o.attempt(job.Duplicate, right, named), nil, auditlog.Signed, exitDone, false},
		{"a late answer to a poll", o.attempt(job.Late, "", nil), nil, auditlog.Unsigned, exitDone, false},
		{"refused, its body left out", o.attempt("mismatch", right, left), nil, auditlog.BodyMissing, exitUnknown, false},
		{"refused, its body left out and given", o.attempt("mismatch", right, left), []string{"--body", o.write("body-1", body("1"))}, auditlog.RefusedWrongly, exitDone, false},
		{"a duplicate, its body left out", o.attempt(job.Duplicate, right, func(a *job.Attempt) { named(a); left(a) }), nil, auditlog.BodyMissing, exitUnknown, false},
		{"refused, of another body", o.attempt("mismatch", right, func(a *job.Attempt) { a.Body = body("2") }), nil, auditlog.Contradicting, exitFailed, false},
		{"a duplicate with the key's name and not its signature", o.attempt(job.Duplicate, sign("guessed", body("1")), named), nil, auditlog.Contradicting, exitFailed, false},
	}...)
	o.must(service.RecordAction(o.t.Context(), o.bus, job.Action{What: job.ActionStart}, nil))
	o.seal()
	return append(cases, originCase{"an action", "ACTIONS/1", nil, auditlog.Unsigned, exitDone, false})
}

func (o *origins) events() []originCase {
	o.t.Helper()
	const large = 40 << 10
	body := func(id string) []string { return []string{"--body", o.path("body-" + id)} }
	identity := []string{"--identity-file", o.path("identity.key")}
	outside := o.event(o.bus, "11", large, nil)
	asksOutside := o.event(o.bus, "12", large, polled)
	hidden, hiddenOutside := o.event(o.veiled, "13", 0, nil), o.event(o.veiled, "14", large, nil)
	other := func(e *job.Event) {
		e.Receipt.Fingerprint, e.Receipt.Signature = config.NewSecret("older").Fingerprint(), sign("older", e.Data)
	}
	return []originCase{
		{"a signed event", o.event(o.bus, "15", 0, nil), nil, auditlog.Signed, exitDone, false},
		{"a signed event, accepted late", o.event(o.bus, "16", 0, func(e *job.Event) { e.Evidence = job.ByReverify }), nil, auditlog.Signed, exitDone, false},
		{"an event that was polled for", o.event(o.bus, "17", 0, polled), nil, auditlog.Unsigned, exitDone, false},
		{"an event of a backfill", o.event(o.bus, "18", 0, func(e *job.Event) { polled(e); e.Evidence = job.ByVendorQueue }), nil, auditlog.Unsigned, exitDone, false},
		{"the receiver's own event", o.event(o.bus, "19", 0, func(e *job.Event) { polled(e); e.Evidence = job.ByUs }), nil, auditlog.Unsigned, exitDone, false},
		{"an empty body, signed", o.event(o.bus, "20", 0, func(e *job.Event) {
			*e = job.Event{Kind: job.Unrecognised, Source: "demo", Time: time.Now(), Evidence: job.ByCallback, Reason: "not_json", Receipt: e.Receipt}
			e.Receipt.Signature = sign(theKey, nil)
		}), nil, auditlog.Signed, exitDone, false},
		{"an event signed with another key", o.event(o.bus, "21", 0, other), nil, auditlog.OtherKey, exitFailed, false},
		{"an event with the key's name and not its signature", o.event(o.bus, "22", 0, func(e *job.Event) { e.Receipt.Signature = sign("guessed", e.Data) }), nil, auditlog.Contradicting, exitFailed, false},
		{"a signed event that names no key", o.event(o.bus, "23", 0, func(e *job.Event) {
			e.Receipt.Key, e.Receipt.Fingerprint, e.Receipt.Signature = "", "", sign("guessed", e.Data)
		}), nil, auditlog.Contradicting, exitFailed, false},
		{"a callback's event without a signature", o.event(o.bus, "24", 0, func(e *job.Event) {
			e.Receipt.Key, e.Receipt.Fingerprint, e.Receipt.Signature = "", "", ""
		}), nil, auditlog.Contradicting, exitFailed, false},
		{"a body outside", outside, nil, auditlog.BodyMissing, exitUnknown, false},
		{"a body outside, given", outside, body("11"), auditlog.Signed, exitDone, false},
		{"a body outside, another given", outside, body("15"), "", exitFailed, false},
		{"a body outside, polled for", asksOutside, nil, auditlog.Unsigned, exitDone, false},
		{"a body outside, polled for and given", asksOutside, body("12"), auditlog.Unsigned, exitDone, false},
		{"an encrypted body", hidden, nil, auditlog.BodyEncrypted, exitUnknown, false},
		{"an encrypted body, decrypted", hidden, identity, auditlog.Signed, exitDone, true},
		{"an encrypted body, given decrypted", hidden, body("13"), auditlog.Signed, exitDone, false},
		{"an encrypted body outside", hiddenOutside, nil, auditlog.BodyMissing, exitUnknown, false},
		{"an encrypted body outside, given decrypted", hiddenOutside, body("14"), auditlog.Signed, exitDone, false},
	}
}

// bundle proves a record and returns the bundle's path.
func (o *origins) bundle(record string, args ...string) string {
	o.t.Helper()
	code, out := o.run(append([]string{"audit", "prove", record}, args...)...)
	text := out[strings.Index(out, "{"):]
	text = text[:strings.LastIndex(text, "}")+1]
	if code != exitDone {
		o.t.Fatalf("audit prove %s = exit %d: %s", record, code, out)
	}
	return o.write(strings.ReplaceAll(record, "/", "-")+".json", []byte(text))
}

// logKey is the verifier key of a record's log.
func (o *origins) logKey(record string) string {
	stream, _, _ := strings.Cut(record, "/")
	for _, key := range o.keys {
		if strings.HasPrefix(key, audit.Origin("receiver", "test", stream)+"+") {
			return key
		}
	}
	o.t.Fatalf("there is no key of the log of %s", record)
	return ""
}

// Each record has one conclusion about its origin, and each conclusion one exit code.
func TestConclusionsAboutTheOrigin(t *testing.T) {
	t.Parallel()
	o := newOrigins(t)
	for _, c := range o.all() {
		args := append([]string{"audit", "check", o.bundle(c.record), "--log-key", o.logKey(c.record), "--signature-key-file", o.path("signature.key")}, c.args...)
		code, out := o.run(args...)
		if code != c.code || c.want != "" && !strings.Contains(out, string(c.want)) {
			t.Errorf("%s: audit check = exit %d, want %d and %q\n%s", c.name, code, c.code, c.want, out)
		}
	}
	for id, data := range map[string]string{"11": "", "14": "age-encryption.org/v1\n"} {
		record := map[string]string{"11": "JOBS/1", "14": "JOBS/4"}[id]
		path := o.bundle(record, "--bodies", o.path("bodies-"+id))
		files, err := os.ReadDir(o.path("bodies-" + id))
		o.must(err)
		if len(files) != 1 {
			t.Fatalf("audit prove %s --bodies wrote %d files, want 1", record, len(files))
		}
		got, err := os.ReadFile(filepath.Join(o.path("bodies-"+id), files[0].Name()))
		o.must(err)
		if files[0].Name() != job.BodySHA256(got) || !strings.HasPrefix(string(got), data) {
			t.Errorf("audit prove %s --bodies wrote %s of %d bytes, want the object under its SHA-256", record, files[0].Name(), len(got))
		}
		for _, given := range []string{o.path("bodies-" + id), filepath.Join(o.path("bodies-"+id), files[0].Name())} {
			args := []string{"audit", "check", path, "--log-key", o.logKey("JOBS/1"), "--signature-key-file", o.path("signature.key"),
				"--identity-file", o.path("identity.key"), "--body", given}
			if code, out := o.run(args...); code != exitDone || !strings.Contains(out, string(auditlog.Signed)) {
				t.Errorf("audit check with --body %s = exit %d: %s", given, code, out)
			}
		}
	}
}

// exchange puts another object in the place of the body of an event.
func (o *origins) exchange(id string) {
	o.t.Helper()
	data, err := os.ReadFile(o.path("body-" + id))
	o.must(err)
	store, err := o.bus.JetStream().ObjectStore(o.t.Context(), conn.PayloadBucket)
	o.must(err)
	all, err := store.List(o.t.Context())
	o.must(err)
	for _, info := range all {
		if strings.HasPrefix(info.Name, job.BodySHA256(data)) {
			_, err := store.PutString(o.t.Context(), info.Name, "another body")
			o.must(err)
			return
		}
	}
	o.t.Fatalf("there is no object with the body of %s", id)
}

// shows checks that audit show gives a body out of an archive that has it, and else gives none.
func (o *origins) shows(name, archive, id string, there bool) {
	o.t.Helper()
	want, err := os.ReadFile(o.path("body-" + id))
	o.must(err)
	code, out := o.run("audit", "show", "JOBS/"+id, "--export", archive, "--raw")
	if got := strings.TrimSuffix(out, "\n"); there != (code == exitDone && got == string(want)) || !there && (code != exitFailed || !strings.Contains(out, "body")) {
		o.t.Errorf("%s: audit show JOBS/%s --raw = exit %d with %d bytes, want the body: %v: %.100s", name, id, code, len(out), there, out)
	}
}

// An archive has the bodies that are too large for a message, and a change of one is found.
func TestAnArchiveHasTheBodiesOutside(t *testing.T) {
	t.Parallel()
	o := newOrigins(t)
	o.event(o.bus, "1", 0, nil)
	o.event(o.bus, "2", 40<<10, nil)
	o.event(o.bus, "3", 40<<10, polled)
	o.seal()
	for i, row := range []struct {
		name      string
		flags     []string
		of        string // whose body is changed
		change    func(file string) error
		faults    []string
		elsewhere int
	}{
		{"as it is", nil, "2", nil, nil, 0},
		{"without bodies", []string{"--bodies=false"}, "2", nil, nil, 1},
		{"a byte changed", nil, "2", func(file string) error { return os.WriteFile(file, []byte("x"), 0o600) }, []string{"JOBS/2: hmac"}, 0},
		{"a body removed", nil, "2", os.Remove, []string{"JOBS/2: hmac"}, 0},
		{"a body that was polled for, cut", nil, "3", func(file string) error { return os.Truncate(file, 9) }, []string{"JOBS/3: hmac"}, 0},
		{"all removed", nil, "2", func(file string) error { return os.RemoveAll(filepath.Dir(file)) }, nil, 1},
	} {
		archive := o.path(fmt.Sprintf("archive-%d", i))
		if code, out := o.run(append([]string{"audit", "export", archive}, row.flags...)...); code != exitDone {
			t.Fatalf("%s: audit export = exit %d: %s", row.name, code, out)
		}
		if row.change != nil {
			large, err := os.ReadFile(o.path("body-" + row.of))
			o.must(err)
			o.must(row.change(filepath.Join(archive, "JOBS", "bodies", job.BodySHA256(large))))
		}
		code, report := auditVerify(t, o.dir, "--export", archive)
		faults := make([]string, 0, len(row.faults))
		for _, f := range report.faults() {
			faults = append(faults, f.Stream+fmt.Sprintf("/%d: ", f.Seq)+string(f.Kind))
		}
		if !slices.Equal(faults, row.faults) && len(faults)+len(row.faults) > 0 || (code == exitDone) != (len(row.faults) == 0) {
			t.Errorf("%s: audit verify = exit %d with %q, want %q: %v", row.name, code, faults, row.faults, report.faults())
		}
		if report.Elsewhere != row.elsewhere {
			t.Errorf("%s: %d signatures wait for a body, want %d", row.name, report.Elsewhere, row.elsewhere)
		}
		o.shows(row.name, archive, row.of, row.change == nil && row.flags == nil)
	}
	// A bundle out of the archive comes with its body.
	bundle := o.bundle("JOBS/2", "--export", o.path("archive-0"), "--bodies", o.path("bodies"))
	args := []string{"audit", "check", bundle, "--log-key", o.logKey("JOBS/2"), "--signature-key-file", o.path("signature.key"), "--body", o.path("bodies")}
	if code, out := o.run(args...); code != exitDone || !strings.Contains(out, "origin of JOBS/2: signed with the given key") {
		t.Errorf("audit check of a bundle from an archive = exit %d: %s", code, out)
	}
	// A body that was exchanged is found, also one that nobody signed.
	o.exchange("3")
	code, report := auditVerify(t, o.dir)
	if f := report.faults(); code != exitFailed || len(f) != 1 || !strings.HasPrefix(f[0].String(), "JOBS/3: hmac: ") {
		t.Errorf("audit verify of an exchanged body = exit %d with %v, want JOBS/3: hmac", code, f)
	}
	if code, out := o.run("audit", "prove", "JOBS/3", "--bodies", o.path("exchanged")); code != exitFailed || !strings.Contains(out, "the body that the record refers to is lost") {
		t.Errorf("audit prove of an exchanged body = exit %d: %s", code, out)
	}
	// A body that is lost is not passed over.
	o.must(natstest.LoseBodies(t.Context(), o.bus))
	if code, out := o.run("audit", "export", o.path("late")); code != exitFailed || !strings.Contains(out, "the body that the record refers to is lost") {
		t.Errorf("audit export of a lost body = exit %d: %s", code, out)
	}
	if code, out := o.run("audit", "prove", "JOBS/2", "--bodies", o.path("lost")); code != exitFailed || !strings.Contains(out, "writing the body of JOBS/2: the body that the record refers to is lost") {
		t.Errorf("audit prove of a lost body = exit %d: %s", code, out)
	}
}
