package natsserver_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"receiver/internal/consumers"
	"receiver/internal/job"
	"receiver/internal/natsserver"
	"receiver/internal/natstest"
	"receiver/internal/publish"
	"receiver/internal/publish/durables"
)

// portRig is a server with an event in JOBS and the consumers a and b, each with a durable of its
// own name.
type portRig struct {
	*natsserver.Server
	*publish.Store
	folder string
	creds  map[string][]byte
}

func newPortRig(t *testing.T) portRig {
	t.Helper()
	return newPortRigWith(t, func(*natsserver.Embedded) {})
}

func newPortRigWith(t *testing.T, change func(*natsserver.Embedded)) portRig {
	t.Helper()
	c := portRig{folder: t.TempDir(), creds: map[string][]byte{}}
	e := natstest.Embedded(c.folder)
	e.Log = zerolog.New(t.Output()).Level(zerolog.ErrorLevel) // the server's messages to consumers fill pages
	change(&e)
	var err error
	if c.Server, err = natsserver.Start(e); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Server.Stop)
	c.Store = natstest.Open(t, c.Server)
	for _, name := range []string{"a", "b"} {
		c.admit(t, name)
	}
	return c
}

func (c portRig) admit(t *testing.T, name string) {
	t.Helper()
	if _, err := c.AddDurable(t.Context(), durables.Durable{Name: name, AckWait: time.Minute, MaxDeliver: -1, MaxAckPending: 100}); err != nil {
		t.Fatal(err)
	}
	_, creds, err := consumers.Add(c.folder, name, []string{name}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c.creds[name] = creds
}

// connect is what a consumer does by the lines that it was given.
func (c portRig) connect(t *testing.T, name string, more ...nats.Option) *nats.Conn {
	t.Helper()
	quiet := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})
	all := append([]nats.Option{nats.UserCredentialBytes(c.creds[name]), nats.CustomInboxPrefix(consumers.Inbox(name)), quiet}, more...)
	nc, err := nats.Connect(c.Server.URL(), all...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// verbs returns the subjects of all requests that this version of nats-server knows, taken from its
// source, so that one that a later version adds is tried too. Names are replaced by %s.
func verbs(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/nats-io/nats-server/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "server", "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				s, _ := strconv.Unquote(literal.Value)
				if (strings.HasPrefix(s, "$JS.") || strings.HasPrefix(s, "$SYS.")) && !strings.ContainsAny(s, " \n") {
					found[strings.ReplaceAll(strings.TrimRight(s, "."), "*", "%s")] = true
				}
			}
			return true
		})
	}
	return slices.Sorted(maps.Keys(found))
}

// spelt fills in the names of streams and durables, in every combination, and both prefixes.
func spelt(verb string) (all []string) {
	all = []string{strings.ReplaceAll(verb, ">", "%s")}
	for len(all) > 0 && strings.Contains(all[0], "%") {
		var next []string
		for _, s := range all {
			before, after, _ := strings.Cut(s, "%")
			names := []string{"JOBS", "a", "b", durables.ReactConsumer}
			if !strings.Contains(before, ".JOBS.") && !strings.HasSuffix(before, "ACK.") {
				names = append(names, "ATTEMPTS", "WATCH", "OBJ_PAYLOADS")
			}
			for _, name := range names {
				next = append(next, before+name+after[1:])
			}
		}
		all = next
	}
	for _, s := range all {
		if rest, ok := strings.CutPrefix(s, "$JS.API."); ok {
			all = append(all, "$JS.receiver.API."+rest, "$JS.consumer.a.API."+rest)
		}
	}
	return all
}

// allowed are the requests that a consumer with one durable, of its name, may make; ">" matches any
// rest.
func allowed(name string) []string {
	return []string{
		"$JS.API.CONSUMER.INFO.JOBS." + name,
		"$JS.API.CONSUMER.MSG.NEXT.JOBS." + name,
		"$JS.API.STREAM.INFO.OBJ_PAYLOADS",
		"$JS.API.STREAM.MSG.GET.OBJ_PAYLOADS",
		"$JS.API.DIRECT.GET.OBJ_PAYLOADS",
		"$JS.API.DIRECT.GET.OBJ_PAYLOADS.>",
		"$JS.ACK.JOBS." + name + ".>",
	}
}

func mayAsk(name, subject string) bool {
	return slices.ContainsFunc(allowed(name), func(a string) bool {
		before, wild := strings.CutSuffix(a, ">")
		return subject == a || wild && strings.HasPrefix(subject, before)
	})
}

// reasonNames collects the permission errors of a client.
type reasonNames struct {
	mu   sync.Mutex
	told map[string]bool
}

func (r *reasonNames) option() nats.Option {
	r.told = map[string]bool{}
	return nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if _, rest, ok := strings.Cut(err.Error(), `Permissions Violation for `); ok {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.told[strings.Split(rest, `"`)[1]] = true
		}
	})
}

// missing returns the subjects for which the client got no error within a minute.
func (r *reasonNames) missing(subjects []string) (left []string) {
	enough := time.After(time.Minute)
	for {
		r.mu.Lock()
		left = slices.DeleteFunc(slices.Clone(subjects), func(s string) bool { return r.told[s] })
		r.mu.Unlock()
		if len(left) == 0 {
			return nil
		}
		select {
		case <-enough:
			return left
		case <-time.After(time.Millisecond):
		}
	}
}

func TestConsumerMayRequestNothingElse(t *testing.T) {
	t.Parallel()
	c := newPortRig(t)
	natstest.Store(t, c.Store, natstest.Largest(natstest.Event(job.Finished, "1", "COMPLETED")))
	if ok, err := c.PutWatch(t.Context(), job.Watch{Source: "demo", Job: "1"}); !ok || err != nil {
		t.Fatalf("PutWatch = %v, %v", ok, err)
	}
	before := c.state(t)
	known := verbs(t)
	if len(known) < 60 {
		t.Fatalf("nats-server has %d verbs: %q", len(known), known)
	}
	// Old spellings, other prefixes and what is no verb at all.
	known = append(known, "$JS.API.CONSUMER.CREATE.JOBS", "$JS.API.CONSUMER.CREATE.JOBS.a", "$JS.API.CONSUMER.CREATE.JOBS.a.jobs.>",
		"$JS.API.CONSUMER.DURABLE.CREATE.JOBS.a", "$JS.API.STREAM.TEMPLATE.CREATE.T", "$JS.API.CONSUMER.MSG.NEXT.JOBS.a.x",
		"$JS.API.CONSUMER.INFO.JOBS.a.x", "$JS.EVENT.ADVISORY.API", "$JS.FC.JOBS.a.x", "$JS.SNAPSHOT.RESTORE.JOBS.x", "$JS..API.STREAM.INFO.JOBS",
		"jobs.demo.9.finished", "attempts.demo.mismatch", "watch.demo.2", "$O.PAYLOADS.C.x", "$KV.a.b", "_INBOX.x", "_INBOX_a.x", "_INBOX_b.x", "_R_.x.y",
		"$SRV.PING", "$MQTT.sub", "$GR.x", "anything", "$SYS.REQ.USER.INFO", "$JS.a.API.CONSUMER.INFO.JOBS.a")
	for _, name := range []string{"a", "b"} {
		var told reasonNames
		nc := c.connect(t, name, told.option())
		var denied []string
		for _, verb := range known {
			for _, subject := range spelt(verb) {
				if mayAsk(name, subject) {
					continue
				}
				denied = append(denied, subject)
				if err := nc.PublishRequest(subject, consumers.Inbox(name)+".answer", []byte(`{"stream_name":"JOBS","config":{"durable_name":"a"}}`)); err != nil {
					t.Fatalf("%s: %v", subject, err)
				}
			}
		}
		if left := told.missing(denied); len(left) > 0 {
			t.Errorf("consumer %s may ask %d of %d: %q", name, len(left), len(denied), left)
		}
		t.Logf("%d verbs, %d subjects refused to %s", len(known), len(denied), name)
	}
	if after := c.state(t); after != before {
		t.Errorf("the store was changed from\n%s\nto\n%s", before, after)
	}
}

// TestConsumerReceivesNothingElse tries what it could listen to: all of it, others' inboxes, events
// as they are published, what the server says to itself, alone and in a queue.
func TestConsumerReceivesNothingElse(t *testing.T) {
	t.Parallel()
	c := newPortRig(t)
	var told reasonNames
	nc := c.connect(t, "a", told.option())
	heard := make(chan *nats.Msg, 100)
	all := []string{
		">", "*", "*.>", "_INBOX.>", "_INBOX_b.>", "_INBOX_a", "_INBOX_a*.>", "_INBOX_*.>", "*.a", "jobs.>", "jobs.*.*.finished", "attempts.>", "watch.>",
		"actions.>", "checkpoints.>", "$JS.>", "$JS.API.>", "$JS.ACK.>", "$JS.EVENT.>", "$JS.FC.>", "$SYS.>", "$O.>", "$KV.>", "_R_.>", "$SRV.>",
		"$JS.API.CONSUMER.MSG.NEXT.JOBS.a", "$JS.consumer.a.>", "$JS.receiver.>",
	}
	for _, subject := range all {
		if _, err := nc.ChanSubscribe(subject, heard); err != nil && !errors.Is(err, nats.ErrBadSubject) {
			t.Fatal(err)
		}
		if _, err := nc.ChanQueueSubscribe(subject, "q", heard); err != nil && !errors.Is(err, nats.ErrBadSubject) {
			t.Fatal(err)
		}
	}
	if left := told.missing(all); len(left) > 0 {
		t.Errorf("a consumer may listen to %q", left)
	}
	natstest.Store(t, c.Store, natstest.Event(job.Finished, "1", "COMPLETED"))
	next(t, c.jetstream(t, "b"), "b")
	natstest.Flush(t, nc)
	select {
	case m := <-heard:
		t.Errorf("consumer a heard %s: %s", m.Subject, m.Data)
	default:
	}
	var many reasonNames
	portRig := c.connect(t, "a", nats.NoReconnect(), many.option())
	for i := range 2000 {
		if _, err := portRig.ChanSubscribe(fmt.Sprintf("_INBOX_a.%d", i), heard); err != nil {
			break
		}
	}
	natstest.Eventually(t, "the server to refuse more subscriptions", func() bool {
		return errors.Is(portRig.LastError(), nats.ErrMaxSubscriptionsExceeded) || portRig.IsClosed()
	})
}

// state describes all that a stranger might change.
func (c portRig) state(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	js := c.Store.JetStream()
	for s := range js.ListStreams(t.Context()).Info() {
		fmt.Fprintf(&all, "%s %d messages to %d %v\n", s.Config.Name, s.State.Msgs, s.State.LastSeq, s.Config.Subjects)
		stream, err := js.Stream(t.Context(), s.Config.Name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range stream.ListConsumers(t.Context()).Info() {
			fmt.Fprintf(&all, "  %s %v delivered %d acknowledged %d paused %v\n", i.Name, i.Config.FilterSubjects, i.Delivered.Consumer, i.AckFloor.Consumer, i.Paused)
		}
	}
	return all.String()
}
