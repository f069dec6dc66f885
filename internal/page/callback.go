package page

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"receiver/api"
	"receiver/api/client"
	"receiver/internal/page/compared"
	"receiver/internal/plain"
)

// callbackView is what the view of one record shows.
type callbackView struct {
	listedRecord
	Detail *api.CallbackDetail
	Body   bodyView
	// Request and Stored are the headers of the request and of the record.
	Request, Headers []shownHeader
	// Minute is the search of what came around it, and Same of what had the same body.
	Minute, Same string
	// Explained is set once it was verified again.
	Explained *compared.Explanation
}

// shownHeader is a name with a value.
type shownHeader struct{ Name, Value string }

// callback shows one record whole.
func (p *Page) callback(v *visit) error {
	d, err := v.callbackDetail()
	if err != nil {
		return err
	}
	return v.show("callback", d.ID, newCallbackView(d))
}

// explainCallback verifies a callback again, and shows it with the result.
func (p *Page) explainCallback(v *visit) error {
	d, err := v.callbackDetail()
	if err != nil {
		return err
	}
	found, err := client.Answer[api.Explanation](v.api.ExplainCallback(v.r.Context(), d.Stream, d.Sequence))
	if err != nil {
		return err
	}
	view := newCallbackView(d)
	view.Explained = compared.New(found)
	return v.show("callback", d.ID, view)
}

// callbackBody sends a body as a file that no browser shows.
func (p *Page) callbackBody(v *visit) error {
	d, err := v.callbackDetail()
	if err != nil {
		return err
	}
	if !d.BodyKept || d.Encrypted != "" {
		return api.UnknownRecord.Problem("the body of %s cannot be given: %s", d.ID, strings.TrimSpace(d.Encrypted+" it was not kept in clear"))
	}
	h := v.w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": strings.ReplaceAll(d.ID, "/", "-") + ".body"}))
	h.Set("Content-Length", strconv.Itoa(len(d.Raw)))
	_, err = v.w.Write(d.Raw)
	return brokenOff(err)
}

// callbackDetail asks for the record that the address names.
func (v *visit) callbackDetail() (*api.CallbackDetail, error) {
	stream, seq := v.r.PathValue("stream"), v.r.PathValue("sequence")
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil {
		return nil, api.UnknownRecord.Problem("there is no record %s/%s; a record has a number", stream, seq)
	}
	same := false
	d, err := client.Answer[api.CallbackDetail](v.api.GetCallback(v.r.Context(), stream, n, &api.GetCallbackParams{SameBody: &same}))
	if d.Raw = d.Base64; d.Raw == nil {
		d.Raw = []byte(d.Text)
	}
	return &d, err
}

func newCallbackView(d *api.CallbackDetail) *callbackView {
	at := d.Stored.UTC().Truncate(time.Minute)
	view := &callbackView{
		listedRecord: listedRecord{d.Entry}, Detail: d, Body: newBodyView(d.Raw), Headers: shownHeaders(d.Headers),
		Minute: viewAddress("/callbacks", nil, map[string]string{"since": at.Format(time.RFC3339), "until": at.Add(time.Minute).Format(time.RFC3339)}),
	}
	if d.Body != "" {
		view.Same = viewAddress("/callbacks", nil, map[string]string{"since": "all", "body": d.Body})
	}
	var request map[string][]string
	if json.Unmarshal(d.Request, &request) == nil {
		view.Request = shownHeaders(request)
	}
	return view
}

// Checkable reports whether the record is a callback of a source, whose keys may have signed it.
func (c callbackView) Checkable() bool {
	return c.Verdict != "action" && c.Verdict != "" && c.Known()
}

// The headers that a view shows: how much of each, and of all.
const (
	headerShown  = 2 << 10
	headersShown = 12 << 10
)

// shownHeaders are headers by name, as far as a view shows them.
func shownHeaders(all map[string][]string) (shown []shownHeader) {
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	left := headersShown
	for _, name := range names {
		for _, value := range all[name] {
			if name, value = beginning(name, headerShown), beginning(value, headerShown); left < len(name)+len(value) {
				return append(shown, shownHeader{"…", "more headers are left out here"})
			}
			left -= len(name) + len(value)
			shown = append(shown, shownHeader{name, value})
		}
	}
	return shown
}

// beginning is the beginning of a text.
func beginning(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}

// bodyView is a body as far as a view shows it.
type bodyView struct {
	// Text is it, or a dump of it in hexadecimal if it is not text.
	Text   string
	Binary bool
	// Shown are how many bytes of Size that is.
	Shown, Size int64
	// End says how a text ends.
	End string
}

// The bounds of a body in a view: bytes of text, bytes of anything else, and bytes of markup.
const (
	bodyShown   = 64 << 10
	dumpShown   = 8 << 10
	markupShown = 48 << 10
)

// markupSize is how many bytes a text takes in a page.
func markupSize(text string) int { return len(template.HTMLEscapeString(plain.Lines(text))) }

func newBodyView(body []byte) bodyView {
	v := bodyView{Size: int64(len(body)), Binary: !utf8.Valid(body)}
	if v.Binary {
		part := body[:min(len(body), dumpShown)]
		v.Text, v.Shown = hex.Dump(part), int64(len(part))
		return v
	}
	text := string(body)
	for most := bodyShown; ; {
		if len(text) > most {
			text = text[:most]
			for len(text) > 0 && !utf8.ValidString(text) {
				text = text[:len(text)-1]
			}
		}
		size := markupSize(text)
		if size <= markupShown {
			break
		}
		most = len(text) * markupShown / (size + 1)
	}
	v.Text, v.Shown = text, int64(len(text))
	switch {
	case len(body) == 0:
	case strings.HasSuffix(string(body), "\r\n"):
		v.End = "ends with CR LF"
	case strings.HasSuffix(string(body), "\n"):
		v.End = "ends with LF"
	default:
		v.End = "no line end"
	}
	return v
}

// Answered says how a callback was answered.
func (c callbackView) Answered() string {
	if s := c.Status(); s != 0 {
		return fmt.Sprintf("%d %s", s, http.StatusText(s))
	}
	return ""
}
