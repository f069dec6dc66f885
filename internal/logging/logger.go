package logging

import (
	"bytes"
	"io"
	"log"
	"time"

	"github.com/rs/zerolog"

	"receiver/internal/plain"
)

// Open returns a log to w, as New does, that never blocks, and its writer, which the caller closes.
// Lines that libraries write to the log of the standard library go there too.
func Open(w io.Writer, level, format string) (zerolog.Logger, *Writer) {
	terminal := plain.IsTerminal(w)
	to := NewWriter(w, func(lines uint64) []byte {
		var note bytes.Buffer
		l := logger(&note, terminal, level, format)
		l.Warn().Uint64("lines", lines).Msg("log lines were dropped because the log could not be written")
		return note.Bytes()
	})
	l := logger(to, terminal, level, format)
	log.SetFlags(0)
	log.SetOutput(Std(l, "library").Writer())
	return l, to
}

// New returns a log to w of what is of a level and above it: lines of JSON for the format json,
// lines for people for console, and else these on a terminal only, in colour. Nothing in them is
// obeyed by what shows them.
func New(w io.Writer, level, format string) zerolog.Logger {
	return logger(w, plain.IsTerminal(w), level, format)
}

func logger(w io.Writer, terminal bool, level, format string) zerolog.Logger {
	from, err := zerolog.ParseLevel(level)
	if err != nil {
		from = zerolog.InfoLevel // the configuration is checked; this is for the zero value
	}
	if format == "console" || format != "json" && terminal {
		w = zerolog.ConsoleWriter{Out: w, NoColor: !terminal, TimeFormat: "15:04:05.000", FormatPrepare: plainLine}
	} else {
		w = plainLines{w}
	}
	return zerolog.New(w).Level(from).Hook(stamp{})
}

// plainLines writes lines of JSON in which nothing that strangers sent stands raw which a terminal
// or a reader of the log could obey.
type plainLines struct{ w io.Writer }

// Write implements io.Writer.
func (p plainLines) Write(line []byte) (int, error) {
	if _, err := p.w.Write(plain.JSON(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}

// plainLine does so for a line that is written for people, whose other texts zerolog quotes.
func plainLine(line map[string]any) error {
	for name, value := range line {
		if _, text := value.(string); !text || name == zerolog.MessageFieldName {
			line[name] = plainValue(value)
		}
	}
	return nil
}

// plainValue returns a JSON value with its texts, and the names of its members, escaped.
func plainValue(value any) any {
	switch v := value.(type) {
	case string:
		return plain.Text(v)
	case []any:
		for i := range v {
			v[i] = plainValue(v[i])
		}
	case map[string]any:
		escaped := make(map[string]any, len(v))
		for name, member := range v {
			escaped[plain.Text(name)] = plainValue(member)
		}
		return escaped
	}
	return value
}

// stamp gives a line of the log its time.
type stamp struct{}

// Run implements zerolog.Hook.
func (stamp) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	var room [len("2006-01-02T15:04:05.000Z")]byte
	e.Bytes(zerolog.TimestampFieldName, appendTime(room[:0], time.Now()))
}

// appendTime appends a time as RFC 3339 in UTC with milliseconds, since callbacks come
// faster than once a second. zerolog's TimeFieldFormat would take 80 ns more for each line.
func appendTime(to []byte, at time.Time) []byte {
	at = at.UTC()
	to = at.AppendFormat(to, time.RFC3339)
	ms := at.Nanosecond() / int(time.Millisecond)
	return append(to[:len(to)-1], '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10), 'Z')
}
