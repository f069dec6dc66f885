package web

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"receiver/internal/callback"
	"receiver/internal/job"
	"receiver/internal/metrics"
	"receiver/internal/tracing"
	"receiver/internal/verify"
)

// Public has the options of the public listener.
type Public struct {
	// Receiver decides on callbacks.
	Receiver *callback.Receiver
	// BodyLimit is the largest body in bytes; a larger one is answered 413.
	BodyLimit int64
	// BodiesLimit is how many bytes the bodies under way may take together, a quarter more for
	// those up to 64 KiB, those up to 8 KiB left out; one that finds no room is answered 503.
	// Zero means that they are not bounded.
	BodiesLimit int64
	// Timeout bounds the storing of one callback; up to a tenth of it may be missing. Zero
	// leaves that to the store.
	Timeout time.Duration
	// Prefix is what a proxy leaves in front of the paths, such as /hooks; without it they are
	// served all the same. Empty means none.
	Prefix string
	// TrustedProxies may name the client for which they forward.
	TrustedProxies []netip.Prefix
	// TrustUnix treats callers through a Unix socket as TrustedProxies.
	TrustUnix bool
	// Metrics counts what happens; it must be set.
	Metrics *metrics.Metrics
	// Retries counts the retries that the platform has left; nil counts none.
	Retries *callback.RetryState
	// Log gets one line for each callback, but for those that Limit holds back: accepted ones
	// are always logged.
	Log zerolog.Logger
	// Limit keeps the lines that strangers and outages cause to a rate; nil writes all.
	Limit LogLimit
	// Tracer traces callbacks; nil traces none.
	Tracer *tracing.Tracer

	deadlines *deadlines
	budget    *budget
	proved    func()
	news      *calls // authentic callbacks that were no repeats
	pace      *pace  // of answers to what proved nothing
}

// LogLimit decides whether one more line of a kind is written now, or counted instead. As a
// hook it does so for whatever is logged.
type LogLimit interface {
	zerolog.Hook
	Allow(level zerolog.Level, message, source, reason string) bool
}

// retryAfter is what a 503 asks for, in seconds. The platform's own spacing is
// longer from its first retry on; other senders take the hint.
//
// OC: section 6.4.
const retryAfter = "5"

// NewPublic returns the handler of the public listener: POST /callbacks/{source}, the same with
// /{token}, and GET /healthz, with the prefix or without, and with or without a slash at the end.
func NewPublic(p Public) http.Handler {
	p.deadlines, p.budget = &deadlines{after: p.Timeout}, newBudget(cmp.Or(p.BodiesLimit, math.MaxInt64), p.BodyLimit)
	calls := newCalls()
	p.news = newCalls()
	p.proved, p.pace = calls.proved, &pace{calls: calls, most: paceMost}
	// A health check must not wait behind a flood of refusals.
	health := &pace{calls: calls, most: healthMost}
	log := p.Log
	if p.Limit != nil {
		log = log.Hook(p.Limit)
	}
	e := newEcho(p.TrustedProxies, p.TrustUnix, log)
	refuse := e.HTTPErrorHandler
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		if errors.Is(err, echo.ErrNotFound) {
			err = p.wrongPath(c)
		}
		if err != nil {
			p.pace.wait(0)
			refuse(err, c)
		}
	}
	p.only(e, http.MethodPost, http.MethodPost, "/callbacks/:source", p.traced(p.callback))
	p.only(e, http.MethodPost, http.MethodPost, "/callbacks/:source/:token", p.traced(p.callback))
	// Else Echo takes whatever follows, slashes and all, for the token.
	e.RouteNotFound("/callbacks/:source/:token/*", echo.NotFoundHandler)
	p.only(e, http.MethodGet, "GET, HEAD", "/healthz", func(c echo.Context) error {
		health.wait(0)
		return c.JSON(http.StatusOK, message{"ok"})
	})
	return entrance(p.Prefix, e)
}

// only serves a path by one method. Left to itself, Echo answers OPTIONS 204, and a
// 2xx is what the platform takes for received.
func (p Public) only(e *echo.Echo, method, allow, path string, h echo.HandlerFunc) {
	e.Add(method, path, h)
	e.RouteNotFound(path, func(c echo.Context) error {
		c.Response().Header().Set(echo.HeaderAllow, allow)
		return p.wrongMethod(c)
	})
}

// answer returns the body of a 200. Nothing in it has to be escaped: outcomes are our own
// words, subjects are printable ASCII without quotes.
func answer(outcome, subject string, sequence uint64) []byte {
	b := make([]byte, 0, 64+len(outcome)+len(subject))
	b = append(append(b, `{"outcome":"`...), outcome...)
	b = append(append(b, `","subject":"`...), subject...)
	b = strconv.AppendUint(append(b, `","sequence":`...), sequence, 10)
	return append(b, "}\n"...)
}

// unauthorized is the one body of every 401: the reason is not disclosed.
var unauthorized = []byte(`{"message":"unauthorized"}` + "\n")

func (p Public) callback(c echo.Context) error {
	start := time.Now()
	r := c.Request()
	if !plausible(c.Param("source")) {
		return echo.ErrNotFound
	}
	body, err := p.budget.read(c.Response(), r, p.BodyLimit)
	defer body.free()
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		hangUp(c)
		return p.reject(c, http.StatusRequestEntityTooLarge, "the body is larger than the limit")
	}
	if errors.Is(err, errNoRoom) {
		hangUp(c)
		c.Response().Header().Set(echo.HeaderRetryAfter, retryAfter)
		return p.reject(c, http.StatusServiceUnavailable, "too many large bodies at once; please call again")
	}
	if err != nil {
		return p.reject(c, http.StatusBadRequest, "the body did not arrive completely")
	}
	if encoded(r) {
		q := callback.Request{Source: c.Param("source"), Body: body.bytes, Headers: headersOf(r, c.Param("token"))}
		p.unjudged(c, start, q, q.Source, job.Encoded, http.StatusUnsupportedMediaType)
		p.giveWay(body)
		return c.JSON(http.StatusUnsupportedMediaType, message{"send the body without Content-Encoding"})
	}
	body.proved = p.proved
	now := time.Now()
	received := now.UTC()
	username, password, _ := r.BasicAuth()
	remote := c.RealIP()
	// An authentic callback is stored even if the caller hangs up.
	out, err := p.Receiver.Accept(tracing.Carry(p.deadlines.context(now), r.Context()), callback.Request{
		Source: c.Param("source"), Token: c.Param("token"), Username: username, Password: password,
		Signatures: r.Header.Values(verify.Header), Body: body.bytes, Keeper: body, ContentType: r.Header.Get(echo.HeaderContentType),
		Remote: remote, Received: received, Headers: headersOf(r, c.Param("token")),
	})
	took := time.Since(start)
	p.Metrics.Callback(c.Param("source"), out, err, took)
	p.noteJudged(c.Param("source"), body.bytes, out, err)
	subject := ""
	if err == nil {
		subject = out.Event.Subject()
	}
	p.log(c, out, subject, err, took, remote, len(body.bytes))
	if span := tracing.Of(r.Context()); span.On() {
		span.Text("receiver.source", p.known(c.Param("source")))
		span.Text("client.address", remote)
		span.Text("receiver.outcome", cmp.Or(out.Kind, out.Reason, "unavailable"))
	}
	switch {
	case errors.Is(err, callback.ErrUnauthorized), err == nil && repeats(out.Kind) && p.news.recent():
		p.giveWay(body)
	case err == nil && !repeats(out.Kind):
		p.news.proved()
	}
	return respond(c, out, subject, err)
}

// traced makes a span of each request that is sampled. The sender's own trace becomes a link.
func (p Public) traced(next echo.HandlerFunc) echo.HandlerFunc {
	if p.Tracer == nil {
		return next
	}
	return func(c echo.Context) error {
		ctx, span := p.Tracer.Stranger(c.Request(), c.Path())
		if !span.On() {
			return next(c)
		}
		c.SetRequest(c.Request().WithContext(ctx))
		err := next(c)
		if err == nil {
			span.Answered(c.Response().Status, http.StatusInternalServerError)
		}
		span.End(err)
		return err
	}
}

// repeats reports whether a callback's event existed already: a sender that has captured one can
// send it as often, and as fast, as a forgery.
func repeats(kind string) bool { return kind == callback.Duplicate || kind == callback.Late }

// giveWay waits until a refusal, or the answer to a repeat, is due, and holds no body meanwhile.
func (p Public) giveWay(body *arrival) {
	size := len(body.bytes)
	body.release()
	p.pace.wait(size)
}

// contentType is what every answer to a callback has, ready made.
var contentType = []string{echo.MIMEApplicationJSON}

func respond(c echo.Context, out callback.Outcome, subject string, err error) error {
	c.Response().Header()[echo.HeaderContentType] = contentType
	switch {
	case errors.Is(err, callback.ErrUnauthorized):
		return c.JSONBlob(http.StatusUnauthorized, unauthorized)
	case err != nil:
		c.Response().Header().Set(echo.HeaderRetryAfter, retryAfter)
		return c.JSON(http.StatusServiceUnavailable, message{"not stored; please call again"})
	}
	kind := out.Kind
	if kind == callback.Late {
		kind = callback.Duplicate // to the platform it is: the job's end is known
	}
	return c.JSONBlob(http.StatusOK, answer(kind, subject, out.Event.Sequence))
}

// reject answers what no verification was tried on.
func (p Public) reject(c echo.Context, code int, why string) error {
	p.Metrics.Rejected(code)
	p.noteUnjudged(c, code)
	const rejected = "callback rejected"
	source := p.known(c.Param("source"))
	if p.allow(zerolog.WarnLevel, rejected, source, http.StatusText(code)) {
		var id [16]byte
		p.Log.Warn().Str("source", source).Str("remote", c.RealIP()).Str("outcome", refused).Str("reason", http.StatusText(code)).
			Int("status", code).Bytes("request_id", requestID(c.Request(), &id)).Msg(rejected)
	}
	p.pace.wait(0)
	return c.JSON(code, message{why})
}

// known is the name of a configured source, and one word for all others.
func (p Public) known(source string) string {
	if p.Receiver.Knows(source) {
		return source
	}
	return job.NoSource
}

// allow reports whether a line is to be written: its level is, and there is no limit to it.
func (p Public) allow(level zerolog.Level, message, source, reason string) bool {
	return level >= p.Log.GetLevel() && (p.Limit == nil || p.Limit.Allow(level, message, source, reason))
}

func (p Public) log(c echo.Context, out callback.Outcome, subject string, err error, took time.Duration, remote string, size int) {
	const outside, line = "a key outside its window verified a callback; remove the key to end its use", "callback processed"
	source := c.Param("source")
	if out.Outside && p.allow(zerolog.WarnLevel, outside, source, "") {
		p.Log.Warn().Str("key", out.Key.String()).Msg(outside)
	}
	level, outcome, word := zerolog.InfoLevel, out.Kind, metrics.Outcome(out, err)
	switch {
	case errors.Is(err, callback.ErrUnauthorized):
		level, outcome = zerolog.WarnLevel, refused
	case err != nil:
		level, outcome = zerolog.ErrorLevel, word
	}
	if outcome != callback.Accepted && !p.allow(level, line, p.known(source), word) {
		return
	}
	event := p.Log.WithLevel(level).Str("source", source[:min(len(source), 64)]).Str("remote", remote).Int("bytes", size)
	if out.Key != nil {
		event = event.Str("key", out.Key.Fingerprint())
	}
	event = event.Str("outcome", outcome)
	if id := out.Event.Job.ID; id != "" {
		event = event.Str("job", cut(id, job.MaxText))
	}
	switch {
	case outcome == refused:
		event = event.Str("reason", word)
	case err != nil:
		event = event.Err(err)
	default:
		event = event.Str("subject", subject).Uint64("sequence", out.Event.Sequence)
	}
	var id [16]byte
	event.Bytes("request_id", requestID(c.Request(), &id)).Dur("took_ms", took).Msg(line)
}

// refused is the outcome of a callback that was answered without being stored as an event, and not
// because of the store.
const refused = "refused"

// requestID returns the id of a request for the log: the one that it came with, as from a proxy, or
// a random one, in own. No answer carries it: the answers to refusals are the same bytes.
func requestID(r *http.Request, own *[16]byte) []byte {
	if given := r.Header[echo.HeaderXRequestID]; len(given) == 1 && requestIDs.MatchString(given[0]) {
		return []byte(given[0])
	}
	var id [8]byte
	binary.BigEndian.PutUint64(id[:], rand.Uint64()) //nolint:gosec // a name, no secret
	hex.Encode(own[:], id[:])
	return own[:]
}

// hangUp has the connection closed after the answer, whatever still comes. Otherwise
// net/http reads up to 256 KiB more, or waits for them until the read timeout.
func hangUp(c echo.Context) {
	c.Response().Header().Set("Connection", "close")
	_ = http.NewResponseController(c.Response()).SetReadDeadline(time.Now()) // only a recorder in tests has none
}
