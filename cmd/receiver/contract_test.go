package main_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rogpeppe/go-internal/testscript"

	"receiver/api"
	"receiver/api/apitest"
)

// contractCommand holds every message in the streams of the receiver that runs in the script's
// folder to api/asyncapi.yaml, and waits until each wanted one is among them: CHANNEL/MESSAGE, the
// subject, or HEADER=VALUE.
func contractCommand(ts *testscript.TestScript, neg bool, args []string) {
	use(ts, neg, true, "contract WANTED…")
	as, err := nats.NkeyOptionFromSeed(ts.MkAbs(filepath.Join("receiver-data", "owner.nk")))
	ts.Check(err)
	nc, err := nats.Connect(ts.Getenv("NATS"), as, nats.Timeout(waitTimeout))
	ts.Check(err)
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(waitTimeout))
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), waitTimeout)
	defer cancel()
	contract, err := apitest.Document(api.AsyncAPI)
	ts.Check(err)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	seen, read := map[string]bool{}, map[string]uint64{}
	for {
		streams := js.ListStreams(ctx)
		for info := range streams.Info() {
			ts.Check(checkStream(ctx, js, contract, info, read, seen))
		}
		ts.Check(streams.Err())
		missing := ""
		for _, want := range args {
			if !seen[want] {
				missing += " " + want
			}
		}
		if missing == "" {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			ts.Fatalf("no message is%s", missing)
		}
	}
}

// checkStream checks what a stream has beyond the sequence up to which it was read.
func checkStream(ctx context.Context, js jetstream.JetStream, contract apitest.Doc, info *jetstream.StreamInfo, read map[string]uint64, seen map[string]bool) error {
	name := info.Config.Name
	if bucket := regexp.MustCompile(`^(?:OBJ|KV)_`).ReplaceAllString(name, ""); bucket != name {
		if contract.At("x-buckets").At(bucket).Text("kind") == "" {
			return errors.New("api/asyncapi.yaml has no bucket " + bucket)
		}
		if bucket != "PAYLOADS" {
			return nil // of the receiver alone
		}
	} else if contract.At("x-streams").At(name).Text("retention") == "" {
		return errors.New("api/asyncapi.yaml has no stream " + name)
	}
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return err
	}
	for n := max(info.State.FirstSeq, read[name]+1); n <= info.State.LastSeq; n++ {
		read[name] = n
		raw, err := stream.GetMsg(ctx, n)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // replaced, as those of WATCH are
		}
		if err != nil {
			return err
		}
		is, err := apitest.Message{Stream: name, Subject: raw.Subject, Header: raw.Header, Data: raw.Data}.Check()
		if err != nil {
			return err
		}
		seen[is], seen[raw.Subject] = true, true
		for header, values := range raw.Header {
			seen[header+"="+values[0]] = true
		}
	}
	return nil
}

// TestScriptsShowEveryMessage holds the scripts to show each message of the contract, and each word
// that a header or a subject may hold, as the real program writes it.
func TestScriptsShowEveryMessage(t *testing.T) {
	t.Parallel()
	wanted := map[string]bool{}
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range regexp.MustCompile(`(?m)^contract (.+)$`).FindAllStringSubmatch(string(text), -1) {
			for word := range strings.FieldsSeq(line[1]) {
				wanted[word] = true
				if verdict, ok := strings.CutPrefix(word, "attempts."); ok {
					wanted["verdict "+verdict[strings.IndexByte(verdict, '.')+1:]] = true
				}
			}
		}
	}
	names, err := apitest.MessageNames()
	if err != nil {
		t.Fatal(err)
	}
	contract, err := apitest.Document(api.AsyncAPI)
	if err != nil {
		t.Fatal(err)
	}
	components := contract.At("components")
	for schema, prefix := range map[string]string{"Result": "ce-result=", "Evidence": "ce-evidence=", "Reason": "ce-reason="} {
		for _, word := range components.At("schemas").At(schema).Texts("enum") {
			names = append(names, prefix+word)
		}
	}
	for _, word := range components.At("parameters").At("verdict").Texts("enum") {
		names = append(names, "verdict "+word)
	}
	elsewhere := map[string]string{
		"anchor/checkpoint":               "TestARollbackOfEverythingIsNamedThroughAnotherAccount",
		"submissions/submission":          "TestSubmissionsAreOfTheContract of package api",
		"sinkRetrying/delivery":           "TestDeliveriesAreOfTheContract of package api",
		"sinkGivenUp/delivery":            "TestDeliveriesAreOfTheContract of package api",
		"actions/sink_replay":             "TestSinksOfARunningReceiver",
		"unrecognisedBefore/unrecognised": "nothing writes it any more",
	}
	for _, kind := range []string{"submitted", "progress", "overdue", "lost", "errors"} {
		elsewhere["replays/"+kind] = "made as replays/finished"
	}
	for _, name := range names {
		if !wanted[name] && elsewhere[name] == "" {
			t.Errorf("no script has `contract` want %s", name)
		}
	}
}
