package simulator

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"
)

// getResult sends the good rows of a finished job in the form Accept asks for. A download job has
// one form only. OC: (a) row 16, 1.4 (retention)
func (p *Platform) getResult(w http.ResponseWriter, r *http.Request, j *job) {
	p.mu.Lock()
	done, bad, gone := j.done(), failing(j.status), time.Since(j.finished) > p.scaled(retention)
	p.mu.Unlock()
	form, ok := accepted(r.Header.Get("Accept"), j.rows.format)
	switch {
	case r.PathValue("object") != j.object:
		p.refuse(w, http.StatusNotFound, "the job is of another object")
	case !done || bad:
		p.refuse(w, http.StatusBadRequest, "the job has no result: it is not finished, or failed")
	case gone:
		p.refuse(w, http.StatusNotFound, "the result was deleted after three days")
	case !ok || downloadFormats[j.format] != "" && form != j.rows.format:
		p.refuse(w, http.StatusBadRequest, "Accept does not match the format of the job")
	case form == "csv":
		send(w, http.StatusOK, "text/csv", j.csv())
	case form == "jsonl":
		send(w, http.StatusOK, "application/jsonl", lines(j.rows.kept))
	default:
		send(w, http.StatusOK, "application/json", j.json())
	}
}

// accepted names the form of an Accept header, the job's own when it does not care.
func accepted(accept, own string) (string, bool) {
	if accept == "" || accept == "*/*" {
		return own, true
	}
	form, ok := downloadFormats[accept]
	return form, ok
}

// json is one object for one row, else lines or an array as the job has it. OC: 4
func (j *job) json() []byte {
	if len(j.rows.kept) == 1 {
		return j.rows.kept[0]
	}
	if j.style.resultShape == 0 {
		return lines(j.rows.kept)
	}
	return list(j.rows.kept)
}

func lines(rows []json.RawMessage) []byte {
	if len(rows) == 0 {
		return nil
	}
	return append(bytes.Join(asBytes(rows), []byte("\n")), '\n')
}

func (j *job) csv() []byte {
	header := j.rows.columns
	if header == nil {
		header = columnsOf(j.rows.kept)
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write(header) // a bytes.Buffer takes everything
	record := make([]string, len(header))
	for _, row := range j.rows.kept {
		values := map[string]json.RawMessage{}
		_ = json.Unmarshal(row, &values) // written by us, or read before
		for i, name := range header {
			record[i] = cell(values[name])
		}
		_ = w.Write(record)
	}
	w.Flush()
	return b.Bytes()
}

func columnsOf(rows []json.RawMessage) []string {
	names := map[string]json.RawMessage{}
	for _, row := range rows {
		_ = json.Unmarshal(row, &names) // adds to the names of the rows before
	}
	return slices.Sorted(maps.Keys(names))
}

// cell writes a text as it is and everything else as JSON.
func cell(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return string(value)
}
