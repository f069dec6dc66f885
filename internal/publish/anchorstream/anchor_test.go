package anchorstream_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"receiver/internal/publish/anchorstream"
	"receiver/internal/publish/conn"
)

// auditors is the foreign account of a server with two accounts.
type auditors struct {
	t     *testing.T
	ns    *server.Server
	owner jetstream.JetStream
	creds string // of the receiver, to publish and to read
	all   string // the owner's
}

func newAuditors(t *testing.T) *auditors {
	t.Helper()
	operator, err := nkeys.CreateOperator()
	noError(t, err)
	public, _ := operator.PublicKey()
	claims := jwt.NewOperatorClaims(public)
	token, err := claims.Encode(operator)
	noError(t, err)
	trusted, err := jwt.DecodeOperatorClaims(token)
	noError(t, err)
	resolver := &server.MemAccResolver{}
	system, _ := newAccount(t, operator, resolver, false)
	_, account := newAccount(t, operator, resolver, true)
	newAccount(t, operator, resolver, true)
	ns, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, StoreDir: t.TempDir(), JetStream: true, NoLog: true, NoSigs: true,
		TrustedOperators: []*jwt.OperatorClaims{trusted}, AccountResolver: resolver, SystemAccount: system,
	})
	noError(t, err)
	ns.Start()
	if !ns.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server did not get ready")
	}
	t.Cleanup(func() { ns.Shutdown(); ns.WaitForShutdown() })
	a := &auditors{t: t, ns: ns}
	a.all = newUser(t, account, nil)
	a.creds = newUser(t, account, []string{
		"checkpoints.>", "$JS.API.STREAM.INFO.CHECKPOINTS",
		"$JS.API.STREAM.MSG.GET.CHECKPOINTS", "$JS.API.DIRECT.GET.CHECKPOINTS", "$SYS.REQ.USER.INFO",
	})
	nc, err := nats.Connect(ns.ClientURL(), nats.UserCredentials(a.all))
	noError(t, err)
	t.Cleanup(nc.Close)
	a.owner, err = jetstream.New(nc, jetstream.WithDefaultTimeout(time.Minute))
	noError(t, err)
	return a
}

func newAccount(t *testing.T, operator nkeys.KeyPair, r *server.MemAccResolver, store bool) (string, nkeys.KeyPair) {
	t.Helper()
	key, err := nkeys.CreateAccount()
	noError(t, err)
	public, _ := key.PublicKey()
	claims := jwt.NewAccountClaims(public)
	if store {
		claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	}
	token, err := claims.Encode(operator)
	noError(t, err)
	noError(t, r.Store(public, token))
	return public, key
}

// newUser returns the credentials file of a user that may publish on these subjects only, or on
// all.
func newUser(t *testing.T, account nkeys.KeyPair, allow []string) string {
	t.Helper()
	key, err := nkeys.CreateUser()
	noError(t, err)
	public, _ := key.PublicKey()
	claims := jwt.NewUserClaims(public)
	claims.Pub.Allow = allow
	token, err := claims.Encode(account)
	noError(t, err)
	seed, err := key.Seed()
	noError(t, err)
	text, err := jwt.FormatUserConfig(token, seed)
	noError(t, err)
	path := filepath.Join(t.TempDir(), "user.creds")
	noError(t, os.WriteFile(path, text, 0o600))
	return path
}

// stream creates the stream as docs/audit.md says, with one change.
func (a *auditors) stream(change func(*jetstream.StreamConfig)) {
	a.t.Helper()
	cfg := jetstream.StreamConfig{Name: "CHECKPOINTS", Subjects: []string{"checkpoints.>"}, DenyDelete: true, DenyPurge: true}
	if change != nil {
		change(&cfg)
	}
	_, err := a.owner.CreateStream(a.t.Context(), cfg)
	noError(a.t, err)
}

func (a *auditors) dial(creds string) *anchorstream.Anchor {
	a.t.Helper()
	anchor, err := anchorstream.Dial(anchorstream.Options{
		External: conn.External{URLs: []string{a.ns.ClientURL()}, CredentialsFile: creds}, Stream: "CHECKPOINTS", Subject: "checkpoints",
	})
	noError(a.t, err)
	a.t.Cleanup(anchor.Close)
	return anchor
}

func TestAnchorKeepsAppendedCheckpoints(t *testing.T) {
	a := newAuditors(t)
	anchor := a.dial(a.creds)
	since := func(after uint64) (all []string, err error) {
		err = anchor.Since(t.Context(), "eu-1", "JOBS", after, func(sequence uint64, checkpoint []byte) error {
			all = append(all, fmt.Sprintf("%d %s", sequence, checkpoint))
			return nil
		})
		return all, err
	}
	if _, err := since(0); !errors.Is(err, conn.ErrMissing) {
		t.Errorf("Since without a stream = %v, want ErrMissing", err)
	}
	a.stream(nil)
	if all, err := since(0); all != nil || err != nil {
		t.Errorf("Since in an empty stream = %q, %v, want nothing", all, err)
	}
	for _, told := range [][2]string{{"JOBS", "one"}, {"ATTEMPTS", "other"}, {"JOBS", "two"}, {"JOBS", "two"}} {
		noError(t, anchor.Append(t.Context(), "eu-1", told[0], []byte(told[1])))
	}
	noError(t, anchor.Append(t.Context(), "us-1", "JOBS", []byte("another receiver's")))
	for after, want := range map[uint64][]string{0: {"1 one", "3 two"}, 1: {"3 two"}, 3: nil, 4: nil, 9: {"1 one", "3 two"}} {
		if all, err := since(after); !slices.Equal(all, want) || err != nil {
			t.Errorf("Since %d = %q, %v, want %q", after, all, err, want)
		}
	}
	var all []string
	noError(t, anchor.All(t.Context(), func(sequence uint64, name, stream string, stored time.Time, checkpoint []byte) error {
		if age := time.Since(stored); age < 0 || age > time.Hour {
			t.Errorf("All: message %d was stored %v ago", sequence, age)
		}
		all = append(all, fmt.Sprintf("%d %s/%s %s", sequence, name, stream, checkpoint))
		return nil
	}))
	if want := []string{"1 eu-1/JOBS one", "2 eu-1/ATTEMPTS other", "3 eu-1/JOBS two", "4 us-1/JOBS another receiver's"}; !slices.Equal(all, want) {
		t.Errorf("All = %q, want %q", all, want)
	}
	f, err := anchor.Facts(t.Context(), "eu-1", "JOBS")
	if err != nil || len(f.Weak) > 0 || f.MayRewrite || !f.Known || f.Account == "" || f.Removed != 0 {
		t.Errorf("Facts = %+v, %v, want nothing to mend", f, err)
	}
	if f, err := a.dial(a.all).Facts(t.Context(), "eu-1", "JOBS"); err != nil || !f.MayRewrite {
		t.Errorf("Facts with the owner's credentials = %+v, %v, want that they may rewrite it", f, err)
	}
	s, err := a.owner.Stream(t.Context(), "CHECKPOINTS")
	noError(t, err)
	if s.Purge(t.Context()) == nil || s.DeleteMsg(t.Context(), 1) == nil {
		t.Error("the owner of the account could remove a checkpoint")
	}
}

func TestAppendRefusesAStreamThatCouldLoseCheckpoints(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*jetstream.StreamConfig)
		want   string
	}{
		"messages may be deleted": {func(c *jetstream.StreamConfig) { c.DenyDelete = false }, "deny_delete must be true"},
		"it may be purged":        {func(c *jetstream.StreamConfig) { c.DenyPurge = false }, "deny_purge must be true"},
		"messages expire":         {func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }, "max_age must be 0"},
		"old ones are pushed out": {func(c *jetstream.StreamConfig) { c.MaxMsgs = 10 }, "max_msgs must be -1"},
		"one of each is kept":     {func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }, "max_msgs_per_subject must be -1"},
		"it is in memory":         {func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, "storage must be file"},
		"it takes other subjects": {func(c *jetstream.StreamConfig) { c.Subjects = []string{"checkpoints.*"} }, "must cover checkpoints.eu-1.JOBS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAuditors(t)
			a.stream(row.change)
			err := a.dial(a.creds).Append(t.Context(), "eu-1", "JOBS", []byte("one"))
			if !errors.Is(err, anchorstream.ErrNotAppendOnly) || !strings.Contains(err.Error(), row.want) {
				t.Errorf("Append = %v, want ErrNotAppendOnly with %q", err, row.want)
			}
		})
	}
}

func TestAppendWithoutAServerIsUnavailable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	noError(t, err)
	noError(t, l.Close())
	anchor, err := anchorstream.Dial(anchorstream.Options{External: conn.External{URLs: []string{"nats://" + l.Addr().String()}}, Stream: "S", Subject: "s"})
	noError(t, err)
	defer anchor.Close()
	if err := anchor.Append(t.Context(), "eu-1", "JOBS", []byte("one")); !errors.Is(err, conn.ErrUnavailable) {
		t.Errorf("Append = %v, want ErrUnavailable", err)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
