package simulator

import (
	"context"
	"encoding/json"
	"errors"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
)

// postUpload takes a file. OC: (a) rows 5, 6
func (p *Platform) postUpload(w http.ResponseWriter, r *http.Request) {
	o := order{object: r.PathValue("object"), direction: "UPLOAD", callback: r.Header.Get("Elements-Async-Callback-Url")}
	if !p.knows(o.object) {
		p.refuse(w, http.StatusNotFound, "no such object")
		return
	}
	if mediaType(r) != "multipart/form-data" {
		p.refuse(w, http.StatusUnsupportedMediaType, "the request must be multipart/form-data")
		return
	}
	if err := o.readUpload(r); err != nil {
		p.refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	p.create(w, r, o)
}

// readUpload reads the parts in any order. A metaData that comes after the file cannot name its
// format any more.
func (o *order) readUpload(r *http.Request) error {
	found := false
	err := parts(r, func(part *multipart.Part) (err error) {
		switch part.FormName() {
		case "metaData":
			o.meta, err = readMeta(part)
		case "file":
			found = true
			o.rows, err = readRows(part, o.formatFor(part.FileName(), r.URL.Query().Get("path")))
		}
		return err
	})
	if err == nil && !found {
		err = errors.New("the part named file is missing")
	}
	o.format = o.rows.format
	return err
}

func (o *order) formatFor(names ...string) string {
	for _, format := range []string{o.meta.format, formatOf(names[0]), formatOf(names[1])} {
		if format != "" {
			return format
		}
	}
	return ""
}

// create makes the job of a POST that is right in itself, as far as its dials let it. OC: (a) row 9
func (p *Platform) create(w http.ResponseWriter, r *http.Request, o order) {
	if err := o.aim(); err != nil {
		p.refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	f := p.faultsFor(o.meta)
	if f.Post == "drop" {
		drop()
	}
	if status, err := strconv.Atoi(f.Post); err == nil {
		p.fault(w, status, f)
		return
	}
	j := p.enter(o, f)
	if f.Callback.Mode == "early" {
		p.runNow(r.Context(), j)
	} else {
		// After the answer: it is early that a job may overtake it.
		defer p.life.start(func(ctx context.Context) { p.run(ctx, j, p.scaled(p.o.JobDuration)) })
	}
	p.pause(r, f.Slow)
	if f.Post == "lost" {
		drop()
	}
	p.write(w, http.StatusOK, p.object(p.created(j)))
}

// aim reads the callback address. A relative one is accepted as the contract has it, for formulas,
// and never called: there are none here. OC: 3
func (o *order) aim() error {
	u, err := url.Parse(o.callback)
	if err != nil || u.IsAbs() && (u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		return errors.New("the callback URL is not an http or https URL")
	}
	if u.IsAbs() {
		o.target = u
	}
	return nil
}

// runNow takes the job to its end and its callback to the receiver before it returns.
func (p *Platform) runNow(ctx context.Context, j *job) {
	p.life.start(func(ctx context.Context) { p.run(ctx, j, 0) })
	select {
	case <-j.called:
	case <-ctx.Done():
	case <-p.life.ctx.Done():
	}
}

func (p *Platform) created(j *job) []field {
	all := []field{{"id", j.jsonID()}, {"status", "CREATED"}}
	switch j.style.instanceKey {
	case 0:
		all = append(all, field{"instanceId", p.instance})
	case 1:
		all = append(all, field{"instance_id", p.instance})
	}
	return all
}

// postDownload takes the JSON form of a download. OC: (a) row 8
func (p *Platform) postDownload(w http.ResponseWriter, r *http.Request) {
	var ask struct {
		ObjectName, Format, SelectFields, NotificationURL string
		ContinueFromJobID                                 json.RawMessage
		Limit                                             int
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxMeta)).Decode(&ask); err != nil {
		p.refuse(w, http.StatusBadRequest, "the request is not a JSON object of a download: "+err.Error())
		return
	}
	format, ok := downloadFormats[ask.Format]
	if ask.ObjectName == "" || !ok {
		p.refuse(w, http.StatusBadRequest, "objectName and format (text/csv, application/json or application/jsonl) are required")
		return
	}
	if !p.knows(ask.ObjectName) {
		p.refuse(w, http.StatusNotFound, "no such object")
		return
	}
	rows, err := generated(ask.SelectFields, ask.Limit)
	if err != nil {
		p.refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	rows.format = format
	p.create(w, r, order{object: ask.ObjectName, direction: "DOWNLOAD", format: ask.Format, callback: ask.NotificationURL, rows: rows})
}

// downloadFormats are the formats of /bulk/download and what they make fileFormat. OC: 4
var downloadFormats = map[string]string{
	"text/csv": "csv", "txt/csv": "csv", "application/json": "json", "application/jsonl": "jsonl",
}
