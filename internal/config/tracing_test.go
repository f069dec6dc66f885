package config_test

import (
	"strings"
	"testing"

	"receiver/internal/config"
)

// Tracing is off by default, and no variable of OpenTelemetry turns it on.
func TestTracingIsOffByDefault(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
	c := config.Default()
	if got := c.Tracing; got.Endpoint != "" || got.SampleRatio != 0.01 || got.ServiceName != "receiver" {
		t.Errorf("Default().Tracing = %+v, want no endpoint, 0.01, receiver", got)
	}
}

func TestTracing(t *testing.T) {
	for _, tt := range []struct{ name, text, env, wrong string }{
		{"an endpoint alone", "endpoint: http://otel:4318", "", ""},
		{"a path", "endpoint: https://otel.example.com/otlp", "", ""},
		{"from the environment", "", "RECEIVER_TRACING_ENDPOINT=http://127.0.0.1:4318", ""},
		{"a share from the environment", "", "RECEIVER_TRACING_SAMPLE_RATIO=0.5", ""},
		{"a key in clear text on loopback", "endpoint: http://127.0.0.1:4318\n  headers: [{name: Authorization, value: Bearer 1234567890}]", "", ""},
		{"a key in clear text", "endpoint: http://otel:4318\n  headers: [{name: Authorization, value: Bearer 1234567890}]", "", "tracing.endpoint: would send tracing.headers in clear text"},
		{"another scheme", "endpoint: grpc://otel:4317", "", `tracing.endpoint: "grpc://otel:4317" is neither https nor http`},
		{"credentials", "endpoint: https://me:secret-word@otel:4318", "", "tracing.endpoint: contains credentials"},
		{"a share above 1", "sample_ratio: 1.5", "", "tracing.sample_ratio: 1.5 is too large"},
		{"a negative share", "sample_ratio: -0.1", "", "tracing.sample_ratio: -0.1 is too small"},
		{"no number", "sample_ratio: NaN", "", "tracing.sample_ratio: NaN is too small"},
		{"no name", "headers: [{value: abc}]", "", "tracing.headers[0].name: is empty"},
		{"no value", "headers: [{name: api-key}]", "", "tracing.headers[0].value: is empty"},
		{"a line break in a value", "headers: [{name: api-key, value: \"secret-word\\r\\nHost: x\"}]", "", "tracing.headers[0].value: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, "config.yaml", "tracing:\n  "+tt.text+"\n")
			_, err := config.Load(config.Options{Path: path, Env: strings.Fields(tt.env)})
			if got := complaint(err); tt.wrong == "" && err != nil || !strings.Contains(got, tt.wrong) || strings.Contains(got, "secret-word") {
				t.Errorf("Load complains\n%s\nwant %q, without the secret", got, tt.wrong)
			}
		})
	}
}

func complaint(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
