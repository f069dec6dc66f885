package page

import (
	"errors"
	"html/template"
	"io"
	"mime"
	"net/http"
	"strconv"

	"receiver/api"
	"receiver/api/client"
	"receiver/internal/auditlog/report"
)

// certificate is what the view of one record's proof shows.
type certificate struct {
	ID, Stream string
	Sequence   uint64
	// HTML is the certificate itself, with the sentences of `receiver audit report`; empty of a
	// record that is not sealed yet.
	HTML template.HTML
	Made moment
}

// certificate shows the proof of one record, for print.
func (p *Page) certificate(v *visit) error {
	shown, err := v.certified()
	if err != nil {
		return err
	}
	r, err := v.report(shown.Stream, shown.Sequence)
	known := new(api.Problem)
	if errors.As(err, &known) && known.Type == api.NotSealed.Type() {
		return v.show("certificate", shown.ID, shown, "certificate")
	}
	if err != nil {
		return err
	}
	if shown.HTML, err = r.Certificate("/evidence/" + shown.ID + "/bundle"); err != nil {
		return err
	}
	shown.Made = moment{r.Made, r.Made.UTC().Format("2006-01-02 15:04:05 UTC")}
	return v.show("certificate", "Certificate of "+shown.ID, shown)
}

// certified is the record that the address names.
func (v *visit) certified() (certificate, error) {
	stream, text := v.r.PathValue("stream"), v.r.PathValue("sequence")
	sequence, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return certificate{}, api.UnknownRecord.Problem("%.40q is not the sequence of a record; the address is /evidence/JOBS/12", text)
	}
	return certificate{ID: segment(stream) + "/" + text, Stream: stream, Sequence: sequence}, nil
}

// report asks for the report about a record.
func (v *visit) report(stream string, sequence uint64) (report.Report, error) {
	return client.Answer[report.Report](v.api.GetReport(v.r.Context(), stream, sequence, &api.GetReportParams{Form: "json"}))
}

// bundle gives the bundle that a certificate is of, under the name that its command has.
func (p *Page) bundle(v *visit) error {
	c, err := v.certified()
	if err != nil {
		return err
	}
	r, err := v.report(c.Stream, c.Sequence)
	if err != nil {
		return err
	}
	for _, b := range r.Bundles {
		v.w.Header().Set("Content-Type", "application/json")
		v.w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": b.File}))
		_, err := v.w.Write(b.Data)
		return err
	}
	return api.UnknownRecord.Problem("the report about %s has no bundle", c.ID)
}

// wholeReport gives the report as one file, with the policy that it has of its own.
func (p *Page) wholeReport(v *visit) error {
	c, err := v.certified()
	if err != nil {
		return err
	}
	got, err := v.api.GetReport(v.r.Context(), c.Stream, c.Sequence, &api.GetReportParams{})
	body, err := client.Body(got, err)
	if err != nil {
		return err
	}
	defer body.Close()
	v.w.Header().Set("Content-Type", got.Header.Get("Content-Type"))
	v.w.Header().Set("Content-Security-Policy", got.Header.Get("Content-Security-Policy"))
	v.w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": c.Stream + "-" + strconv.FormatUint(c.Sequence, 10) + ".html"}))
	if _, err := io.Copy(v.w, body); err != nil {
		return http.ErrAbortHandler
	}
	return nil
}
