package job

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// CloudEventType is the media type of what CloudEvent returns.
const CloudEventType = "application/cloudevents+json"

// The beginnings of the names of the headers that an event has.
const (
	attributePrefix = "ce-"
	ownPrefix       = "receiver-"
)

// CloudEvent returns a message of the stream JOBS as one JSON object: a CloudEvents 1.0 event in
// the structured mode. Its attributes are those of the message, without `ce-` and decoded. The
// headers that are ours are attributes, too, without hyphens: `receiver-job` is `receiverjob`. The
// data is JSON if it was, byte for byte, but for a byte order mark; else it is in `data_base64`.
//
// CloudEvents JSON format 1.0.2, section 3.1.
func CloudEvent(header map[string][]string, data []byte) ([]byte, error) {
	get := LookupIn(header)
	out := []byte{'{'}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		value := get(name)
		attribute, ok := strings.CutPrefix(name, attributePrefix)
		if ok {
			var err error
			if value, err = url.PathUnescape(value); err != nil {
				return nil, fmt.Errorf("header %s: %w", name, err)
			}
		} else if strings.HasPrefix(name, ownPrefix) {
			attribute, ok = strings.ReplaceAll(name, "-", ""), true
		}
		if ok {
			out = AppendString(append(AppendString(out, attribute), ':'), value)
			out = append(out, ',')
		}
	}
	plain := bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	contentType, _ := url.PathUnescape(get(headerContentType)) // read above
	switch {
	case len(data) == 0:
		out = bytes.TrimSuffix(out, []byte(","))
	case isJSON(contentType) && utf8.Valid(plain) && json.Valid(plain):
		out = append(append(out, `"data":`...), plain...)
	default:
		out = base64.StdEncoding.AppendEncode(append(out, `"data_base64":"`...), data)
		out = append(out, '"')
	}
	return append(out, '}'), nil
}

// GlobalID returns the source and the id of an event with these headers, joined by a dot: together
// they are unique.
func GlobalID(header map[string][]string) string {
	get := LookupIn(header)
	return get(headerSource) + "." + get(HeaderID)
}

// isJSON reports whether a media type is one of JSON.
func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}
