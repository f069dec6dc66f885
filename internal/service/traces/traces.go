// Package traces makes the tracer of a receiver out of its configuration.
package traces

import (
	"github.com/rs/zerolog"

	"receiver/internal/config"
	"receiver/internal/tracing"
	"receiver/internal/version"
)

// New returns the tracer that the configuration asks for; nil if it asks for none.
func New(cfg *config.Config, log zerolog.Logger) *tracing.Tracer {
	c := cfg.Tracing
	program, _ := version.Read()
	headers := make(map[string]string, len(c.Headers))
	for _, h := range c.Headers {
		headers[h.Name] = h.Value.Reveal()
	}
	return tracing.New(tracing.Options{
		Endpoint: c.Endpoint, Headers: headers, Authorities: c.Authorities, Ratio: c.SampleRatio,
		Service: c.ServiceName, Version: program, Log: log,
	})
}
