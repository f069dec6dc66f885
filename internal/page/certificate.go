package page

import (
	"errors"
	"html/template"
	"mime"
	"path"
	"strconv"
	"strings"

	"receiver/api"
	"receiver/api/client"
	"receiver/internal/auditlog/report"
)

// certificate is what the view of one record's proof shows.
type certificate struct {
	ID, Stream string
	// HTML is the certificate itself, with the sentences of `receiver audit report`; empty of a
	// record that is not sealed yet.
	HTML template.HTML
	Made moment
}

// certificate shows the proof of one record, for print.
func (p *Page) certificate(v *visit) error {
	shown, r, err := v.certified()
	if known := new(api.Problem); errors.As(err, &known) && known.Type == api.NotSealed.Type() {
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

// certified asks for the report about the record that the address names.
func (v *visit) certified() (c certificate, r report.Report, err error) {
	stream, text := v.r.PathValue("stream"), v.r.PathValue("sequence")
	sequence, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return c, r, api.UnknownRecord.Problem("there is no record %s/%s; a record has a number", stream, text)
	}
	c = certificate{ID: segment(stream) + "/" + text, Stream: stream}
	r, err = client.Answer[report.Report](v.api.GetReport(v.r.Context(), stream, sequence, &api.GetReportParams{Form: "json"}))
	if err == nil && len(r.Bundles) != 1 {
		err = api.UnknownRecord.Problem("the report about %s has no bundle", c.ID)
	}
	return c, r, err
}

// proofFile gives the bundle that a certificate is of, under the name that its command has, or the
// report as one file, with the policy that it has of its own.
func (p *Page) proofFile(v *visit) error {
	c, r, err := v.certified()
	if err != nil {
		return err
	}
	h, name, data := v.w.Header(), r.Bundles[0].File, r.Bundles[0].Data
	h.Set("Content-Type", "application/json")
	if path.Base(v.r.URL.Path) == "report" {
		if data, err = r.Page(); err != nil {
			return err
		}
		name = strings.ReplaceAll(c.ID, "/", "-") + ".html"
		h.Set("Content-Type", mediaType)
		h.Set("Content-Security-Policy", report.Policy()+"; frame-ancestors 'none'; sandbox allow-downloads")
	}
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	_, err = v.w.Write(data)
	return err
}
