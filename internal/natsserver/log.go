package natsserver

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

// serverLog passes the messages of the embedded server to this program's log. Notices become debug
// messages; warnings and errors keep their level.
type serverLog struct {
	log   zerolog.Logger
	last  atomic.Value // string: the last error, to explain a failed start
	fatal atomic.Bool  // the server gave up
	write atomic.Value // string: the first write that failed, after which its stream takes no more
}

// failedWrite is the first write that failed; empty if none has.
func (l *serverLog) failedWrite() string {
	s, _ := l.write.Load().(string)
	return s
}

func (l *serverLog) lastError() string {
	if s, ok := l.last.Load().(string); ok {
		return s
	}
	return "not ready in time"
}

func (l *serverLog) put(e *zerolog.Event, format string, v []any) {
	e.Str("from", "nats-server").Msg(fmt.Sprintf(format, v...))
}

// Noticef logs at debug level.
func (l *serverLog) Noticef(format string, v ...any) { l.put(l.log.Debug(), format, v) }

// Debugf logs at debug level.
func (l *serverLog) Debugf(format string, v ...any) { l.put(l.log.Debug(), format, v) }

// Tracef logs at trace level.
func (l *serverLog) Tracef(format string, v ...any) { l.put(l.log.Trace(), format, v) }

// Warnf logs at warn level, but for the course of a recovery.
func (l *serverLog) Warnf(format string, v ...any) {
	level := zerolog.WarnLevel
	if ofRecovery.MatchString(fmt.Sprintf(format, v...)) {
		level = zerolog.DebugLevel
	}
	l.put(l.log.WithLevel(level), format, v)
}

// ofRecovery matches the server's lines about an index of a stream that is older than the messages:
// the last process was killed, and the server makes the index again from the messages. There are
// several for each stream, and storefolder logs one in their place. A damaged index stays a
// warning.
var ofRecovery = regexp.MustCompile(`^Filestore \[[^\]]+\] (Stream state (outdated|detected prior state|block does not exist)` +
	`|Recovering [A-Za-z ]*state from index errored: prior state file$|(TTL|Message scheduling|Sourcing) state is outdated)`)

// Errorf logs at error level and remembers the message.
func (l *serverLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	if byClient.MatchString(text) {
		l.client(text)
		return
	}
	l.last.Store(text)
	for _, arg := range v {
		if err, ok := arg.(error); ok && ofMessages(err) {
			l.write.CompareAndSwap(nil, text)
		}
	}
	l.put(l.log.Error(), format, v)
}

// ofMessages reports whether an error is that of a system call on a file of a stream's messages. A
// failed write of a staged batch does no harm, and after a missing file the server goes on writing.
func ofMessages(err error) bool {
	var failed *fs.PathError
	if !errors.As(err, &failed) || errors.Is(err, fs.ErrNotExist) {
		return false
	}
	return messagesOf.MatchString(filepath.ToSlash(failed.Path))
}

// messagesOf matches the files of a stream's messages.
var messagesOf = regexp.MustCompile(`/streams/[^/]+/msgs/[^/]+$`)

// byClient matches what the server logs as errors of a client's connection: any client can cause
// such lines.
var byClient = regexp.MustCompile(`^\S* ?- cid:\d+ - `)

// client logs an error of a client's connection. The filter logs refusals itself.
func (l *serverLog) client(text string) {
	level := zerolog.WarnLevel
	if strings.HasSuffix(text, server.ErrAuthentication.Error()) {
		level = zerolog.DebugLevel
	}
	l.log.WithLevel(level).Str("from", "nats-server").Msg(text)
}

// Fatalf does what Errorf does and makes Start fail; nats-server would end the process here.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.Errorf(format, v...)
	l.fatal.Store(true)
}
