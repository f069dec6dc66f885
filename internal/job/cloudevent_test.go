package job_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"receiver/internal/job"
)

// TestCloudEventData: JSON stays JSON, byte for byte; everything else is kept exactly, too.
func TestCloudEventData(t *testing.T) {
	for name, row := range map[string]struct {
		contentType, data, raw string // raw is what the event has as data; empty means data_base64
	}{
		"JSON":                  {"application/json", `{"id": 7, "n": 1.50}`, `{"id": 7, "n": 1.50}`},
		"a type with a charset": {"application/json; charset=utf-8", `{"a":"ä"}`, `{"a":"ä"}`},
		"another type of JSON":  {"application/problem+json", `[1]`, `[1]`},
		"a byte order mark":     {"application/json", "\xef\xbb\xbf{}", `{}`},
		"not JSON":              {"application/json", `{"id":`, ""},
		"not UTF-8":             {"application/json", "\"\xff\"", ""},
		"text":                  {"text/plain", `{}`, ""},
		"an unknown type":       {"?", `{}`, ""},
	} {
		e := job.Event{Kind: job.Finished, Source: "demo", Job: job.View{ID: "7"}, Time: time.Now(), ContentType: row.contentType, Data: []byte(row.data)}
		body, err := job.CloudEvent(e.Header().Map(), e.Data)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got struct {
			Data   json.RawMessage `json:"data"`
			Base64 *string         `json:"data_base64"`
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Errorf("%s: CloudEvent = %s: %v", name, body, err)
			continue
		}
		if row.raw != "" {
			if string(got.Data) != row.raw || got.Base64 != nil {
				t.Errorf("%s: data = %s, want %s alone", name, got.Data, row.raw)
			}
			continue
		}
		if got.Base64 == nil || *got.Base64 != base64.StdEncoding.EncodeToString([]byte(row.data)) || got.Data != nil {
			t.Errorf("%s: CloudEvent = %s, want data_base64 of %q alone", name, body, row.data)
		}
	}
}

// TestCloudEventAttributes: a consumer of the event gets every attribute and header that a consumer
// of NATS gets, decoded, and nothing of the server's own.
func TestCloudEventAttributes(t *testing.T) {
	e := job.Event{
		Kind: job.Finished, Source: "demo", Job: job.View{ID: `a b"%.é`, Status: "WARTE %", Result: "unknown"}, Time: time.Unix(0, 0), Evidence: job.ByCallback,
		Receipt: &job.Receipt{Signature: "sha256=abc", Received: time.Unix(0, 0), Request: `{"Host":["x"]}`},
	}
	h := e.Header().Map()
	h["Nats-Expected-Last-Subject-Sequence"] = []string{"0"}
	body, err := job.CloudEvent(h, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatalf("CloudEvent = %s: %v", body, err)
	}
	for name, want := range map[string]string{
		"specversion": "1.0", "id": e.ID(), "source": "demo", "subject": e.Job.ID, "status": "WARTE %", "result": "unknown",
		"receiversignature": "sha256=abc", "receiverrequest": `{"Host":["x"]}`, "time": "1970-01-01T00:00:00Z",
	} {
		if got[name] != want {
			t.Errorf("%s = %q, want %q", name, got[name], want)
		}
	}
	if len(got) != len(h)-1 || strings.Contains(string(body), "Nats-") {
		t.Errorf("CloudEvent = %s, want one attribute for each of %d headers", body, len(h)-1)
	}
	if got, want := job.GlobalID(h), "demo."+e.ID(); got != want {
		t.Errorf("GlobalID = %q, want %q", got, want)
	}
	h["ce-status"] = []string{"%zz"}
	if _, err := job.CloudEvent(h, nil); err == nil {
		t.Error("CloudEvent of a header that this program did not write = nil, want an error")
	}
}

// TestDeliveryIsReadWhereItBelongs: a record says where it is stored, and counts nowhere else.
func TestDeliveryIsReadWhereItBelongs(t *testing.T) {
	for _, d := range []job.Delivery{
		{Sink: "orders", Job: "demo.7", Next: 3, Last: 9, Tries: 2, Error: "answered 500"},
		{Sink: "orders", Job: "demo.~YS5i", Next: 3, Last: 3, GivenUp: true},
	} {
		data, err := d.Data()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := job.ParseDelivery(d.Subject(), data); err != nil || got != d {
			t.Errorf("ParseDelivery = %+v, %v, want %+v", got, err, d)
		}
		for _, subject := range []string{"sinks.other.retrying.demo.7", d.Subject() + "1", "sinks.orders", ""} {
			if _, err := job.ParseDelivery(subject, data); err == nil {
				t.Errorf("ParseDelivery of %q with the record of %q = nil, want an error", subject, d.Subject())
			}
		}
	}
	for _, data := range []string{
		`{`, `{"sink":"a","job":"demo","next":1,"last":1}`, `{"sink":"a","job":"demo.>","next":1,"last":1}`,
		`{"sink":"a","job":"demo.7","next":0,"last":1}`, `{"sink":"a","job":"demo.7","next":2,"last":1}`,
	} {
		for _, of := range []string{"demo", "demo.>", "demo.7"} {
			if _, err := job.ParseDelivery("sinks.a.retrying."+of, []byte(data)); err == nil {
				t.Errorf("ParseDelivery of %s = nil, want an error", data)
			}
		}
	}
	d := job.Delivery{Job: "demo.~YS5i"}
	if source, id := d.Source(); source != "demo" || id != "a.b" {
		t.Errorf("Source = %q, %q, want demo, a.b", source, id)
	}
}

func TestCutKind(t *testing.T) {
	for subject, want := range map[string][2]string{
		"jobs.demo.7.finished": {"demo.7", "finished"}, "jobs.demo.unrecognised": {"demo", "unrecognised"}, "jobs..lost": {"", "lost"}, "jobs.x": {"x", ""},
	} {
		if of, k := job.CutKind(subject); of != want[0] || string(k) != want[1] {
			t.Errorf("CutKind(%q) = %q, %q, want %q", subject, of, k, want)
		}
	}
}
