package simulator

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// postQuery takes the query form of a download. OC: (a) row 7
func (p *Platform) postQuery(w http.ResponseWriter, r *http.Request) {
	o := order{direction: "DOWNLOAD", callback: r.Header.Get("Elements-Async-Callback-Url")}
	q, meta, err := readQuery(w, r)
	if err == nil {
		o.meta = meta
		o.object, o.rows, err = p.query(q, r.URL.Query().Get("continueFromJobId"))
	}
	if err != nil {
		p.refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	if !p.knows(o.object) {
		p.refuse(w, http.StatusNotFound, "no such object")
		return
	}
	o.rows.format = cmp.Or(meta.format, "csv")
	p.create(w, r, o)
}

// readQuery finds q in the query string or in a JSON body, and metaData in a form part.
func readQuery(w http.ResponseWriter, r *http.Request) (q string, meta metaData, err error) {
	q = r.URL.Query().Get("q")
	switch mediaType(r) {
	case "multipart/form-data":
		err = parts(r, func(part *multipart.Part) (err error) {
			if part.FormName() == "metaData" {
				meta, err = readMeta(part)
			}
			return err
		})
	case "application/x-www-form-urlencoded":
		r.Body = http.MaxBytesReader(w, r.Body, maxMeta)
		if text := r.PostFormValue("metaData"); text != "" {
			meta, err = parseMeta([]byte(text))
		}
	case "application/json":
		var body struct{ Query string }
		if err = json.NewDecoder(http.MaxBytesReader(w, r.Body, maxMeta)).Decode(&body); err == nil {
			q = cmp.Or(q, body.Query)
		}
	}
	return q, meta, err
}

var selection = regexp.MustCompile(`(?is)^\s*select\s+(.+?)\s+from\s+([a-z0-9_./-]+)(?:\s+where\s+.+?)?(?:\s+limit\s+(\d{1,6}))?\s*$`)

// query makes the rows of "select … from object [where …] [limit n]"; the condition is read over.
// Without a query, the job to go on from gives the object.
func (p *Platform) query(q, from string) (object string, rows content, err error) {
	if q == "" && from != "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		j, ok := p.jobs[from]
		if !ok {
			return "", content{}, errors.New("continueFromJobId is not a job of this instance")
		}
		kept := j.rows.kept
		return j.object, content{records: len(kept), columns: j.rows.columns, kept: kept, size: j.rows.size}, nil
	}
	m := selection.FindStringSubmatch(q)
	if m == nil {
		return "", content{}, errors.New("Error parsing query: expected select … from … [where …] [limit n]")
	}
	limit, _ := strconv.Atoi(m[3])
	rows, err = generated(m[1], limit)
	return m[2], rows, err
}

// generated makes up rows of the fields asked for, 25 of them when no limit is given.
func generated(fields string, limit int) (content, error) {
	if limit < 0 {
		return content{}, errors.New("limit is negative")
	}
	names := columns
	if fields = strings.TrimSpace(fields); fields != "" && fields != "*" {
		names = strings.FieldsFunc(fields, func(r rune) bool { return r == ',' || r == ' ' })
	}
	if len(names) > 100 {
		return content{}, errors.New("more than 100 fields")
	}
	c := content{columns: slices.Clone(names)}
	for n := range min(cmp.Or(limit, 25), maxKept) {
		c.accept(func() []byte { return madeUp(names, n+1) })
	}
	c.size = int64(c.bytes)
	return c, nil
}

func madeUp(names []string, n int) []byte {
	record := make([]string, len(names))
	for i, name := range names {
		if record[i] = fmt.Sprintf("%s %d", name, n); isEmailColumn(name) {
			record[i] = fmt.Sprintf("contact%d@example.com", n)
		}
	}
	return csvObject(names, record)
}
