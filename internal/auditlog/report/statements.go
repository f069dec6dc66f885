package report

import (
	"fmt"
	"strings"
	"time"

	"receiver/internal/words"
)

// dates says what the dates of a report rest on.
func (r Report) dates() []Date {
	all := []Date{
		{"received", "this receiver's", "when the whole callback had arrived. Only this receiver says so; the record that says it is sealed, so that a later change shows."},
		{"stored", "that of the receiver's NATS server", "when the stream had the record. Only this server says so; sealed like the record."},
	}
	for _, b := range r.Bundles {
		if s := b.cosigned(); s != "" {
			all = append(all, Date{"sealed, " + b.Stream, "the witness's", "not later than its cosignature: " + s + "." + r.contradicted(b)})
		}
	}
	if streams := r.alone(); streams != "" {
		all = append(all, Date{"sealed, " + streams, "this receiver's alone",
			"a checkpoint has no time of its own, and no witness that is known here has cosigned it. How old it is, only the receiver's operator says."})
	}
	return append(all,
		Date{"in a body", "the sender's", "the platform's own dates. A right signature shows that a holder of the signature key wrote them."},
		Date{"report made", "of the machine that made it", "when this page was written. It is no part of the evidence."},
	)
}

// cosigned says who cosigned the checkpoint, and when.
func (b Bundle) cosigned() string {
	var all []string
	for _, s := range b.Signatures {
		if s.By == ByWitness {
			all = append(all, s.Name+" at "+moment(*s.Time))
		}
	}
	return strings.Join(all, ", ")
}

// contradicted names a record that was stored after its cosignature, if the clocks are right.
func (r Report) contradicted(b Bundle) string {
	for _, record := range r.Records {
		for _, s := range b.Signatures {
			if record.Stream == b.Stream && s.Time != nil && record.Stored.Sub(*s.Time) > clockError {
				return fmt.Sprintf(" %s says that it was stored later, at %s: the two clocks contradict each other.", record.ID, moment(record.Stored))
			}
		}
	}
	return ""
}

// clockError is how far two clocks may be apart.
const clockError = time.Minute

// notProved says what nothing in a report proves. docs/evidence.md explains each.
func (r Report) notProved() []string {
	elsewhere := "Compare the checkpoint with one that was kept elsewhere."
	if streams := r.alone(); streams != "" {
		elsewhere += " No witness that is known here has cosigned that of " + streams + "."
	}
	all := []string{
		"That the clocks were right. The dates of receipt and of storage are the receiver's own; only a cosignature by a witness adds another clock.",
		"That nothing was withheld or removed before it was sealed. Such a record leaves no trace in this report.",
		"That these are all the records there are. The report has those that it was asked for: " + r.share() + ".",
		"Which of the two holders of a signature key made a body: the platform, or the operator of this receiver. The key is symmetric.",
		"That a body was sent once, and not replayed. The platform signs the body only, with no time and no number; the log shows each repeat that it recorded.",
		"That the address and the HTTP headers of a callback are the sender's own. The signature does not cover them.",
		"That a whole other history was not written. An operator with the log's key, the store and every place that keeps checkpoints can do that. " + elsewhere,
		"That this page is right. It is a copy for reading; the evidence is in the bundles, and the command checks them.",
	}
	count := map[string]int64{}
	for _, record := range r.Records {
		count[record.Check.State]++
		count[record.Content.State]++
	}
	if n := count[NotChecked]; n > 0 {
		all = append(all, fmt.Sprintf("The sender of %s: the signature was not checked, for the reason beside it.", words.Count(n, "record")))
	}
	if n := count[Unsigned]; n > 0 {
		all = append(all, fmt.Sprintf("That what this receiver wrote itself is true: %s, without a signature of the platform.", words.Count(n, "record")))
	}
	if n := count[Outside] + count[NotKept]; n > 0 {
		all = append(all, fmt.Sprintf("The content of %s: the body is not in the bundle, which binds only its SHA-256 and length.", words.Count(n, "record")))
	}
	if n := count[Encrypted]; n > 0 {
		all = append(all, fmt.Sprintf("The content of %s to a reader without an identity: the body is encrypted in the bundle.", words.Count(n, "record")))
	}
	return all
}

// share is how many of the leaves of each log the report has.
func (r Report) share() string {
	var all []string
	for _, b := range r.Bundles {
		all = append(all, fmt.Sprintf("%d of %d sealed in %s", b.Records, b.Size, b.Stream))
	}
	return strings.Join(all, ", ")
}

// alone names the streams whose checkpoint no known witness has cosigned.
func (r Report) alone() string {
	var all []string
	for _, b := range r.Bundles {
		if b.cosigned() == "" {
			all = append(all, b.Stream)
		}
	}
	return strings.Join(all, ", ")
}
