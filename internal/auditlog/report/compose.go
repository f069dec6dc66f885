package report

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"receiver/internal/audit"
	"receiver/internal/audit/bundle"
	"receiver/internal/auditlog"
	"receiver/internal/job"
	"receiver/internal/verify"
)

// Options are what a report is made with. Keys and Body must be set.
type Options struct {
	Made    time.Time
	Program string
	Asked   []Fact
	// Unsealed are records that were selected and are not among those proved.
	Unsealed []string
	// Keys are those that checkpoints are verified with. KeyTexts are the same as C2SP verifier
	// keys, of logs and of witnesses, so that the report can print them.
	Keys     audit.Keys
	KeyTexts []string
	// Sources are the signature keys of each source.
	Sources map[string]*verify.Verifier
	// Every is not nil if the bodies of all sources are checked with these keys.
	Every *verify.Verifier
	// Body returns the whole body of a record, as for auditlog.NewChecker.
	Body func(audit.Record) ([]byte, error)
}

// Compose makes a report of the bundles of several streams. It verifies all that it reports: the
// bytes of each bundle by audit.Bundle.Check, the path of each record by an implementation of its
// own, and each signature with the configured keys. A contradiction is an error.
func Compose(proved []audit.Bundle, o Options) (Report, error) {
	r := Report{
		Format: format, Made: o.Made.UTC(), Program: o.Program, Asked: o.Asked, Unsealed: append([]string{}, o.Unsealed...),
		Jobs: []Job{}, Records: []Record{}, Bundles: []Bundle{},
	}
	for _, b := range proved {
		if err := r.add(b, o); err != nil {
			return Report{}, err
		}
	}
	slices.SortStableFunc(r.Records, func(a, b Record) int { return a.Stored.Compare(b.Stored) })
	r.Jobs = jobs(r.Records)
	r.Dates, r.NotProved = r.dates(), r.notProved()
	return r, nil
}

// add verifies a bundle and adds it with its records.
func (r *Report) add(b audit.Bundle, o Options) error {
	data, err := bundle.Encode(b)
	if err != nil {
		return err
	}
	if b, err = bundle.Parse(data); err != nil { // from here on it is what a reader gets
		return err
	}
	var checks []Check
	checked, err := b.Check(o.Keys, func(record audit.Record) error {
		c, err := o.check(record, auditlog.ReadAny(record))
		checks = append(checks, c)
		return err
	})
	if err != nil {
		return err
	}
	for i, e := range b.Entries {
		record, err := o.record(e, checked.Checkpoint, b.First)
		if err != nil {
			return err
		}
		record.Check = checks[i]
		r.Records = append(r.Records, record)
	}
	r.Bundles = append(r.Bundles, o.bundle(b, checked.Checkpoint, data))
	return nil
}

// record is what the report says of one record.
func (o Options) record(e audit.Entry, cp audit.Checkpoint, first uint64) (Record, error) {
	leaf, err := e.LeafHash()
	if err != nil {
		return Record{}, err
	}
	entry, index := auditlog.ReadAny(e.Record), int64(e.Seq-first)
	steps, err := path(e.Proof, cp.Tree, index, leaf)
	if err != nil {
		return Record{}, fmt.Errorf("%s: %w", entry.ID, err)
	}
	r := Record{
		Entry: entry, Subject: e.Subject, Content: o.content(e.Record, entry), Headers: e.Header,
		Index: index, Leaf: leaf.String(), Path: steps,
	}
	if !entry.Received.IsZero() {
		r.Received = &r.Entry.Received
	}
	if entry.Verdict != auditlog.Event {
		r.Answer = entry.Status()
	}
	return r, nil
}

// bundle describes a bundle and its checkpoint.
func (o Options) bundle(b audit.Bundle, cp audit.Checkpoint, data []byte) Bundle {
	sum := sha256.Sum256(data)
	s := Bundle{
		Stream: b.Entries[0].Stream, Origin: cp.Origin, Size: cp.Tree.N, Root: cp.Tree.Hash.String(), Records: len(b.Entries),
		Checkpoint: string(cp.Note), WitnessKeys: []string{}, SHA256: hex.EncodeToString(sum[:]), Data: data,
	}
	s.File = s.Stream + ".bundle.json"
	_, lines, _ := strings.Cut(s.Checkpoint, "\n\n")
	for line := range strings.Lines(lines) {
		s.sign(line, cp, o)
	}
	s.Command = "receiver audit check " + s.File + " --log-key '" + s.LogKey + "'"
	for _, key := range s.WitnessKeys {
		s.Command += " --witness-key '" + key + "'"
	}
	return s
}

// sign adds a line of the checkpoint, which was verified with all keys.
func (s *Bundle) sign(line string, cp audit.Checkpoint, o Options) {
	name, signed, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "— ")), " ")
	id := keyID(signed)
	l := Signature{Name: name, KeyID: fmt.Sprintf("%08x", id), By: ByUnknown}
	is := func(v note.Verifier) bool { return v.Name() == name && v.KeyHash() == id }
	switch {
	case name == cp.Origin && slices.ContainsFunc(o.Keys.Log, is):
		l.By, s.LogKey = ByLog, cmp.Or(s.LogKey, o.text(name, l.KeyID))
	case slices.ContainsFunc(o.Keys.Witnesses, is):
		one := audit.Keys{Log: o.Keys.Log, Witnesses: slices.DeleteFunc(slices.Clone(o.Keys.Witnesses), func(v note.Verifier) bool { return !is(v) })}
		if alone, err := audit.OpenCheckpoint(cp.Note, one); err == nil && len(alone.Cosignatures) == 1 {
			l.By, l.Time = ByWitness, &alone.Cosignatures[0].Time
			s.WitnessKeys = append(s.WitnessKeys, o.text(name, l.KeyID))
		}
	}
	s.Signatures = append(s.Signatures, l)
}

// text returns the verifier key of a name and a key ID. C2SP: signed-note, "Verifier keys".
func (o Options) text(name, id string) string {
	for _, text := range o.KeyTexts {
		if strings.HasPrefix(text, name+"+"+id+"+") {
			return text
		}
	}
	return ""
}

// keyID reads the key ID that begins a signature. C2SP: signed-note.
func keyID(signature string) uint32 {
	raw, err := base64.StdEncoding.DecodeString(signature)
	if err != nil || len(raw) < 4 {
		return 0 // of a checkpoint that was verified, every line has one
	}
	return binary.BigEndian.Uint32(raw)
}

// jobs is how the jobs of records have ended, in the order in which they come up.
func jobs(records []Record) []Job {
	all, place := []Job{}, map[[2]string]int{}
	for _, r := range records {
		if r.Job == "" {
			continue
		}
		k := [2]string{r.Source, r.Job}
		i, known := place[k]
		if !known {
			i, place[k] = len(all), len(all)
			all = append(all, Job{Source: r.Source, ID: r.Job, Conflicts: []string{}})
		}
		all[i].learn(r)
	}
	return all
}

// learn takes what a record says of the job.
func (j *Job) learn(r Record) {
	b, err := job.ReadBrief(r.Subject, job.LookupIn(r.Headers))
	if err != nil {
		return // an attempt
	}
	j.Object = cmp.Or(j.Object, b.Object)
	switch b.Kind {
	case job.Conflict:
		j.Conflicts = append(j.Conflicts, r.ID)
		return
	case job.Finished, job.Lost:
	default:
		return
	}
	j.Result, j.Status, j.Record, j.Evidence = cmp.Or(string(b.Result), string(b.Kind)), b.Status, r.ID, string(b.Evidence)
	if b.Records >= 0 {
		j.Rows = &b.Records
	}
	if b.Failed >= 0 {
		j.Failed = &b.Failed
	}
}
