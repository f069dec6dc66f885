package simulator

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"slices"
	"strings"
)

// metaData is the JSON part of a POST of that name, taken apart. OC: 3
type metaData struct {
	format   string          // "csv", "json" or ""
	payload  json.RawMessage // callback-payload
	simulate *Faults         // dials of this job, ours and not the contract's
	rest     []field         // all else, given back in the status
}

const maxMeta = 1 << 20

func readMeta(r io.Reader) (metaData, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxMeta+1))
	if err != nil {
		return metaData{}, fmt.Errorf("reading metaData: %w", err)
	}
	if len(raw) > maxMeta {
		return metaData{}, fmt.Errorf("metaData is larger than %d bytes", maxMeta)
	}
	return parseMeta(raw)
}

func parseMeta(raw []byte) (metaData, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(raw, &object); err != nil {
		return metaData{}, fmt.Errorf("metaData is not a JSON object: %w", err)
	}
	var m metaData
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if err := m.take(name, object[name]); err != nil {
			return metaData{}, fmt.Errorf("metaData %q: %w", name, err)
		}
	}
	return m, nil
}

func (m *metaData) take(name string, raw json.RawMessage) error {
	switch name {
	case "callback-payload":
		m.payload = raw
	case "simulate":
		m.simulate = new(Faults)
		if err := json.Unmarshal(raw, m.simulate); err != nil {
			return err
		}
		if m.simulate.Mix != nil || m.simulate.Rate != 0 {
			return errFaults{"mix and rate are dials of the platform, not of a job"}
		}
	default:
		m.rest = append(m.rest, field{name, raw})
		if name == "format" {
			return m.takeFormat(raw)
		}
	}
	return nil
}

func (m *metaData) takeFormat(raw json.RawMessage) error {
	if err := json.Unmarshal(raw, &m.format); err != nil {
		return err
	}
	if m.format = strings.ToLower(m.format); m.format != "csv" && m.format != "json" {
		return fmt.Errorf("%.40q is neither csv nor json", m.format)
	}
	return nil
}

// formatOf tells a file's format by its name, "" when it does not say.
func formatOf(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".csv":
		return "csv"
	case ".json", ".jsonl":
		return "json"
	}
	return ""
}

// parts reads a multipart request part by part; nothing is kept of it that use does not keep.
func parts(r *http.Request, use func(*multipart.Part) error) error {
	reader, err := r.MultipartReader()
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	for {
		part, err := reader.NextPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the request's parts: %w", err)
		}
		if err := use(part); err != nil {
			return err
		}
	}
}

func mediaType(r *http.Request) string {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return kind
}
