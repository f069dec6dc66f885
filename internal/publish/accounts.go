package publish

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// The embedded server knows two users, each in an account of its own. The owner is
// this program, in every process that can read the key in the folder. The guest is
// whoever connects without a name: consumers and the nats CLI. A guest may read JOBS
// and consume it by its usual name, see new events on `jobs.>`, read the bodies that they
// refer to, but makes no stream or bucket, and cannot write, change or remove what is ours, so that no
// other process of the machine can forge an event.
//
// Denied subjects alone would not do that. Inside one account, whoever asks JetStream
// anything may name `jobs.…` as the address for the answer, which the stream then takes
// for an event, and may answer our own questions. Between accounts an answer goes back
// to where the question came from and nowhere else.
const (
	ownerAccount = "RECEIVER"
	guestAccount = "GUESTS"
)

// The prefix of requests to JetStream, and the one under which the owner's account
// answers guests about our streams: under the usual one they reach their own streams.
const (
	usualAPI = "$JS.API."
	ownerAPI = "$JS.receiver.API."
)

// guestAPI are the requests about our streams that guests may make, by the subject after
// `$JS.API.`; streamed ones have many answers. Nothing here writes to a stream. What a
// push consumer delivers would stay in the owner's account, so guests pull. ATTEMPTS and the
// bodies that events refer to are for reading message by message only: strangers write them,
// and a consumer of them could deliver into JOBS.
var guestAPI = []struct {
	subject  string
	streamed bool
}{
	{"STREAM.INFO.JOBS", false},
	{"STREAM.MSG.GET.JOBS", false},
	{"DIRECT.GET.JOBS", true},
	{"DIRECT.GET.JOBS.>", true},
	{"STREAM.INFO.ATTEMPTS", false},
	{"STREAM.MSG.GET.ATTEMPTS", false},
	{"DIRECT.GET.ATTEMPTS", true},
	{"DIRECT.GET.ATTEMPTS.>", true},
	{"STREAM.INFO.OBJ_PAYLOADS", false},
	{"STREAM.MSG.GET.OBJ_PAYLOADS", false},
	{"DIRECT.GET.OBJ_PAYLOADS", true},
	{"DIRECT.GET.OBJ_PAYLOADS.>", true},
	{"CONSUMER.*.JOBS", false},
	{"CONSUMER.*.JOBS.>", false},
	{"CONSUMER.DURABLE.CREATE.JOBS.*", false},
	{"CONSUMER.MSG.NEXT.JOBS.*", true},
}

// accounts returns the accounts in the server's configuration language: two, and that of
// the line to the hub if there is one. The guests' requests about our streams have their
// prefix changed before they reach anything.
func accounts(e *Edge) string {
	uplink, toHub := "", ""
	if e != nil {
		uplink, toHub = e.account()
	}
	exports, imports, renamed := new(strings.Builder), new(strings.Builder), new(strings.Builder)
	for _, r := range guestAPI {
		answers := ""
		if r.streamed {
			answers = ", response: stream"
		}
		fmt.Fprintf(exports, "{service: %q%s}\n", ownerAPI+r.subject, answers)
		fmt.Fprintf(imports, "{service: {account: %s, subject: %q}}\n", ownerAccount, ownerAPI+r.subject)
		fmt.Fprintf(renamed, "%q: %q\n", usualAPI+r.subject, ownerAPI+strings.ReplaceAll(r.subject, "*", "$1"))
	}
	return fmt.Sprintf(`accounts {
  %[1]s {
    jetstream: enabled
    exports: [ {stream: "jobs.>"}, {service: "$JS.ACK.JOBS.>"}
%[3]s]
    imports: [
%[9]s]
    mappings { %[6]q: %[7]q }
  }
  %[2]s {
    jetstream: enabled
    imports: [ {stream: {account: %[1]s, subject: "jobs.>"}}, {service: {account: %[1]s, subject: "$JS.ACK.JOBS.>"}}
%[4]s]
    mappings {
%[5]s}
  }
%[8]s}
`, ownerAccount, guestAccount, exports, imports, renamed, ownerAPI+">", usualAPI+">", uplink, toHub)
}

// admit lets the owner, by its key, and the guest, without one, into their accounts, and
// us into that of the line to the hub.
func admit(opts *server.Options, owner nkeys.KeyPair, e *Edge) error {
	text := accounts(e)
	if e != nil {
		text += e.leaf()
	}
	if err := opts.ProcessConfigString(text); err != nil {
		return fmt.Errorf("configuring the accounts of the embedded NATS server: %w", err)
	}
	public, err := owner.PublicKey()
	if err != nil {
		return fmt.Errorf("reading the owner's key: %w", err)
	}
	nobody, err := nkeys.CreateUser() // never signs: the guest is let in without
	if err == nil {
		opts.NoAuthUser, err = nobody.PublicKey()
	}
	if err != nil {
		return fmt.Errorf("making the guest's key: %w", err)
	}
	for _, a := range opts.Accounts {
		switch a.Name {
		case ownerAccount:
			opts.Nkeys = append(opts.Nkeys, &server.NkeyUser{Nkey: public, Account: a})
		case guestAccount:
			opts.Nkeys = append(opts.Nkeys, &server.NkeyUser{Nkey: opts.NoAuthUser, Account: a, Permissions: guestPermissions()})
		case uplinkAccount:
			user, err := e.user.PublicKey()
			if err != nil {
				return fmt.Errorf("reading the key for the line to the hub: %w", err)
			}
			opts.Nkeys = append(opts.Nkeys, &server.NkeyUser{Nkey: user, Account: a})
		}
	}
	return nil
}

// guestPermissions deny guests the consumer by which replicas share the work on new
// submissions. They also deny what the guests' account could not reach anyway, so that who
// tries is told, and no guest can show another one an event that is none.
func guestPermissions() *server.Permissions {
	denied := []string{"jobs.>", "attempts.>", "watch.>", "$O." + PayloadBucket + ".>", "$JS.ACK." + JobsStream + "." + ReactConsumer + ".>"}
	for _, stream := range []string{JobsStream, AttemptsStream, WatchStream, "OBJ_" + PayloadBucket} {
		for _, verb := range []string{"CREATE", "UPDATE", "DELETE", "PURGE", "RESTORE", "MSG.DELETE"} {
			denied = append(denied, usualAPI+"STREAM."+verb+"."+stream)
		}
	}
	// A stream of a guest's own could deliver, transformed, what looks like an event to another
	// guest, and take memory and disk. The name that the oldest way to make a consumer is about
	// is in the body, where no permission sees it.
	for _, verb := range []string{"STREAM.CREATE", "STREAM.UPDATE", "STREAM.RESTORE"} {
		denied = append(denied, usualAPI+verb+".>")
	}
	denied = append(denied, usualAPI+"CONSUMER.CREATE."+JobsStream, ownerAPI+"CONSUMER.CREATE."+JobsStream)
	consumer := JobsStream + "." + ReactConsumer
	for _, api := range []string{usualAPI, ownerAPI} {
		for _, verb := range []string{"*", "MSG.NEXT", "DURABLE.CREATE"} {
			denied = append(denied, api+"CONSUMER."+verb+"."+consumer, api+"CONSUMER."+verb+"."+consumer+".>")
		}
	}
	return &server.Permissions{Publish: &server.SubjectPermission{Deny: denied}}
}
