package web

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/rs/zerolog"

	"receiver/internal/callback"
	"receiver/internal/job"
	"receiver/internal/verify"
)

// unjudged counts, logs and records a callback that is answered code whatever its signature
// is, for one of the reasons of callback.Receiver.Refuse. Source is the source that it was
// meant for, as far as the address tells.
func (p Public) unjudged(c echo.Context, began time.Time, q callback.Request, source, reason string, code int) {
	r := c.Request()
	q.Signatures, q.Remote, q.Received = r.Header.Values(verify.Header), c.RealIP(), time.Now().UTC()
	out := p.Receiver.Refuse(q, reason)
	took := time.Since(began)
	p.Metrics.Rejected(code)
	p.noteFailed(source, q.Signatures, q.Body, reason)
	source = p.known(source)
	p.Metrics.Callback(source, out, callback.ErrUnauthorized, took)
	const message = "callback processed"
	if !p.allow(zerolog.WarnLevel, message, source, reason) {
		return
	}
	line := p.Log.Warn().Str("source", source).Str("remote", q.Remote).Int("bytes", len(q.Body)).
		Str("outcome", refused).Str("reason", reason)
	if reason != job.Encoded {
		line = line.Str("request", q.Source)
	}
	var id [16]byte
	line.Int("status", code).Bytes("request_id", requestID(r, &id)).Dur("took_ms", took).Msg(message)
}

// wrongPath returns the error to answer a request to an unknown address with, or nil if it is
// answered. A request that looks like a callback is recorded all the same: the platform uses up its
// retries on it, and only the record shows that to the operator.
func (p Public) wrongPath(c echo.Context) error {
	r := c.Request()
	if !signed(r) && (r.Method != http.MethodPost || !strings.Contains(strings.ToLower(r.URL.Path), "callback")) {
		return echo.ErrNotFound
	}
	return p.astray(c, sourceIn(r.URL.Path), job.WrongPath, http.StatusNotFound)
}

// wrongMethod returns what to answer to a request by a method that its address is not for, or
// nil if it is answered. A signed one is recorded: a redirect may have made a GET of a callback.
func (p Public) wrongMethod(c echo.Context) error {
	r := c.Request()
	if !signed(r) {
		return echo.ErrMethodNotAllowed
	}
	return p.astray(c, sourceIn(r.URL.Path), job.WrongMethod, http.StatusMethodNotAllowed)
}

func signed(r *http.Request) bool { return len(r.Header.Values(verify.Header)) > 0 }

// astray records a callback that came by a wrong way, and answers as if it had not. One whose
// body does not come whole, or has no room, is logged and counted alone.
func (p Public) astray(c echo.Context, source, reason string, code int) error {
	began := time.Now()
	r := c.Request()
	body, err := p.budget.read(c.Response(), r, p.BodyLimit)
	defer body.free()
	if err != nil {
		hangUp(c)
		return p.reject(c, code, http.StatusText(code))
	}
	path, secrets := shownPath(r)
	claimed := cut(asked(r), 16) + " " + path
	p.unjudged(c, began, callback.Request{Source: cut(claimed, job.MaxText), Body: body.bytes, Headers: secretHeaders{r, secrets}}, source, reason, code)
	p.giveWay(body)
	return c.JSON(code, message{http.StatusText(code)})
}

func cut(s string, n int) string { return s[:min(len(s), n)] }

// codings are the content codings that change the bytes of a body, in lower case: those registered
// for HTTP, without identity. The platform signs the bytes as received, and no coding of them is
// documented; any other word, such as a charset, is a sender's mistake that changes nothing.
//
// IANA, "HTTP Content Coding Registry", read 2026-11-29. OC: (b) row 11.
var codings = map[string]bool{
	"aes128gcm": true, "br": true, "compress": true, "dcb": true, "dcz": true, "deflate": true, "exi": true,
	"gzip": true, "pack200-gzip": true, "x-compress": true, "x-gzip": true, "zstd": true,
}

// encoded reports whether the sender says that the body is in a coding that changes it.
func encoded(r *http.Request) bool {
	for _, value := range r.Header[echo.HeaderContentEncoding] {
		for member := range strings.SplitSeq(value, ",") {
			coding, _, _ := strings.Cut(member, ";")
			if codings[strings.ToLower(strings.Trim(coding, " \t\"'"))] {
				return true
			}
		}
	}
	return false
}
