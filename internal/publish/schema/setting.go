package schema

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/publish/conn"
)

// setting is a part of a stream's configuration that we have a say in.
type setting struct {
	name  string
	value func(*jetstream.StreamConfig) any
	// breaks are streams of which another value breaks a promise (uniqueness or keeping)
	// rather than being an operator's choice.
	breaks func(stream string) bool
	// set takes the value over from another configuration; nil where a stream cannot be
	// changed so in place, or where another value means that it is not our stream.
	set func(to, from *jetstream.StreamConfig)
	// instead is what to do where set is nil.
	instead string
}

func always(string) bool          { return true }
func never(string) bool           { return false }
func unlessBounded(s string) bool { return s != conn.AttemptsStream }

const (
	recopy     = "replace the stream with `receiver streams copy`, which keeps its sequences: see docs/operations.md, \"A stream that cannot be changed in place\""
	notOurs    = "the stream belongs to another program, or was edited: undo the edit with `nats stream edit`, or give the receiver its own account"
	standAlone = "a single NATS server keeps one copy: run three in a cluster, or set nats.replicas to 1"
	tooOld     = "the server is older than 2.12: update it first"
)

// settings are all of them, in the order in which they are shown.
var settings = []setting{
	{"subjects", func(c *jetstream.StreamConfig) any {
		return strings.Join(slices.Sorted(slices.Values(c.Subjects)), " ")
	}, always, nil, notOurs},
	{"retention", func(c *jetstream.StreamConfig) any { return c.Retention }, always, nil, recopy},
	{"max_msgs_per_subject", func(c *jetstream.StreamConfig) any { return count(c.MaxMsgsPerSubject) }, always,
		func(to, from *jetstream.StreamConfig) { to.MaxMsgsPerSubject = from.MaxMsgsPerSubject }, ""},
	{"no_ack", func(c *jetstream.StreamConfig) any { return c.NoAck }, always,
		func(to, from *jetstream.StreamConfig) { to.NoAck = from.NoAck }, ""},
	{"sealed", func(c *jetstream.StreamConfig) any { return c.Sealed }, always, nil, recopy},
	{"mirror", func(c *jetstream.StreamConfig) any { return c.Mirror != nil }, always, nil, notOurs},
	{"sources", func(c *jetstream.StreamConfig) any { return len(c.Sources) }, always, nil, notOurs},
	{"subject_transform", func(c *jetstream.StreamConfig) any { return c.SubjectTransform != nil }, always, nil, notOurs},
	{"max_bytes", func(c *jetstream.StreamConfig) any { return count(c.MaxBytes) }, unlessBounded,
		func(to, from *jetstream.StreamConfig) { to.MaxBytes = from.MaxBytes }, ""},
	{"max_msgs", func(c *jetstream.StreamConfig) any { return count(c.MaxMsgs) }, unlessBounded,
		func(to, from *jetstream.StreamConfig) { to.MaxMsgs = from.MaxMsgs }, ""},
	{"max_age", func(c *jetstream.StreamConfig) any { return age(c.MaxAge) }, never,
		func(to, from *jetstream.StreamConfig) { to.MaxAge = from.MaxAge }, ""},
	{"storage", func(c *jetstream.StreamConfig) any { return c.Storage }, never, nil, recopy},
	{"num_replicas", func(c *jetstream.StreamConfig) any { return c.Replicas }, never,
		func(to, from *jetstream.StreamConfig) { to.Replicas = from.Replicas }, ""},
	{"discard", func(c *jetstream.StreamConfig) any { return c.Discard }, never,
		func(to, from *jetstream.StreamConfig) { to.Discard = from.Discard }, ""},
	{"max_msg_size", func(c *jetstream.StreamConfig) any { return count(c.MaxMsgSize) }, never,
		func(to, from *jetstream.StreamConfig) { to.MaxMsgSize = from.MaxMsgSize }, ""},
	{"allow_atomic", func(c *jetstream.StreamConfig) any { return c.AllowAtomicPublish }, never,
		func(to, from *jetstream.StreamConfig) { to.AllowAtomicPublish = from.AllowAtomicPublish }, ""},
}

// difference is a setting that a stream has otherwise than we would create it.
type difference struct {
	setting    setting
	have, want string
	breaks     bool
}

// String names the setting and both values.
func (d difference) String() string {
	return fmt.Sprintf("%s is %s, want %s", d.setting.name, d.have, d.want)
}

// compare lists how a stream differs from what we would create.
func compare(want, have jetstream.StreamConfig) []difference {
	var all []difference
	for _, s := range settings {
		w, h := fmt.Sprint(s.value(&want)), fmt.Sprint(s.value(&have))
		if w != h {
			all = append(all, difference{setting: s, have: h, want: w, breaks: s.breaks(want.Name)})
		}
	}
	return all
}

// unlimited is how a limit is shown that is none.
const unlimited = "unlimited"

func count[N int32 | int64](n N) string {
	if n < 0 {
		return unlimited
	}
	return strconv.FormatInt(int64(n), 10)
}

func age(d time.Duration) string {
	if d == 0 {
		return unlimited
	}
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = strings.TrimSuffix(text, zero[1:])
		}
	}
	return text
}
