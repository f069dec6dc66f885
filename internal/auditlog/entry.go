package auditlog

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"receiver/internal/audit"
	"receiver/internal/job"
)

// The verdicts on entries that attempts have no word for.
const (
	// Accepted: a callback told something new, and is an event.
	Accepted = "accepted"
	// Unrecognised: authentic, but no job notification; kept as an event.
	Unrecognised = "unrecognised"
	// Refused: answered 401, or as Status says; Reason says why.
	Refused = "refused"
	// Action: no callback, but a recorded action, such as one of an operator.
	Action = "action"
)

// Entry is one callback as the streams hold it, or one action. Its JSON is what commands
// and the API print. All texts may come from outside.
type Entry struct {
	// ID names the record: its stream and its sequence there.
	ID       string `json:"id"`
	Stream   string `json:"stream"`
	Sequence uint64 `json:"sequence"`
	// Received is when the whole callback had arrived, Stored when the stream had it.
	Received time.Time `json:"received,omitzero"`
	Stored   time.Time `json:"stored"`
	// Source is the configured source; Claimed what an address named instead of one, or method and
	// path of a callback to an unknown address.
	Source  string `json:"source,omitempty"`
	Claimed string `json:"claimed,omitempty"`
	// Verdict is accepted, unrecognised, refused, action, or a verdict on an attempt that
	// was answered 200: duplicate, late, quarantined, unconfirmed.
	Verdict string `json:"verdict"`
	// Reason is why it was refused or not recognised; of an action, the operator's.
	Reason string `json:"reason,omitempty"`
	// Kind, Job and Result are of the event; an attempt that told of an event that was
	// there has its job.
	Kind   string `json:"kind,omitempty"`
	Job    string `json:"job,omitempty"`
	Result string `json:"result,omitempty"`
	// Evidence is how an event is known; callback, or late when an operator let it in.
	Evidence string `json:"evidence,omitempty"`
	// Remote is the address that it came from.
	Remote string `json:"remote,omitempty"`
	// Key and Fingerprint are of the key that made the signature, if it was right.
	Key         string `json:"key,omitempty"`
	Fingerprint string `json:"fingerprint,omitempty"`
	Signature   string `json:"signature,omitempty"`
	// Body is the SHA-256 of the whole body in hexadecimal, and Size its length; -1 where
	// that is not known.
	Body string `json:"body_sha256,omitempty"`
	Size int64  `json:"body_size"`
	// The action and its operator.
	What     string `json:"action,omitempty"`
	Operator string `json:"operator,omitempty"`
	// Details are the facts of an action.
	Details json.RawMessage `json:"details,omitempty"`
}

// emptyBody is the digest of a body of no bytes.
var emptyBody = job.BodySHA256(nil)

// Status returns the HTTP status that the callback was answered with; 0 for an action.
func (e Entry) Status() int {
	switch {
	case e.Verdict == Action:
		return 0
	case e.Verdict != Refused:
		return http.StatusOK
	case e.Reason == job.WrongPath:
		return http.StatusNotFound
	case e.Reason == job.WrongMethod:
		return http.StatusMethodNotAllowed
	case e.Reason == job.Encoded:
		return http.StatusUnsupportedMediaType
	}
	return http.StatusUnauthorized
}

// Read reads a record as an entry, and reports false for one that tells of no callback and
// no action, such as an event that the platform was asked for. Of the data, only actions
// need any.
func Read(r audit.Record) (Entry, bool) {
	e := Entry{
		ID: fmt.Sprintf("%s/%d", r.Stream, r.Seq), Stream: r.Stream, Sequence: r.Seq, Stored: r.Time.UTC(), Size: -1,
	}
	if action, err := job.ParseAction(r.Subject, r.Data); err == nil {
		e.Verdict, e.What, e.Operator, e.Reason = Action, action.What, action.Operator, action.Reason
		e.Received, e.Details, e.Size = action.Time.UTC(), action.Details, 0
		return e, true
	}
	arrival, ok := job.ReadArrival(r.Subject, r.Header)
	claim, err := job.ReadClaim(r.Subject, r.Header)
	if !ok || err != nil {
		return Entry{}, false
	}
	e.Received, e.Source, e.Job = arrival.Received.UTC(), claim.Source, arrival.Job
	e.Key, e.Fingerprint, e.Signature = claim.Key, claim.Fingerprint, claim.Signature
	e.Body, e.Size = claim.Body, claim.Size
	get := job.LookupIn(r.Header)
	e.Remote, e.Claimed = get(job.HeaderRemote), get(job.HeaderClaimed)
	e.judge(r, arrival, claim)
	return e, true
}

func (e *Entry) judge(r audit.Record, arrival job.Arrival, claim job.Claim) {
	switch {
	case claim.Verdict == "":
		_, _, kind, err := job.ParseSubject(r.Subject)
		if err != nil {
			return // ReadClaim has read it
		}
		e.Verdict, e.Kind, e.Result = Accepted, string(kind), job.LookupIn(r.Header)(job.HeaderResult)
		e.Evidence = string(claim.Evidence)
		if kind == job.Unrecognised {
			e.Verdict, e.Reason = Unrecognised, job.LookupIn(r.Header)(job.HeaderReason)
		}
		if e.Size < 0 { // it is in clear
			e.Size = size(r, claim.Body)
		}
	case arrival.Accepted():
		e.Verdict = claim.Verdict
	default:
		e.Verdict, e.Reason = Refused, claim.Verdict
	}
}

// size is how long the body of an event with a digest is: NATS tells where it left the data out.
func size(r audit.Record, digest string) int64 {
	if n, err := strconv.ParseInt(job.LookupIn(r.Header)(job.HeaderLeftOut), 10, 64); err == nil {
		return n
	}
	if len(r.Data) == 0 && digest != emptyBody {
		return -1 // left out, or kept elsewhere
	}
	return int64(len(r.Data))
}
