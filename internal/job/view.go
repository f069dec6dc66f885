package job

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// maxView bounds the view in a header, to leave room for the other headers under the
// 64 KiB that JetStream stores with one message. Without its payload, error and
// message a view that Read made is far below it.
const maxView = 32 << 10

// View is what is known of a job at one moment, in one shape for both
// generations of the platform's field names. Its JSON is the `receiver-job` header of
// an event and the data of our own events; absent fields are unknown.
type View struct {
	// ID is the platform's job id, as text whatever it was on the wire.
	ID string `json:"id"`
	// Status is the platform's word, verbatim; two that disagree with a slash between them.
	Status string `json:"status,omitempty"`
	// Result is how the job ended; empty while it has not.
	Result Result `json:"result,omitempty"`
	// Object is the platform's object name, such as `contact`.
	Object string `json:"object,omitempty"`
	// Direction is UPLOAD or DOWNLOAD.
	Direction string `json:"direction,omitempty"`
	// Records is the number of rows, failures included (contract (b) row 22).
	Records *int64 `json:"records,omitempty"`
	// Failed is the number of rows that failed; where the platform gives several, the largest.
	Failed *int64 `json:"failed,omitempty"`
	// Warned is the number of rows with a warning.
	Warned *int64 `json:"warned,omitempty"`
	// Error is the platform's text about what went wrong.
	Error string `json:"error,omitempty"`
	// Message is any further text of the platform.
	Message string `json:"message,omitempty"`
	// FileFormat is the format of the job's file, such as `csv`.
	FileFormat string `json:"file_format,omitempty"`
	// Instance is the id of the connector instance.
	Instance string `json:"instance,omitempty"`
	// VendorJob is the vendor's own id of the job.
	VendorJob string `json:"vendor_job,omitempty"`
	// Started and Ended are the platform's times: RFC 3339 where it gave
	// milliseconds, else its own text.
	Started string `json:"started,omitempty"`
	Ended   string `json:"ended,omitempty"`
	// Submission is our own id of the submission; only in the submitted event.
	Submission string `json:"submission,omitempty"`
	// Payload is the callback payload given at submission, any JSON.
	Payload json.RawMessage `json:"payload,omitempty"`
	// Cut names the fields that a header had no room for, or that were left out of it
	// because the event's data is encrypted: payload, error or message. They are in the
	// data. Read leaves it empty.
	Cut []string `json:"cut,omitempty"`
}

// UnmarshalJSON reads the names of events that were stored before December 2026, too.
func (v *View) UnmarshalJSON(text []byte) error {
	type plain View
	w := struct {
		*plain
		FileFormat *string `json:"fileFormat"`
		VendorJob  *string `json:"vendorJob"`
	}{(*plain)(v), &v.FileFormat, &v.VendorJob}
	return json.Unmarshal(text, &w)
}

// Class returns what the status means for the life of the job.
func (v View) Class() Class {
	c, _ := Classify(v.Status)
	return c
}

// Over reports whether the job is over.
func (v View) Over() bool { return v.Result != "" }

// SameOutcome reports whether two views tell of one and the same end, or of the
// same step on the way, even if the platform spelt it differently.
func (v View) SameOutcome(w View) bool {
	_, a := Classify(v.Status)
	_, b := Classify(w.Status)
	return a == b && v.Result == w.Result
}

// appendTo appends the view as JSON in ASCII of at most maxView bytes.
func (v View) appendTo(h Header) Header {
	v.leaveOutLong()
	began := len(h)
	h = v.appendHarmless(h)
	for _, name := range texts {
		if len(h)-began > maxView {
			v.leaveOut(name)
			h = v.appendHarmless(h[:began])
		}
	}
	return h
}

// texts are the fields that may hold what people wrote, and as much as they like.
var texts = [...]string{"payload", "error", "message"}

// sparse is appendTo without any of the texts.
func (v View) sparse(h Header) Header {
	for _, name := range texts {
		v.leaveOut(name)
	}
	return v.appendTo(h)
}

// leaveOutLong takes out the texts that appendTo would leave out one by one because one of them
// alone is too long, without writing them first: escaped, each can be six times as long.
func (v *View) leaveOutLong() {
	if len(v.Payload) > maxView {
		var plain bytes.Buffer // a payload is written without white space
		if json.Compact(&plain, v.Payload) == nil {
			v.Payload = plain.Bytes()
		}
	}
	lengths := [...]int{len(v.Payload), len(v.Error), len(v.Message)} // in the order of texts
	for last := len(lengths) - 1; last >= 0; last-- {
		if lengths[last] > maxView {
			for _, name := range texts[:last+1] {
				v.leaveOut(name)
			}
			return
		}
	}
}

// leaveOut takes out one of the texts, and names it as cut if it was there.
func (v *View) leaveOut(name string) {
	there := false
	switch name {
	case "payload":
		there, v.Payload = v.Payload != nil, nil
	case "error":
		there, v.Error = v.Error != "", ""
	case "message":
		there, v.Message = v.Message != "", ""
	}
	if there {
		v.Cut = append(v.Cut, name)
	}
}

func (v *View) appendHarmless(h Header) Header {
	began := len(h)
	h = v.appendJSON(h)
	if !bytes.Contains(h[began:], []byte(ServerPrefix)) {
		return h
	}
	return append(h[:began], harmless(HeaderJob, string(h[began:]))...)
}

// appendJSON appends what encoding/json makes of the view, in ASCII. It is written by hand:
// by reflection it costs as much as all the other headers of an event.
func (v *View) appendJSON(h Header) Header {
	h = append(h, `{"id":`...)
	h = AppendString(h, v.ID)
	for _, m := range [...]struct{ name, value string }{
		{"status", v.Status}, {"result", string(v.Result)}, {"object", v.Object}, {"direction", v.Direction},
	} {
		h = appendText(h, m.name, m.value)
	}
	h = appendCount(h, "records", v.Records)
	h = appendCount(h, "failed", v.Failed)
	h = appendCount(h, "warned", v.Warned)
	for _, m := range [...]struct{ name, value string }{
		{"error", v.Error}, {"message", v.Message}, {"file_format", v.FileFormat}, {"instance", v.Instance},
		{"vendor_job", v.VendorJob}, {"started", v.Started}, {"ended", v.Ended}, {"submission", v.Submission},
	} {
		h = appendText(h, m.name, m.value)
	}
	if len(v.Payload) > 0 {
		if payload, err := json.Marshal(v.Payload); err == nil { // else it is no JSON, and Read takes none such
			h = append(appendMember(h, "payload"), ASCIIJSON(payload)...)
		}
	}
	if len(v.Cut) > 0 {
		names, _ := json.Marshal(v.Cut) // texts are always marshalled
		h = append(appendMember(h, "cut"), ASCIIJSON(names)...)
	}
	return append(h, '}')
}

func appendMember(h Header, name string) Header {
	return append(append(append(h, `,"`...), name...), `":`...)
}

func appendText(h Header, name, value string) Header {
	if value == "" {
		return h
	}
	return AppendString(appendMember(h, name), value)
}

func appendCount(h Header, name string, n *int64) Header {
	if n == nil {
		return h
	}
	return strconv.AppendInt(appendMember(h, name), *n, 10)
}

// verbatim are the characters that encoding/json writes as they are.
var verbatim = setOf(" !#$%'()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~")

// AppendString appends s as a JSON string in printable ASCII, otherwise as encoding/json writes it.
func AppendString[T ~[]byte](to T, s string) T {
	if verbatim.holds(s) {
		return append(append(append(to, '"'), s...), '"')
	}
	quoted, _ := json.Marshal(s) // a string is always marshalled
	return append(to, ASCIIJSON(quoted)...)
}

// whole returns the view with what was cut from it, if data is the platform's word
// that it was read from. Nothing is judged anew: the event says what its reader made of it.
func (v View) whole(data []byte) View {
	if len(v.Cut) == 0 {
		return v
	}
	if w, err := Read(data); err == nil && w.ID == v.ID && strings.HasPrefix(w.Status+"/", v.Status+"/") {
		v.Payload, v.Error, v.Message, v.Cut = w.Payload, w.Error, w.Message, nil
		return v
	}
	if v.Submission != "" { // our own words for what we submitted
		var own struct{ Payload json.RawMessage }
		if json.Unmarshal(data, &own) == nil && own.Payload != nil {
			v.Payload, v.Cut = own.Payload, nil
		}
	}
	return v
}
