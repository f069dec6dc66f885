package logging

import (
	std "log"
	"strings"

	"github.com/rs/zerolog"
)

// Std returns a logger of the standard library whose lines are warnings of log, and errors where
// they report a panic.
func Std(log zerolog.Logger, from string) *std.Logger {
	return std.New(lineWriter{log, from}, "", 0)
}

type lineWriter struct {
	log  zerolog.Logger
	from string
}

// Write implements io.Writer.
func (w lineWriter) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	level := zerolog.WarnLevel
	if strings.Contains(text, "panic") {
		level = zerolog.ErrorLevel
	}
	w.log.WithLevel(level).Str("from", w.from).Msg(text)
	return len(line), nil
}
