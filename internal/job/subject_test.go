package job_test

import (
	"strings"
	"testing"

	"receiver/internal/job"
)

func TestSubject(t *testing.T) {
	for _, tt := range []struct {
		name, id string
		kind     job.Kind
		want     string
	}{
		{"a number", "42114492", job.Finished, "jobs.demo.42114492.finished"},
		{"letters, digits, dash and underscore", "azAZ09_-", job.Submitted, "jobs.demo.azAZ09_-.submitted"},
		{"a dot", "1.2", job.Progress, "jobs.demo.~MS4y.progress"},
		{"the wildcards", "*", job.Overdue, "jobs.demo.~Kg.overdue"},
		{"the tail wildcard", ">", job.Conflict, "jobs.demo.~Pg.conflict"},
		{"a space", "1 2", job.Errors, "jobs.demo.~MSAy.errors"},
		{"the mark of an encoded id", "~Kg", job.Finished, "jobs.demo.~fktn.finished"},
		{"beyond ASCII", "é", job.Finished, "jobs.demo.~w6k.finished"},
		{"what encodes to dash and underscore", "\u03fb\u03ff?", job.Finished, "jobs.demo.~z7vPvz8.finished"},
		{"unrecognised, of no job but a body", job.BodySHA256(nil), job.Unrecognised, "jobs.demo." + job.BodySHA256(nil) + ".unrecognised"},
		{"unrecognised, as earlier versions stored it", "", job.Unrecognised, "jobs.demo.unrecognised"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := job.Subject("demo", tt.id, tt.kind)
			if got != tt.want {
				t.Fatalf("Subject(demo, %q, %s) = %s, want %s", tt.id, tt.kind, got, tt.want)
			}
			source, id, kind, err := job.ParseSubject(got)
			if err != nil || source != "demo" || id != tt.id || kind != tt.kind {
				t.Errorf("ParseSubject(%s) = %s, %q, %s, %v, want demo, %q, %s", got, source, id, kind, err, tt.id, tt.kind)
			}
		})
	}
}

// Only what Subject makes is parsed, so that no two subjects are one job.
func TestParseSubjectRefuses(t *testing.T) {
	for _, tt := range []struct{ name, subject string }{
		{"nothing", ""},
		{"another stream", "attempts.demo.mismatch"},
		{"too short", "jobs.demo"},
		{"too long", "jobs.demo.1.2.finished"},
		{"no job", "jobs.demo.finished"},
		{"an empty job", "jobs.demo..finished"},
		{"a job where there is none", "jobs.demo.1.unrecognised"},
		{"a digest cut short", "jobs.demo." + job.BodySHA256(nil)[1:] + ".unrecognised"},
		{"a digest in capitals", "jobs.demo." + strings.ToUpper(job.BodySHA256(nil)) + ".unrecognised"},
		{"a digest after the kind", "jobs.demo.unrecognised." + job.BodySHA256(nil)},
		{"a kind we do not have", "jobs.demo.1.exploded"},
		{"a kind in capitals", "jobs.demo.1.FINISHED"},
		{"no source", "jobs..1.finished"},
		{"a source in capitals", "jobs.Demo.1.finished"},
		{"wildcards", "jobs.*.*.finished"},
		{"a raw id that needs encoding", "jobs.demo.é.finished"},
		{"an encoded id that needs none", "jobs.demo.~MQ.finished"},
		{"padding", "jobs.demo.~Kg==.finished"},
		{"trailing bits", "jobs.demo.~Kh.finished"},
		{"a line break in the encoding", "jobs.demo.~K\ng.finished"},
		{"the other alphabet", "jobs.demo.~w6k+.finished"},
	} {
		if source, id, kind, err := job.ParseSubject(tt.subject); err == nil {
			t.Errorf("%s: ParseSubject(%q) = %s, %q, %s, want an error", tt.name, tt.subject, source, id, kind)
		}
	}
}

func TestValidSource(t *testing.T) {
	for _, tt := range []struct {
		name string
		want bool
	}{
		{"demo", true},
		{"eu10-prod-2", true},
		{strings.Repeat("a", 32), true},
		{strings.Repeat("a", 33), false},
		{"", false},
		{job.NoSource, false},
		{"Demo", false},
		{"a.b", false},
		{"a b", false},
		{"a*", false},
		{"é", false},
		{"demo\n", false},
	} {
		if got := job.ValidSource(tt.name); got != tt.want {
			t.Errorf("ValidSource(%q) = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// FuzzSubject shows that an id can only ever be one token, and only its own.
func FuzzSubject(f *testing.F) {
	for _, id := range []string{"42114492", "a.b", "*", ">", " ", "~", "~Kg", "", "é", "\xff", "1\r\n2"} {
		f.Add(id, "1")
		f.Add(id, job.Subject("demo", job.BodySHA256([]byte(id)), job.Unrecognised))
	}
	f.Fuzz(func(t *testing.T, id, other string) {
		if len(id) > job.MaxID { // which is none
			t.Skip()
		}
		subject := job.Subject("demo", id, job.Finished)
		if strings.Count(subject, ".") != 3 || !isPrintable(subject) || strings.ContainsAny(subject, " *>") {
			t.Fatalf("Subject of %q = %q, want four plain tokens", id, subject)
		}
		source, got, kind, err := job.ParseSubject(subject)
		if err != nil || source != "demo" || got != id || kind != job.Finished {
			t.Fatalf("ParseSubject(%q) = %s, %q, %s, %v, want demo, %q, finished", subject, source, got, kind, err, id)
		}
		if id != other && job.Token(id) == job.Token(other) {
			t.Fatalf("Token(%q) = Token(%q) = %q", id, other, job.Token(id))
		}
		if source, id, kind, err := job.ParseSubject(other); err == nil && job.Subject(source, id, kind) != other {
			t.Fatalf("ParseSubject accepts %q, which is not %q", other, job.Subject(source, id, kind))
		}
	})
}

// A request may name an id of any length, a subject may not.
func TestIDsThatAreTooLong(t *testing.T) {
	longest, longer := strings.Repeat("é", job.MaxID/2), strings.Repeat("x", job.MaxID+1)
	for _, id := range []string{longest, longer, longer + "y", strings.Repeat("x", 1<<20)} {
		subject := job.Subject("demo", id, job.Finished)
		_, got, _, err := job.ParseSubject(subject)
		if known := err == nil && got == id; known != (id == longest) || len(subject) > 400 || job.Token(id) == job.Token(longer+"z") {
			t.Errorf("an id of %d bytes has the subject %.500q, which is read as %.300q, %v", len(id), subject, got, err)
		}
	}
}

// isPrintable reports whether s is of printable ASCII only, as a NATS header must be.
func isPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// A pattern matches the subjects that Subject makes.
func TestPatterns(t *testing.T) {
	for got, want := range map[string]string{
		job.Pattern("", "", ""):                "jobs.*.*.*",
		job.Pattern("", "", job.Submitted):     "jobs.*.*.submitted",
		job.Pattern("crm", "", job.Finished):   "jobs.crm.*.finished",
		job.Pattern("crm", "7", ""):            "jobs.crm.7.*",
		job.Pattern("crm", "7", job.Finished):  job.Subject("crm", "7", job.Finished),
		job.Pattern("crm", "a.b", job.Overdue): job.Subject("crm", "a.b", job.Overdue),
		job.AttemptPattern(job.Late):           "attempts.*.late",
		job.CheckpointSubject("log", "JOBS"):   "checkpoints.log.JOBS",
		job.AllCheckpoints:                     "checkpoints.>",
	} {
		if got != want {
			t.Errorf("pattern %q, want %q", got, want)
		}
	}
}
