package api

import (
	"fmt"
	"strings"
)

// Problem is an error as every operation answers it, as application/problem+json.
//
// RFC 9457, section 3.
type Problem struct {
	// Type names the kind, as a URN that does not change, and Title says it in words.
	Type  string `json:"type"`
	Title string `json:"title"`
	// Status is the HTTP status of the answer.
	Status int `json:"status"`
	// Detail says what is wrong this time and what to do next.
	Detail string `json:"detail,omitempty"`
	// RequestID is that of X-Request-Id; the listener sets it.
	RequestID string `json:"request_id"`
	// RetryAfter is the value of the header Retry-After, in whole seconds; zero means none.
	RetryAfter int `json:"-"`
}

// Error implements error.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Detail
}

// ProblemKind is a kind of problem. The zero ProblemKind is none.
type ProblemKind struct {
	name, title string
	status      int
}

// The kinds of problem. docs/api.md lists them.
var (
	BadRequest        = ProblemKind{"bad-request", "The request is not understood", 400}
	Unauthorized      = ProblemKind{"unauthorized", "A bearer token is required", 401}
	MissingScope      = ProblemKind{"missing-scope", "The token lacks a scope", 403}
	OtherSite         = ProblemKind{"other-site", "Requests from pages of other sites are refused", 403}
	NoSuchPath        = ProblemKind{"no-such-path", "There is nothing at this path", 404}
	UnknownSource     = ProblemKind{"unknown-source", "No source with this name is configured", 404}
	UnknownJob        = ProblemKind{"unknown-job", "The job is not known", 404}
	UnknownAtPlatform = ProblemKind{"unknown-at-platform", "The platform does not know the name", 404}
	UnknownRecord     = ProblemKind{"unknown-record", "There is no such record", 404}
	UnknownSink       = ProblemKind{"unknown-sink", "No sink with this name is configured", 404}
	UnknownSubmission = ProblemKind{"unknown-submission", "The submission is not known", 404}
	AheadOfStream     = ProblemKind{"ahead-of-stream", "The stream ends before that event", 409}
	NotSealed         = ProblemKind{"not-sealed", "No checkpoint covers the record yet", 409}
	AlreadyEnded      = ProblemKind{"already-ended", "The job has ended", 409}
	Busy              = ProblemKind{"busy", "A request with this key is under way", 409}
	NotQuarantined    = ProblemKind{"not-quarantined", "No callback of the job is quarantined", 409}
	UnsupportedMedia  = ProblemKind{"unsupported-media-type", "The body has another form", 415}
	KeyReused         = ProblemKind{"key-reused", "The key belongs to another request", 422}
	TooLarge          = ProblemKind{"too-large", "The request is too large", 413}
	NotLocal          = ProblemKind{"not-local", "Without tokens only this machine is answered", 421}
	TooManyRequests   = ProblemKind{"too-many-requests", "Too many requests", 429}
	PlatformRefused   = ProblemKind{"platform-refused", "The platform refused the request", 502}
	PlatformFailed    = ProblemKind{"platform-failed", "The platform gave no usable answer", 502}
	Unavailable       = ProblemKind{"unavailable", "The receiver cannot answer now", 503}
	NotConfigured     = ProblemKind{"not-configured", "The receiver is not configured for this", 503}
)

// ProblemKinds are all kinds of problem.
var ProblemKinds = []ProblemKind{
	BadRequest, Unauthorized, MissingScope, OtherSite, NoSuchPath, UnknownSource, UnknownJob, UnknownAtPlatform, UnknownRecord, UnknownSink, UnknownSubmission,
	AheadOfStream, NotSealed, AlreadyEnded, Busy, NotQuarantined, UnsupportedMedia, KeyReused, TooLarge, NotLocal, TooManyRequests, PlatformRefused, PlatformFailed, Unavailable, NotConfigured,
}

// typePrefix begins the type of every kind.
const typePrefix = "urn:receiver:problem:"

// Type returns the URN of the kind.
func (k ProblemKind) Type() string { return typePrefix + k.name }

// Name returns the last part of the type.
func (k ProblemKind) Name() string { return k.name }

// Name returns the last part of the type.
func (p *Problem) Name() string { return strings.TrimPrefix(p.Type, typePrefix) }

// Title returns the kind in words, and Status its HTTP status.
func (k ProblemKind) Title() string { return k.title }

// Status returns the HTTP status of the kind.
func (k ProblemKind) Status() int { return k.status }

// Problem returns a problem of the kind, with a detail that says what to do next.
func (k ProblemKind) Problem(format string, args ...any) *Problem {
	return &Problem{Type: k.Type(), Title: k.title, Status: k.status, Detail: fmt.Sprintf(format, args...)}
}

// Is reports whether an error is a problem of the kind.
func (k ProblemKind) Is(p *Problem) bool { return p != nil && p.Type == k.Type() }
