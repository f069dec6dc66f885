// Package callback decides on one callback: verify, read, publish, outcome. This file has the
// decision, in order, except for two steps: job.PublishResolvingConflict stores a second, different
// outcome as a conflict, and the Store of a running receiver stores a watch before an event that
// leaves something to poll for.
//
// It speaks no HTTP and no NATS; it declares the interface to the store that it needs. Its
// durability contract is one sentence: when Accept returns no error, the contents of the callback
// are stored and acknowledged. It trusts nothing that is not signed, and refuses nothing that is.
package callback

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"receiver/internal/job"
	"receiver/internal/tracing"
	"receiver/internal/verify"
)

// The errors of Accept.
var (
	// ErrUnauthorized: nothing proves that the platform sent this. The answer is 401
	// and says no more; Outcome.Reason is for the log. The attempt is recorded.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrUnavailable: authentic, but the store did not acknowledge it. The answer is
	// 503, so that the platform calls again.
	ErrUnavailable = errors.New("the store is not available")
)

// Store keeps events and attempts. A receiver uses service.Ledger: publish.Store, with the
// watcher's Publish.
type Store interface {
	// Publish stores the event, acknowledged, or returns with Existed the one that
	// was there already.
	Publish(ctx context.Context, e job.Event) (job.Stored, error)
	// Record stores an attempt, acknowledged.
	Record(ctx context.Context, a job.Attempt) error
	// Offer takes a refused attempt to be stored later, or drops it. It never waits, and
	// has the attempt made only if there is room for it.
	Offer(make func() job.Attempt) bool
}

// Keeper has the body of a callback.
type Keeper interface {
	// Keep returns a body that stays valid without a limit of time, and invalidates Request.Body.
	// It may wait until others are stored; its error is that of ctx.
	Keep(ctx context.Context) ([]byte, error)
}

// Request is one callback as received.
type Request struct {
	// Source is the source that the address names, as it came.
	Source string
	// Token is what follows the source in the address; empty if nothing does.
	Token string
	// Username and Password are the request's Basic credentials; empty if it has none.
	Username, Password string
	// Signatures are the values of the signature header.
	Signatures []string
	// Body is the raw body, whole. Accept does not keep it after it returns, but for a copy
	// of a refused one of at most Options.AttemptBody bytes, and what Keeper returns.
	Body []byte
	// Accept calls Keeper once the callback is authentic, before anything is stored; nil means that
	// Body may be kept.
	Keeper Keeper
	// ContentType is the media type that the request claims.
	ContentType string
	// Remote and Received are recorded; see job.Receipt.
	Remote   string
	Received time.Time
	// Headers tells what is recorded as job.Receipt.Request; nil leaves it empty. It is
	// asked before Accept returns, if anything is recorded.
	Headers fmt.Stringer
}

// The words for what became of an authentic callback.
const (
	// Accepted: it told something new, which is now an event.
	Accepted = "accepted"
	// Duplicate: its event was there already.
	Duplicate = "duplicate"
	// Unrecognised: it is no job notification; kept as such.
	Unrecognised = "unrecognised"
	// Late: as Duplicate, but we had asked the platform before it called.
	Late = job.Late
	// Quarantined: about a job that was not submitted here; an attempt, until released.
	Quarantined = job.Quarantined
	// Unconfirmed: the platform, asked again, did not say the same; an attempt.
	Unconfirmed = job.Unconfirmed
)

// Outcome is what became of one callback.
type Outcome struct {
	// Kind is one of the words above; empty unless authentic and stored.
	Kind string
	// Reason is why it was refused: a reason of verify or of this package, or
	// job.UnknownSource.
	Reason string
	// Key made the signature; nil unless authentic.
	Key *verify.Key
	// Outside is true when Key made the signature before or after it was expected to be in use. It
	// still verifies, because the platform signs no time.
	Outside bool
	// Event is the event that holds what the callback told, new or not. It has no sequence, and is
	// not stored, if the callback was stored as an attempt.
	Event job.Stored
	// Dropped is true when a refused attempt could not be queued to be recorded.
	Dropped bool
}

// Options says how callbacks are judged.
type Options struct {
	Sources []Source
	Store   Store
	// AttemptBody is the largest body, in bytes, of a refused callback that is kept;
	// of larger ones only size and digest are. Zero keeps none. A larger body of a repeat is
	// kept once.
	AttemptBody int
}

// Receiver judges callbacks. It is safe for concurrent use.
type Receiver struct {
	store       Store
	attemptBody int
	sources     atomic.Pointer[map[string]*Source]
	decoy       atomic.Pointer[verify.Verifier]
	decoyKey    *verify.Key
	repeats     *repeats
}

// New returns a receiver of callbacks from the given sources.
func New(o Options) (*Receiver, error) {
	key, err := verify.NewKey("decoy", []byte(rand.Text()), verify.Window{})
	if err != nil {
		return nil, fmt.Errorf("making the decoy key: %w", err)
	}
	r := &Receiver{store: o.Store, attemptBody: o.AttemptBody, decoyKey: key, repeats: newRepeats(o.Store, o.AttemptBody)}
	r.SetSources(o.Sources)
	return r, nil
}

// SetSources replaces all sources at once; requests under way go on with the old.
func (r *Receiver) SetSources(sources []Source) {
	// The work for a large body takes long enough to be measured from outside. So every request
	// takes as many HMACs as the source with the most keys, and the time does not reveal which
	// sources exist.
	most := 1
	for _, s := range sources {
		most = max(most, len(s.Verifier.Keys()))
	}
	m := make(map[string]*Source, len(sources))
	for _, s := range sources {
		s.pad = r.decoys(most - len(s.Verifier.Keys()))
		m[s.Name] = &s
	}
	r.decoy.Store(r.decoys(most))
	r.sources.Store(&m)
}

// decoys returns a verifier that does the work of n keys and accepts nothing; nil for none.
func (r *Receiver) decoys(n int) *verify.Verifier {
	v, err := verify.New(slices.Repeat([]*verify.Key{r.decoyKey}, n)...)
	if err != nil {
		return nil
	}
	return v
}

// Accept decides on one callback. Its error is ErrUnauthorized or ErrUnavailable, or
// nil when what the callback told is stored. Ctx bounds the storing. It must not end with
// the request: what is authentic must be stored even if the platform has hung up.
func (r *Receiver) Accept(ctx context.Context, q Request) (Outcome, error) {
	_, span := tracing.Child(ctx, "verify")
	source, verdict := r.verify(q)
	span.Text("receiver.reason", string(verdict.Reason))
	span.End(nil)
	switch {
	case source == nil:
		return r.refuse(q, job.NoSource, job.UnknownSource, nil)
	case !verdict.Accepted():
		return r.refuse(q, source.Name, string(verdict.Reason), nil)
	}
	grant, reason := source.admit(q)
	if reason != "" {
		return r.refuse(q, source.Name, reason, verdict.Key)
	}
	out := Outcome{Key: verdict.Key, Outside: !verdict.Key.InWindow(q.Received)}
	if q.Keeper != nil {
		body, err := q.Keeper.Keep(ctx)
		if err != nil {
			return out, fmt.Errorf("%w: waiting for large bodies before it: %w", ErrUnavailable, err)
		}
		q.Body = body
	}
	e := event(q, source, verdict.Key)
	if ours, err := source.owns(ctx, grant, e); err != nil {
		return out, fmt.Errorf("%w: %w", ErrUnavailable, err)
	} else if !ours {
		return r.refuse(q, source.Name, MismatchToken, verdict.Key)
	}
	aside, err := source.examine(ctx, &e)
	switch {
	case err != nil:
		return out, fmt.Errorf("%w: %w", ErrUnavailable, err)
	case aside != "":
		out.Event.Event = e
		return r.record(ctx, q, out, e, aside)
	}
	return r.keep(ctx, q, out, e)
}

// keep makes an event of what an authentic callback told, if it told something new.
func (r *Receiver) keep(ctx context.Context, q Request, out Outcome, e job.Event) (Outcome, error) {
	stored, err := job.PublishResolvingConflict(ctx, r.store.Publish, e)
	if err != nil {
		return out, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	out.Event = stored
	switch {
	case stored.Existed && (stored.Evidence == job.ByPoll || stored.Evidence == job.ByVendorQueue):
		return r.record(ctx, q, out, e, Late)
	case stored.Existed:
		return r.record(ctx, q, out, e, Duplicate)
	case e.Kind == job.Unrecognised:
		out.Kind = Unrecognised
	default:
		out.Kind = Accepted
	}
	return out, nil
}

// record keeps an authentic callback, read as e, as an attempt; a body over the bound for
// refused ones only if no event has the same.
func (r *Receiver) record(ctx context.Context, q Request, out Outcome, e job.Event, kind string) (Outcome, error) {
	there := ""
	if out.Event.Existed {
		there = out.Event.ID()
	}
	a := attempt(q, e.Source, kind, e.Receipt, there)
	if len(q.Body) > r.attemptBody && out.Event.Existed && a.SHA256 == out.Event.Digest() {
		a.Body = nil
	}
	if err := r.repeats.record(ctx, a); err != nil {
		return out, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	out.Kind = kind
	return out, nil
}

func (r *Receiver) verify(q Request) (*Source, verify.Verdict) {
	source, ok := (*r.sources.Load())[q.Source]
	if !ok {
		return nil, verify.Verdict{Reason: r.decoy.Load().Verify(q.Signatures, q.Body).Reason}
	}
	if source.pad != nil {
		source.pad.Verify(q.Signatures, q.Body)
	}
	return source, source.Verifier.Verify(q.Signatures, q.Body)
}

// Refuse records a callback whose signature is not looked at, for the reason job.Encoded, or
// job.WrongPath or job.WrongMethod: then what q names for its source is recorded as claimed.
func (r *Receiver) Refuse(q Request, reason string) Outcome {
	source := job.NoSource
	if r.Knows(q.Source) {
		source = q.Source
	}
	out, _ := r.refuse(q, source, reason, nil)
	return out
}

// refuse records why, and the key of a signature that was right: it is in use.
func (r *Receiver) refuse(q Request, source, reason string, k *verify.Key) (Outcome, error) {
	taken := r.store.Offer(func() job.Attempt {
		a := attempt(q, source, reason, receipt(q, k), "")
		if source == job.NoSource {
			a.Claimed = q.Source[:min(len(q.Source), job.MaxText)]
		}
		if len(q.Body) > r.attemptBody {
			a.Body = nil
		} else {
			a.Body = append([]byte(nil), q.Body...) // it outlives the request
		}
		return a
	})
	return Outcome{Reason: reason, Dropped: !taken}, ErrUnauthorized
}

// event reads an authentic callback. Every authentic callback has an event.
func event(q Request, s *Source, k *verify.Key) job.Event {
	e := job.Event{
		Source: s.Name, Time: q.Received, Evidence: job.ByCallback, Receipt: receipt(q, k), Data: q.Body,
	}
	view, err := job.Read(q.Body)
	switch {
	case err != nil:
		e.Kind, e.Reason, e.ContentType = job.Unrecognised, err.Error(), q.ContentType
		if e.ContentType == "" {
			e.ContentType = "application/octet-stream"
		}
	case view.Over():
		e.Kind, e.Job = job.Finished, view
	default:
		e.Kind, e.Job = job.Progress, view
	}
	return e
}

func receipt(q Request, k *verify.Key) *job.Receipt {
	r := &job.Receipt{
		Signature: strings.Join(q.Signatures, ","), Remote: q.Remote, Received: q.Received,
	}
	if q.Headers != nil {
		r.Request = q.Headers.String()
	}
	if k != nil {
		r.Key, r.Fingerprint = k.Name(), k.Fingerprint()
	}
	return r
}

func attempt(q Request, source, verdict string, r *job.Receipt, event string) job.Attempt {
	return job.Attempt{
		Source: source, Verdict: verdict, Receipt: *r, Event: event,
		Body: q.Body, Size: int64(len(q.Body)), SHA256: job.BodySHA256(q.Body),
	}
}
