package apiserver

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"receiver/api"
	"receiver/internal/job"
	"receiver/internal/preflight"
	"receiver/internal/submission"
)

// Submissions submit to the platforms, each request at most once.
type Submissions interface {
	// Submit submits a request, or returns what became of it before.
	Submit(ctx context.Context, q submission.Request) (job.Submission, error)
	// Submission returns what became of a submission. The platform is asked if it is open.
	Submission(ctx context.Context, source, name string) (job.Submission, error)
}

const (
	// shortBody is the most bytes of a body that is no file, and of a field of a form.
	shortBody = 64 << 10
	// formFields is the most fields of a form before its file.
	formFields = 8
)

// SubmitJob implements StrictServerInterface.
func (s Server) SubmitJob(ctx context.Context, r SubmitJobRequestObject) (SubmitJobResponseObject, error) {
	if s.Submissions == nil {
		return nil, notReached()
	}
	q := submission.Request{Source: r.Source, Key: r.Params.IdempotencyKey, RequestID: api.RequestID(ctx)}
	if !validKey(q.Key) {
		return nil, api.BadRequest.Problem("Idempotency-Key is not 1 to 255 printable ASCII characters without spaces")
	}
	var err error
	switch {
	case r.JSONBody != nil:
		q.Gather = *r.JSONBody
	case r.MultipartBody != nil:
		q.Object, q.Path = r.Params.Object, r.Params.Path
		err = form(ctx, &q, r.MultipartBody)
	default:
		p := r.Params
		q.Direction, q.Object, q.Path, q.FileName, q.Body, q.Size = "UPLOAD", p.Object, p.Path, p.FileName, r.Body, -1
		if p.Metadata != "" {
			q.Metadata = json.RawMessage(p.Metadata)
		}
		if p.CallbackPayload != "" {
			q.Payload = json.RawMessage(p.CallbackPayload)
		}
		if q.FileName == "" {
			q.FileName = "upload.csv"
		}
		if b, ok := r.Body.(*unhurried); ok {
			q.Size = b.size
		}
	}
	if err != nil {
		return nil, err
	}
	made, err := s.Submissions.Submit(ctx, q)
	if err != nil {
		return nil, err
	}
	return SubmitJob202JSONResponse{Body: made, Headers: SubmitJob202ResponseHeaders{Location: location(made)}}, nil
}

// GetSubmission implements StrictServerInterface.
func (s Server) GetSubmission(ctx context.Context, r GetSubmissionRequestObject) (GetSubmissionResponseObject, error) {
	if s.Submissions == nil {
		return nil, notReached()
	}
	found, err := s.Submissions.Submission(ctx, r.Source, r.Submission)
	return GetSubmission200JSONResponse(found), err
}

// location is the address of what a submission made.
func location(r job.Submission) string {
	at := "/v1/sources/" + url.PathEscape(r.Source)
	if r.Job != "" {
		return at + "/jobs/" + url.PathEscape(r.Job)
	}
	return at + "/submissions/" + url.PathEscape(r.Name)
}

// validKey reports whether an Idempotency-Key, if there is one, is such.
func validKey(key string) bool {
	return len(key) <= 255 && !strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' })
}

// form reads the fields of a form up to its file, which is read later.
func form(ctx context.Context, q *submission.Request, parts *multipart.Reader) error {
	q.Direction, q.Size = "UPLOAD", -1
	for range formFields {
		part, err := parts.NextPart()
		var large *api.Problem
		switch {
		case errors.As(err, &large):
			return large
		case err == io.EOF: // one that is wrapped is of a form that breaks off
			return api.BadRequest.Problem("the form has no part file")
		case err != nil:
			return api.BadRequest.Problem("the form cannot be read: %v", err)
		}
		if part.FormName() == "file" {
			q.FileName = path.Base(strings.ReplaceAll(part.FileName(), `\`, "/"))
			if q.FileName == "." || q.FileName == "/" {
				q.FileName = "upload.csv"
			}
			q.Body = lastPart{ctx, part, parts}
			bound(ctx, -1)
			return nil
		}
		text, err := io.ReadAll(io.LimitReader(part, shortBody+1))
		switch {
		case err != nil:
			return api.BadRequest.Problem("the form cannot be read: %v", err)
		case len(text) > shortBody:
			return api.TooLarge.Problem("the field %.64q is longer than %d KiB", part.FormName(), shortBody>>10)
		}
		switch part.FormName() {
		case "object":
			q.Object = string(text)
		case "path":
			q.Path = string(text)
		case "metadata":
			q.Metadata = text
		case "callback_payload":
			q.Payload = text
		default:
			return api.BadRequest.Problem("unknown field %.64q; a form takes object, path, metadata, callback_payload and, as the last, file", part.FormName())
		}
	}
	return api.BadRequest.Problem("the form has more than %d fields before its file", formFields)
}

// lastPart is the file of a form. A field behind it would come too late to be heeded.
type lastPart struct {
	ctx   context.Context //nolint:containedctx // of the request
	file  *multipart.Part
	parts *multipart.Reader
}

// Read implements io.Reader.
func (l lastPart) Read(p []byte) (int, error) {
	n, err := l.file.Read(p)
	if err != io.EOF {
		return n, err
	}
	bound(l.ctx, aroundFile)
	var large *api.Problem
	switch more, err := l.parts.NextPart(); {
	case errors.As(err, &large):
		return n, large
	case err == nil:
		return n, api.BadRequest.Problem("the form has the part %.64q behind its file; send the file last", more.FormName())
	case err != io.EOF: // one that is wrapped is of a form that breaks off
		return n, io.ErrUnexpectedEOF
	}
	return n, io.EOF
}

// unhurried is a body that may take as long as it does, as long as it keeps coming.
type unhurried struct {
	io.ReadCloser
	deadlines *http.ResponseController
	size      int64 // -1: unknown
	bounded   bool  // to so many bytes as are left
	left      int64
}

// Read implements io.Reader.
func (u *unhurried) Read(p []byte) (int, error) {
	_ = u.deadlines.SetReadDeadline(time.Now().Add(slack)) // a writer without deadlines has none to move
	if u.bounded && u.left <= 0 {
		return 0, api.TooLarge.Problem("the form has more than %d KiB beside its file", aroundFile>>10)
	}
	n, err := u.ReadCloser.Read(p)
	u.left -= int64(n)
	if err != nil { // nothing more is read; a connection whose reading ends would look like a client that has gone
		_ = u.deadlines.SetReadDeadline(time.Time{})
	}
	return n, err
}

// csvType is the media type of a file that is the body itself, whatever its form.
const csvType = "text/csv"

// typed refuses bodies of other media types than these.
func typed(types ...string) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			given, _, _ := strings.Cut(c.Request().Header.Get(echo.HeaderContentType), ";")
			if !slices.Contains(types, given) {
				return api.UnsupportedMedia.Problem("the body has the Content-Type %.64q; send %s", given, strings.Join(types, ", "))
			}
			return next(c)
		}
	}
}

// takingFiles lets a file come, and the platform answer, later than the timeouts of the listener.
// The client of the platform has its own.
func takingFiles(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if strings.HasPrefix(r.Header.Get(echo.HeaderContentType), echo.MIMEApplicationJSON) {
			return short(knownMembers(next))(c)
		}
		deadlines := http.NewResponseController(c.Response())
		_ = deadlines.SetWriteDeadline(time.Time{})
		body := &unhurried{ReadCloser: r.Body, deadlines: deadlines, size: r.ContentLength}
		r.Body = body
		if strings.HasPrefix(r.Header.Get(echo.HeaderContentType), echo.MIMEMultipartForm) {
			ctx := context.WithValue(r.Context(), formBody{}, body)
			bound(ctx, aroundFile)
			c.SetRequest(r.WithContext(ctx))
		}
		return next(c)
	}
}

// short bounds a body that is no file.
func short(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		r.Body = http.MaxBytesReader(c.Response(), r.Body, shortBody)
		later(c.Response(), platformTime)
		return next(c)
	}
}

// drained is how much of a body behind what is checked is read, so that a client that sends a whole
// file reads the answer.
const drained = 8 << 20

// PreflightFile implements StrictServerInterface.
func (s Server) PreflightFile(ctx context.Context, r PreflightFileRequestObject) (PreflightFileResponseObject, error) {
	if s.Platform == nil {
		return nil, notReached()
	}
	head, whole, rest, err := preflight.Peek(r.Body)
	if err == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(rest, drained))
	}
	if err != nil {
		return nil, api.BadRequest.Problem("the file did not arrive completely; send the request again")
	}
	report, err := s.Platform.Preflight(ctx, r.Source, r.Object, preflight.File{Name: r.Params.FileName, Metadata: r.Params.Metadata, Head: head, Whole: whole})
	return PreflightFile200JSONResponse(report), err
}
