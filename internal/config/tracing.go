package config

import (
	"fmt"
	"strings"
)

// Tracing says where the spans of OpenTelemetry go. Without an Endpoint there are none.
type Tracing struct {
	// Endpoint is a collector for OTLP over HTTP, and Headers are sent with every request to it.
	Endpoint string          `key:"endpoint" form:"collector"`
	Headers  []TracingHeader `key:"headers"`
	// SampleRatio is the share of callbacks and polls that are traced.
	SampleRatio float64 `key:"sample_ratio" default:"0.01" min:"0" max:"1"`
	ServiceName string  `key:"service_name" default:"receiver" form:"key name"`
	// CAFile replaces the system's roots; empty keeps them. Authorities is its content.
	CAFile      Path `key:"ca_file"`
	Authorities []byte
}

// TracingHeader is a header whose value is a secret, such as a key of a collector.
type TracingHeader struct {
	Name  string `key:"name" form:"word"`
	Value Secret `key:"value" form:"header text"`
}

func readCollector(text string) (string, string) {
	u, wrong := readURL(text)
	if wrong == "" && u.Scheme != "https" && u.Scheme != "http" {
		wrong = quote(text) + " is neither https nor http"
	}
	return strings.TrimRight(text, "/"), wrong
}

func readHeaderText(text string) (string, string) {
	_, wrong := readHeader(strings.ReplaceAll(text, " ", ""))
	return text, wrong
}

func (l *loader) checkTracing(c *Config) {
	t := &c.Tracing
	t.Authorities = l.checkAuthorities(c, "tracing.ca_file", t.CAFile)
	for i, h := range t.Headers {
		if at := fmt.Sprintf("tracing.headers[%d]", i); h.Name == "" {
			l.fault(at+".name", "is empty", "the name of a header, such as Authorization")
		} else if Usable(h.Value) == nil && h.Value.Empty() {
			l.fault(at+".value", "is empty", secretAllowed)
		}
	}
	if u, _ := readURL(t.Endpoint); u != nil && u.Scheme == "http" && !loopback(u.Hostname()) && len(t.Headers) > 0 {
		l.fault("tracing.endpoint", "would send tracing.headers in clear text", "https://…, or http:// on loopback")
	}
}
