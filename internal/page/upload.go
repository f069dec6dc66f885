package page

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"receiver/api"
	"receiver/api/client"
	"receiver/internal/page/filecheck"
	"receiver/internal/preflight"
)

const (
	// uploadFields bounds all of a form before its file, in bytes, fieldLimit each field, and
	// mostFields their number.
	uploadFields, fieldLimit, mostFields = 256 << 10, 64 << 10, 8
	// drained is how much of a file is read that is refused, and drainTime how long it may take, so
	// that the browser reads the answer.
	drained, drainTime = 64 << 20, 10 * time.Second
)

// upload is a form with a file, which is read as it comes and never held.
type upload struct {
	v      *visit
	body   io.Reader // of the request, whole
	fields map[string]string
	file   *multipart.Part
}

// bounded is a body of which a number of bytes may be read; a negative number is no bound.
type bounded struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return b.ReadCloser.Read(p)
	}
	if b.left == 0 {
		return 0, api.TooLarge.Problem("the form has more than %d KiB before its file", uploadFields>>10)
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// openUpload reads a form up to its file. The first field must be the CSRF token: nothing is read
// behind one that is not genuine.
func (v *visit) openUpload() (*upload, error) {
	u := &upload{v: v, body: v.r.Body, fields: map[string]string{}}
	limit := &bounded{ReadCloser: v.r.Body, left: uploadFields}
	v.r.Body = limit
	parts, err := v.r.MultipartReader()
	if err != nil {
		return u, api.BadRequest.Problem("the form has no file; choose one")
	}
	for n := range mostFields + 1 {
		part, err := parts.NextPart()
		if err != nil {
			return u, incomplete(err)
		}
		name := part.FormName()
		if n == 0 && name != "csrf" {
			return u, v.genuine("")
		}
		if name == "file" {
			limit.left = -1
			u.file = part
			return u, u.complete()
		}
		text, err := io.ReadAll(io.LimitReader(part, fieldLimit+1))
		switch {
		case err != nil:
			return u, incomplete(err)
		case len(text) > fieldLimit:
			return u, api.TooLarge.Problem("the field %.64q is longer than %d KiB", name, fieldLimit>>10)
		}
		u.fields[name] = strings.TrimSpace(string(text))
		if n == 0 {
			if err := v.genuine(u.fields[name]); err != nil {
				return u, err
			}
		}
	}
	return u, api.BadRequest.Problem("the form has more than %d fields", mostFields)
}

// incomplete is what an error of reading a form is for its sender.
func incomplete(err error) error {
	if large := new(api.Problem); errors.As(err, &large) {
		return large
	}
	return api.BadRequest.Problem("the form did not arrive completely; send it again")
}

// complete refuses a form that lacks something.
func (u *upload) complete() error {
	for _, name := range []string{"source", "object"} {
		if u.fields[name] == "" {
			return api.BadRequest.Problem("the form has no %s; choose one", name)
		}
	}
	if u.name() == "" {
		return api.BadRequest.Problem("the form has no file; choose one")
	}
	return nil
}

// name is the name of the file, without the folders that some browsers give.
func (u *upload) name() string {
	name := path.Base(strings.ReplaceAll(u.file.FileName(), `\`, "/"))
	if name == "." || name == "/" {
		return ""
	}
	return name
}

// drain reads the rest of a file that is not wanted, within bounds; nothing of a form that is not
// of this page.
func (u *upload) drain(err error) {
	if foreign(err) {
		return
	}
	connection := http.NewResponseController(u.v.w)
	_ = connection.SetReadDeadline(time.Now().Add(drainTime)) // a writer without deadlines has none to move
	_, _ = io.Copy(io.Discard, io.LimitReader(u.body, drained))
	_ = connection.SetReadDeadline(time.Time{}) // a connection whose reading ends would look like a browser that has gone
}

// foreign reports whether an error is that the browser may not submit.
func foreign(err error) bool {
	known := new(api.Problem)
	return errors.As(err, &known) && (known.Status == http.StatusUnauthorized || known.Status == http.StatusForbidden)
}

// submit sends a file on to the platform while it comes.
func (p *Page) submit(v *visit) error {
	u, err := v.openUpload()
	if err == nil {
		err = v.maySubmit()
	}
	if err == nil && u.fields["key"] == "" {
		err = api.BadRequest.Problem("the form has no key; load the page again")
	}
	var made submissionShown
	if err == nil {
		made, err = client.Answer[submissionShown](v.api.SubmitJobWithBody(v.r.Context(), u.fields["source"], &api.SubmitJobParams{
			Object: u.fields["object"], FileName: u.name(), Metadata: u.fields["metadata"], CallbackPayload: u.fields["callback_payload"],
			IdempotencyKey: u.fields["key"],
		}, "text/csv", u.file))
	}
	switch {
	case err != nil:
		u.drain(err)
		return u.refused(err)
	case accepts(v.r, "application/json"):
		return v.json(http.StatusOK, map[string]string{"location": made.At()})
	}
	return v.back(made.At())
}

// madeNothing are the kinds of problem after which the platform has no job and another form may
// have another key. After others the form is repeated with its key, so that it submits once.
var madeNothing = []api.ProblemKind{
	api.BadRequest, api.UnknownSource, api.UnknownAtPlatform, api.UnsupportedMedia, api.KeyReused, api.TooLarge, api.PlatformRefused, api.NotConfigured,
}

// refused shows the form again with the reason, or tells it to the script. A request that is not of
// this page, or whose token is not valid, learns nothing else.
func (u *upload) refused(err error) error {
	known := new(api.Problem)
	if !errors.As(err, &known) || foreign(err) && !accepts(u.v.r, "application/json") {
		return err
	}
	key := u.fields["key"]
	if slices.ContainsFunc(madeNothing, func(k api.ProblemKind) bool { return k.Is(known) }) {
		key = rand.Text()
	}
	if accepts(u.v.r, "application/json") {
		return u.v.json(known.Status, map[string]string{"title": known.Title, "detail": known.Detail, "request_id": known.RequestID, "key": key})
	}
	f := u.form()
	f.Key, f.Problem = key, known
	u.v.status = known.Status
	return u.v.submitForm(f)
}

// form is the form as it was filled in.
func (u *upload) form() submitForm {
	return submitForm{
		Source: u.fields["source"], Object: u.fields["object"], Key: u.fields["key"], Metadata: u.fields["metadata"], Payload: u.fields["callback_payload"],
	}
}

func (v *visit) json(status int, answer any) error {
	text, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "application/json")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(text) // a browser that has gone needs it no more
	return nil
}

// checkFile has the beginning of a file checked, without submitting it. A script gets the part of
// the page.
func (p *Page) checkFile(v *visit) error {
	u, err := v.openUpload()
	if err == nil {
		err = v.maySubmit()
	}
	f := u.form()
	if err == nil {
		f.Check, err = u.check()
	}
	u.drain(err)
	known := new(api.Problem)
	if err != nil && (!errors.As(err, &known) || foreign(err)) {
		return err
	}
	if err != nil {
		v.status, f.Problem = known.Status, known
	}
	if v.r.Header.Get("X-Part") == "" {
		return v.submitForm(f)
	}
	var part bytes.Buffer
	if err := views()["submit"].ExecuteTemplate(&part, "check", f); err != nil {
		return err
	}
	v.send(part.Bytes())
	return nil
}

// check asks the API about the beginning of the file.
func (u *upload) check() (*filecheck.File, error) {
	head, err := io.ReadAll(io.LimitReader(u.file, preflight.HeadSize+1)) // one more says that it is longer
	if err != nil {
		return nil, incomplete(err)
	}
	report, err := client.Answer[preflight.Report](u.v.api.PreflightFileWithBody(u.v.r.Context(), u.fields["source"], u.fields["object"], &api.PreflightFileParams{
		FileName: u.name(), Metadata: u.fields["metadata"],
	}, "text/csv", bytes.NewReader(head)))
	if err != nil {
		return nil, err
	}
	return filecheck.New(u.name(), head, report), nil
}
