// Package anchorstream keeps checkpoints in a stream of a foreign account, and says whether that
// stream could lose them again. It is an anchor.Account.
//
// It never makes, changes or removes a stream.
package anchorstream

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/publish/conn"
	"receiver/internal/publish/reader"
)

// ErrNotAppendOnly is returned by Anchor.Append for a stream from which checkpoints
// could be removed. The error says what to change.
var ErrNotAppendOnly = errors.New("the stream is not append-only")

// Options names the stream of checkpoints in a foreign account.
type Options struct {
	conn.External
	// Stream takes what is published on Subject.<name>.<stream>. The owner of the account makes it;
	// this program never does, since the creator of a stream may remove it.
	Stream, Subject string
}

// Anchor is a connection to a stream of checkpoints in a foreign account, whose owner is trusted
// not to rewrite it together with the receiver. It is safe for concurrent use and must be closed.
type Anchor struct {
	o  Options
	nc *nats.Conn
	js jetstream.JetStream
}

// Dial tries to connect, once to each server. If none answers, it goes on trying in
// the background, and requests meanwhile fail with ErrUnavailable. Dial's error is about
// this side, such as a credentials file that cannot be read.
func Dial(o Options) (*Anchor, error) {
	nc, err := nats.Connect(strings.Join(o.URLs, ","), append([]nats.Option{
		nats.Name("receiver anchor"), nats.Timeout(conn.DialTimeout), nats.RetryOnFailedConnect(true), nats.IgnoreAuthErrorAbort(),
		nats.MaxReconnects(-1), nats.ReconnectWait(anchorReconnect), nats.ReconnectBufSize(-1), nats.PingInterval(conn.PingInterval),
		// The next request returns the error, and its caller reports it.
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}, o.NATSOptions()...)...)
	if err != nil {
		return nil, fmt.Errorf("connecting to the anchor at %s: %w", strings.Join(o.URLs, ", "), err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("using JetStream at the anchor: %w", err)
	}
	return &Anchor{o: o, nc: nc, js: js}, nil
}

// anchorReconnect is the pause between two attempts to reach an anchor.
const anchorReconnect = 2 * time.Second

// Close closes the connection.
func (a *Anchor) Close() { a.nc.Close() }

// Name is the stream and the account's first server, for people.
func (a *Anchor) Name() string { return a.o.Stream + " at " + a.o.URLs[0] }

func (a *Anchor) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return conn.Options{}.WithDefaults().Bound(ctx)
}

// subject is where the checkpoints of the log over one stream are published.
func (a *Anchor) subject(name, stream string) string {
	return strings.Join([]string{a.o.Subject, name, stream}, ".")
}

func (a *Anchor) stream(ctx context.Context) (jetstream.Stream, error) {
	s, err := a.js.Stream(ctx, a.o.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("%w: %s; the owner of the account makes it, see docs/audit.md", conn.ErrMissing, a.Name())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: asking for stream %s: %v%s", conn.ErrUnavailable, a.Name(), err, a.lastError())
	}
	return s, nil
}

// lastError tells why there is no connection, as far as the client knows.
func (a *Anchor) lastError() string {
	if err := a.nc.LastError(); err != nil && !a.nc.IsConnected() {
		return " (" + err.Error() + ")"
	}
	return ""
}

// Append publishes a checkpoint and returns when the stream has acknowledged it. A stream
// that could drop or lose it again is refused: the error is ErrNotAppendOnly. Others are
// ErrMissing and ErrUnavailable. Appending the same again within the stream's window for
// duplicates, two minutes by default, changes nothing.
func (a *Anchor) Append(ctx context.Context, name, stream string, checkpoint []byte) error {
	ctx, cancel := a.bound(ctx)
	defer cancel()
	s, err := a.stream(ctx)
	if err != nil {
		return err
	}
	subject := a.subject(name, stream)
	if weak := weaknesses(s.CachedInfo().Config, subject); len(weak) > 0 {
		return fmt.Errorf("%w: %s: %s", ErrNotAppendOnly, a.Name(), strings.Join(weak, ", "))
	}
	sum := sha256.Sum256(checkpoint)
	msg := &nats.Msg{Subject: subject, Data: checkpoint, Header: nats.Header{nats.MsgIdHdr: {hex.EncodeToString(sum[:])}}}
	if _, err := a.js.PublishMsg(ctx, msg, jetstream.WithExpectStream(a.o.Stream)); err != nil {
		return fmt.Errorf("%w: publishing on %s to %s: %v", conn.ErrUnavailable, subject, a.Name(), err)
	}
	return nil
}

// Since calls yield with every checkpoint that the anchor holds behind a sequence, of the
// receiver called name and of its log over one stream, oldest first. An anchor
// that ends before that sequence was made anew, and is read from its first. The errors are
// ErrMissing and ErrUnavailable, and yield's.
func (a *Anchor) Since(ctx context.Context, name, stream string, after uint64, yield func(sequence uint64, checkpoint []byte) error) error {
	asking, cancel := a.bound(ctx)
	defer cancel()
	s, err := a.stream(asking)
	if err != nil {
		return err
	}
	last := s.CachedInfo().State.LastSeq
	if after > last {
		after = 0
	}
	from := reader.From{Sequence: after + 1, Subjects: []string{a.subject(name, stream)}}
	return reader.Scan(ctx, a.js, a.o.Stream, from, last, func(m *jetstream.RawStreamMsg) error { return yield(m.Sequence, m.Data) })
}

// All calls yield with every checkpoint that the anchor holds, of all receivers and logs, oldest
// first. The errors are those of Since.
func (a *Anchor) All(ctx context.Context, yield func(sequence uint64, name, stream string, stored time.Time, checkpoint []byte) error) error {
	asking, cancel := a.bound(ctx)
	defer cancel()
	s, err := a.stream(asking)
	if err != nil {
		return err
	}
	from := reader.From{Sequence: 1, Subjects: []string{a.subject("*", "*")}}
	return reader.Scan(ctx, a.js, a.o.Stream, from, s.CachedInfo().State.LastSeq, func(m *jetstream.RawStreamMsg) error {
		name, stream, _ := strings.Cut(strings.TrimPrefix(m.Subject, a.o.Subject+"."), ".")
		return yield(m.Sequence, name, stream, m.Time, m.Data)
	})
}

// weaknesses are the settings by which a stream could lose a checkpoint, each with the
// value that it should have. nats-server refuses to take back deny_delete and deny_purge.
func weaknesses(c jetstream.StreamConfig, subject string) []string {
	var weak []string
	for _, s := range []struct {
		wrong  bool
		should string
	}{
		{!c.DenyDelete, "deny_delete must be true"},
		{!c.DenyPurge, "deny_purge must be true"},
		{c.Retention != jetstream.LimitsPolicy, "retention must be limits"},
		{c.Storage != jetstream.FileStorage, "storage must be file"},
		{c.MaxAge > 0, "max_age must be 0"},
		{c.MaxMsgs > 0 && c.Discard != jetstream.DiscardNew, "max_msgs must be -1, or discard new"},
		{c.MaxBytes > 0 && c.Discard != jetstream.DiscardNew, "max_bytes must be -1, or discard new"},
		{c.MaxMsgsPerSubject > 0, "max_msgs_per_subject must be -1"},
		{c.AllowMsgTTL, "allow_msg_ttl must be false"},
		{c.NoAck, "no_ack must be false"},
		{c.Sealed, "it is sealed, and accepts no messages"},
		{c.SubjectTransform != nil, "subject_transform must be absent"},
		{!reader.Covers(c.Subjects, subject), "its subjects must cover " + subject},
	} {
		if s.wrong {
			weak = append(weak, s.should)
		}
	}
	return weak
}

// Facts is what an anchor says of itself.
type Facts struct {
	// URL is the server that was reached, without credentials.
	URL string
	// Account is the account that we are in there; empty where the server does not tell.
	Account string
	// Weak are the settings by which the stream could lose checkpoints; none is good.
	Weak []string
	// MayRewrite is true if our credentials may remove the stream or change its limits, and
	// Known is false if the server does not tell what they may.
	MayRewrite, Known bool
	// Removed is how many messages the stream once held and does not any more.
	Removed uint64
}

// Facts asks an anchor about itself. It changes nothing. The errors are ErrMissing and
// ErrUnavailable.
func (a *Anchor) Facts(ctx context.Context, name, stream string) (Facts, error) {
	ctx, cancel := a.bound(ctx)
	defer cancel()
	f := Facts{URL: a.nc.ConnectedUrlRedacted()}
	s, err := a.stream(ctx)
	if err != nil {
		return f, err
	}
	info := s.CachedInfo()
	f.Weak = weaknesses(info.Config, a.subject(name, stream))
	f.Removed = info.State.LastSeq + 1 - max(info.Config.FirstSeq, 1) - info.State.Msgs
	user, err := conn.WhoAmI(ctx, a.nc)
	if err != nil {
		return f, nil // it may be forbidden to ask
	}
	f.Account, f.Known = user.Account, true
	for _, verb := range []string{"DELETE", "UPDATE"} {
		f.MayRewrite = f.MayRewrite || may(user, conn.Options{}.API("STREAM."+verb+"."+a.o.Stream))
	}
	return f, nil
}

// may reports whether the user may publish on a subject.
func may(u conn.User, subject string) bool {
	if u.Permissions == nil || u.Permissions.Publish == nil {
		return true
	}
	p := u.Permissions.Publish
	return (len(p.Allow) == 0 || reader.Covers(p.Allow, subject)) && !reader.Covers(p.Deny, subject)
}
