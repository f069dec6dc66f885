package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrNotAppendOnly is returned by Anchor.Tell for a stream that does not keep for good
// what it is told. What to change stands in the error.
var ErrNotAppendOnly = errors.New("the stream does not keep what it is told")

// AnchorOptions says where checkpoints are kept in an account of somebody else.
type AnchorOptions struct {
	External
	// Stream takes what is published on Subject.<name>.<stream>. The owner of the account
	// makes it; this program never does, since who makes a stream may remove it.
	Stream, Subject string
	// Timeout bounds a question whose context has no deadline. Default 5 s.
	Timeout time.Duration
}

// Anchor is a connection to a stream of checkpoints in an account of somebody else, who
// can be trusted not to rewrite it together with us. It is safe for concurrent use and must
// be closed.
type Anchor struct {
	o  AnchorOptions
	nc *nats.Conn
	js jetstream.JetStream
}

// DialAnchor tries to connect, once to each server. If none answers, it goes on trying in
// the background, and what is asked meanwhile fails with ErrUnavailable. The error is for
// what no server has a part in, such as a credentials file that cannot be read.
func DialAnchor(o AnchorOptions) (*Anchor, error) {
	nc, err := nats.Connect(strings.Join(o.URLs, ","), append([]nats.Option{
		nats.Name("receiver anchor"), nats.Timeout(dialPatience), nats.RetryOnFailedConnect(true), nats.IgnoreAuthErrorAbort(),
		nats.MaxReconnects(-1), nats.ReconnectWait(anchorReconnect), nats.ReconnectBufSize(-1), nats.PingInterval(pingInterval),
		// What goes wrong is returned by the next question, and said then.
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}, o.options()...)...)
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
	return Options{Timeout: a.o.Timeout}.withDefaults().bound(ctx)
}

// subject is where the checkpoints of the log over one stream are published.
func (a *Anchor) subject(name, stream string) string {
	return strings.Join([]string{a.o.Subject, name, stream}, ".")
}

func (a *Anchor) stream(ctx context.Context) (jetstream.Stream, error) {
	s, err := a.js.Stream(ctx, a.o.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("%w: %s; whoever owns the account makes it, as docs/audit.md tells", ErrMissing, a.Name())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: asking for stream %s: %v%s", ErrUnavailable, a.Name(), err, a.lastError())
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

// Tell publishes a checkpoint and returns when the stream has acknowledged it. A stream
// that could drop or lose it again is not told: the error is ErrNotAppendOnly. Others are
// ErrMissing and ErrUnavailable. Telling the same again within the stream's window for
// duplicates, two minutes by default, changes nothing.
func (a *Anchor) Tell(ctx context.Context, name, stream string, checkpoint []byte) error {
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
		return fmt.Errorf("%w: publishing on %s to %s: %v", ErrUnavailable, subject, a.Name(), err)
	}
	return nil
}

// All calls yield with every message that the anchor holds of the receiver called name,
// oldest first. The errors are ErrMissing and ErrUnavailable, and yield's.
func (a *Anchor) All(ctx context.Context, name string, yield func(Message) error) error {
	return a.Since(ctx, name, "*", 0, yield)
}

// Since is All of what stands behind a sequence and is of the log over one stream. An anchor
// that ends before it was made anew, and is read from its first.
func (a *Anchor) Since(ctx context.Context, name, stream string, after uint64, yield func(Message) error) error {
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
	from := readFrom{Position: Position{Sequence: after + 1}, subjects: []string{a.subject(name, stream)}}
	return scan(ctx, a.js, a.o.Stream, from, last, yield)
}

// weaknesses are the settings by which a stream could lose what it is told, each with the
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
		{c.Sealed, "it is sealed, and takes nothing any more"},
		{c.SubjectTransform != nil, "subject_transform must be absent"},
		{!covers(c.Subjects, subject), "its subjects must cover " + subject},
	} {
		if s.wrong {
			weak = append(weak, s.should)
		}
	}
	return weak
}

func covers(patterns []string, subject string) bool {
	for _, p := range patterns {
		if matches(p, subject) {
			return true
		}
	}
	return false
}

// matches reports whether a subject is one that a pattern, which may hold wildcards, means.
func matches(pattern, subject string) bool {
	want, have := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range want {
		switch {
		case token == ">":
			return len(have) > i
		case i >= len(have), token != "*" && token != have[i]:
			return false
		}
	}
	return len(want) == len(have)
}

// AnchorFacts is what an anchor says of itself.
type AnchorFacts struct {
	// URL is the server that was reached, without credentials.
	URL string
	// Account is the account that we are in there; empty where the server does not tell.
	Account string
	// Weak are the settings of the stream that let it lose what it is told; none is good.
	Weak []string
	// MayRewrite is true if our credentials may remove the stream or change its limits, and
	// Known is false if the server does not tell what they may.
	MayRewrite, Known bool
	// Removed is how many messages the stream once held and does not any more.
	Removed uint64
}

// Facts asks an anchor about itself. It changes nothing. The errors are ErrMissing and
// ErrUnavailable.
func (a *Anchor) Facts(ctx context.Context, name, stream string) (AnchorFacts, error) {
	ctx, cancel := a.bound(ctx)
	defer cancel()
	f := AnchorFacts{URL: a.nc.ConnectedUrlRedacted()}
	s, err := a.stream(ctx)
	if err != nil {
		return f, err
	}
	info := s.CachedInfo()
	f.Weak = weaknesses(info.Config, a.subject(name, stream))
	f.Removed = info.State.LastSeq + 1 - max(info.Config.FirstSeq, 1) - info.State.Msgs
	user, err := whoami(ctx, a.nc)
	if err != nil {
		return f, nil // it may be forbidden to ask
	}
	f.Account, f.Known = user.Account, true
	for _, verb := range []string{"DELETE", "UPDATE"} {
		f.MayRewrite = f.MayRewrite || user.may(usualAPI+"STREAM."+verb+"."+a.o.Stream)
	}
	return f, nil
}

// user is who a server takes us for. nats-server, events.go, UserInfo.
type user struct {
	Account     string `json:"account"`
	Permissions *struct {
		Publish *struct {
			Allow []string `json:"allow"`
			Deny  []string `json:"deny"`
		} `json:"publish"`
	} `json:"permissions"`
}

// whoami asks the server who we are and what we may.
func whoami(ctx context.Context, nc *nats.Conn) (user, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience) // who must not ask gets no answer
	defer cancel()
	answer, err := nc.RequestWithContext(ctx, "$SYS.REQ.USER.INFO", nil)
	if err != nil {
		return user{}, err
	}
	var info struct {
		Data user `json:"data"`
	}
	err = json.Unmarshal(answer.Data, &info)
	return info.Data, err
}

// may reports whether the user may publish on a subject.
func (u user) may(subject string) bool {
	if u.Permissions == nil || u.Permissions.Publish == nil {
		return true
	}
	p := u.Permissions.Publish
	return (len(p.Allow) == 0 || covers(p.Allow, subject)) && !covers(p.Deny, subject)
}

// Account returns the account that a survey is in; empty where the server does not tell.
func (s *Survey) Account(ctx context.Context) string {
	u, err := whoami(ctx, s.nc)
	if err != nil {
		return ""
	}
	return u.Account
}
