package job_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"receiver/internal/growth"
	"receiver/internal/job"
)

// answers are answers of the platform that are expensive to search for addresses.
func answers() map[string]growth.Shape {
	numbered := func(before, format, after string) growth.Shape {
		return func(n int) string {
			var b strings.Builder
			b.WriteString(before)
			for i := 0; b.Len() < n; i++ {
				fmt.Fprintf(&b, format, i)
			}
			return b.String() + after
		}
	}
	shapes := growth.Bytes()
	maps.Copy(shapes, map[string]growth.Shape{
		"many addresses":         numbered("[", `{"callback_url":"https://h.example.com/%08d/0123456789abcdef0123"},`, "1]"),
		"many short secrets":     numbered("[", `{"callback_url":"?%d"},`, "1]"),
		"addresses of 16 bytes":  numbered("[", `{"callbackUrl":"h://h/a?a=%09d"},`, "1]"),
		"an address, often":      growth.Around(`[{"callback_url":"https://u:p@h/a?q"}`, `,"to https://u:p@h/a?q"`, `]`),
		"an address of slashes":  growth.Around(`{"callback_url":"`, `/`, `"}`),
		"an address of parts":    growth.Around(`{"callback_url":"`, `/0123456789abcdef`, `"}`),
		"an address of at signs": growth.Around(`{"callback_url":"h://`, `@`, `"}`),
		"address runs through":   growth.Around(`["`, `a`, `",{"callback_url":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab?a"}]`),
		"half is the address": func(n int) string {
			return `["` + strings.Repeat("a", n/2) + `",{"callback_url":"` + strings.Repeat("a", n/2) + `b"}]`
		},
		"tokens of ours":           growth.Repeat("/callbacks/crm/0123456789abcdef0123 "),
		"a token of ours":          growth.Around("/callbacks/crm/", "a", ""),
		"no tokens of ours":        growth.Repeat("/callbacks"),
		"escaped tokens":           growth.Repeat("%2fcallbacks%2Fcrm%2F"),
		"text in quotes":           growth.Around(`{"error":"`, `<a href=\"/callbacks/crm/0123456789abcdef0123\">`, `"}`),
		"JSON in JSON":             growth.Around(`{"metadata":"{\"a\":[`, `\"{\\\"b\\\":1}\",`, `1]}"}`),
		"addresses in JSON":        growth.Around(`{"metadata":"[`, `{\"callback_url\":\"https://h/0123456789abcdef0123\"},`, `1]"}`),
		"a long error":             growth.Around(`{"id":"7","status":"FAILED","error":"`, "x", `"}`),
		"a long error, not ASCII":  growth.Around(`{"id":"7","status":"FAILED","error":"`, "\u00e9", `"}`),
		"many fields":              numbered("{", `"f%d":1,`, `"id":"7","status":"FAILED"}`),
		"many counts":              numbered("{", `"native%d":{"failedRows":1},`, `"id":"7","status":"FAILED"}`),
		"many lists":               growth.Around(`{"id":"7","status":"FAILED","native":[`, `{"status":"FAILED"},`, `1]}`),
		"brackets in brackets":     growth.Around(`{"id":"7","status":"FAILED","a":[`, `[[[[[[[[1]]]]]]]],`, `1]}`),
		"many names of one":        growth.Around(`{"id":"7",`, `"status":"A",`, `"x":1}`),
		"a long number":            growth.Around(`{"id":"7","status":"FAILED","failedRows":`, `1`, `}`),
		"a large exponent":         growth.Around(`{"id":1e`, `9`, `,"status":"FAILED"}`),
		"a payload of white space": growth.Around(`{"id":"7","status":"FAILED","callback-payload":[`, ` `, `1]}`),
	})
	return shapes
}

// The issue's own case: 647 KiB took 81 seconds.
func TestRedactGrowsWithItsInput(t *testing.T) {
	growth.Linear(t, 16<<10, answers(), func(s string) { _, _, _ = job.Redact(context.Background(), []byte(s)) })
}

// An answer in which nothing ends ends with the context.
func TestRedactEndsWithItsContext(t *testing.T) {
	body := []byte(answers()["many addresses"](1 << 20))
	for _, left := range []int{0, 1, 1000, 10_000} {
		ctx := &ending{Context: t.Context(), left: left}
		clean, redacted, err := job.Redact(ctx, body)
		if clean != nil || redacted || !errors.Is(err, context.Canceled) {
			t.Errorf("Redact = %d bytes, %t, %v, want nothing but the error of its context", len(clean), redacted, err)
		}
		if ctx.left < -4 {
			t.Errorf("Redact looked %d times at its context after it was done", -ctx.left)
		}
	}
}

// ending is a context that is done after it was asked so many times.
type ending struct {
	context.Context
	left int
}

func (e *ending) Err() error {
	if e.left--; e.left < 0 {
		return context.Canceled
	}
	return nil
}

// The highest cost of one body, in bytes allocated for each of its own.
func TestMemoryOfABodyIsBounded(t *testing.T) {
	const mib = 1 << 20
	growth.Bounded(t, mib, 1, map[string]growth.Shape{"a long error": func(n int) string { return strings.Repeat("\u00e9", n/2) }}, func(s string) {
		job.Event{Kind: job.Finished, Source: "crm", Job: job.View{ID: "7", Status: "FAILED", Error: s}}.Header()
	})
	growth.Bounded(t, mib, 40, answers(), func(s string) { _, _, _ = job.Redact(context.Background(), []byte(s)) })
	growth.Bounded(t, mib, 48, answers(), func(s string) { event([]byte(s)).Header() })
}

// event is what callback makes of an authentic body, whatever it is.
func event(body []byte) job.Event {
	e := job.Event{Kind: job.Finished, Source: "crm", Data: body, Receipt: &job.Receipt{}}
	var err error
	if e.Job, err = job.Read(body); err != nil {
		e.Kind, e.Reason = job.Unrecognised, err.Error()
	}
	return e
}

func TestABodyGrows(t *testing.T) {
	growth.Linear(t, 16<<10, answers(), func(s string) { event([]byte(s)).Header() })
}

// Subjects, ids and headers may come from any client that can write to the streams.
func TestSubjectsAndHeadersGrow(t *testing.T) {
	growth.Linear(t, 16<<10, growth.Bytes(), func(s string) {
		_, _, _, _ = job.ParseSubject(job.Subject("crm", s, job.Finished))
		_, _, _, _ = job.ParseSubject(s)
		_ = job.ASCIIJSON([]byte(s))
		header := map[string][]string{}
		for _, name := range []string{"receiver-job", "receiver-signature", "receiver-request", "receiver-body-size", "ce-time", "ce-status", "ce-datacontenttype", "ce-evidence"} {
			header[name] = []string{s}
		}
		header["receiver-received"] = []string{"2026-11-23T12:30:00Z"}
		_, _ = job.ReadBrief("jobs.crm.7.finished", job.LookupIn(header))
		_, _ = job.ReadClaim("attempts.crm.mismatch", header)
		_, _ = job.ParseAttempt("attempts.crm.mismatch", header, nil)
		_, _ = job.ParseEvent("jobs.crm.7.finished", header, []byte(s))
		_ = job.Attempt{Source: "crm", Claimed: s, Receipt: job.Receipt{Signature: s, Request: s, Remote: s}}.Header().Map()
	})
}
