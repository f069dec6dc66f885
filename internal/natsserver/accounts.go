package natsserver

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats-server/v2/server"

	"receiver/internal/consumers"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/publish/conn"
)

// The embedded server admits the owner and named consumers, and no client without a key. The owner
// is this program, in every process that can read the key in the folder. A consumer has a key of
// its own (internal/consumers) and an account of its own, from which it reaches what consumerAPI
// lists and nothing else.
//
// Denied subjects alone would not achieve that. Inside one account, a client that sends JetStream a
// request may name another client's inbox, or `jobs.…`, as the address for the answer. Between
// accounts an answer goes back to the sender of the request and nowhere else.

// The prefix of requests to JetStream, and those under which the owner's account answers other
// accounts about its streams: under the usual prefix they would reach their own streams. Each
// consumer has a prefix of its own, so that the server counts its pending requests.
const (
	usualAPI     = "$JS.API."
	ownerAPI     = "$JS.receiver.API."
	consumersAPI = "$JS.consumer.*.API."
)

func consumerPrefix(name string) string { return strings.Replace(consumersAPI, "*", name, 1) }

// service is a request that a consumer may send; streamed ones have many answers.
type service struct {
	subject  string
	streamed bool
}

// bodiesAPI are the requests by which a consumer reads the large bodies that events refer to,
// message by message. External senders write those bodies, so a durable on them could deliver bytes
// of their choice to any subject.
var bodiesAPI = []service{
	{usualAPI + "STREAM.INFO.OBJ_" + conn.PayloadBucket, false},
	{usualAPI + "STREAM.MSG.GET.OBJ_" + conn.PayloadBucket, false},
	{usualAPI + "DIRECT.GET.OBJ_" + conn.PayloadBucket, true},
	{usualAPI + "DIRECT.GET.OBJ_" + conn.PayloadBucket + ".>", true},
}

// consumerAPI are the requests that the owner of a durable may send: to read its state and to fetch
// from it. None creates or changes a durable, so none can deliver to a subject of its choice.
func consumerAPI(durable string) []service {
	return []service{
		{usualAPI + "CONSUMER.INFO." + conn.JobsStream + "." + durable, false},
		{usualAPI + "CONSUMER.MSG.NEXT." + conn.JobsStream + "." + durable, true},
	}
}

// acks are the subjects on which the messages of a durable are acknowledged.
func acks(durable string) string { return "$JS.ACK." + conn.JobsStream + "." + durable + ".>" }

// accounts returns the accounts in the server's configuration language: the owner's, and that of
// the connection to the hub if there is one. The consumers' accounts are made when they connect.
func accounts(e *Edge) string {
	uplink, toHub, exports := "", "", new(strings.Builder)
	if e != nil {
		uplink, toHub = e.account()
		for _, subject := range uplinkAPI() {
			fmt.Fprintf(exports, "{service: %q}\n", ownerAPI+subject)
		}
	}
	return fmt.Sprintf(`accounts {
  %[1]s {
    jetstream: enabled
    exports: [
%[2]s]
    imports: [
%[3]s]
    mappings { %[4]q: %[6]q, %[5]q: %[6]q }
  }
%[7]s}
`, storefolder.OwnerAccount, exports, toHub, ownerAPI+">", consumersAPI+">", usualAPI+">", uplink)
}

// accountOf is the name of a consumer's account. It contains the key, so a consumer that is removed
// and added again gets another account.
func accountOf(c consumers.Consumer) string { return "CONSUMER-" + c.Key }

// account returns the account of a consumer, and makes it on first use. It has no JetStream of its
// own, so it can create no stream and no bucket and uses no disk.
func account(ns *server.Server, c consumers.Consumer) (*server.Account, error) {
	name := accountOf(c)
	if a, err := ns.LookupAccount(name); err == nil {
		return a, nil
	}
	owner, err := ns.LookupAccount(storefolder.OwnerAccount)
	if err != nil {
		return nil, err
	}
	a, err := ns.RegisterAccount(name)
	if err != nil {
		return nil, err
	}
	for _, r := range reachable(c) {
		answers := server.Singleton
		if r.streamed {
			answers = server.Streamed
		}
		if err := owner.AddServiceExportWithResponse(r.at(c), answers, nil); err != nil {
			return nil, fmt.Errorf("exporting %s: %w", r.subject, err)
		}
		if err := a.AddServiceImport(owner, r.subject, r.at(c)); err != nil {
			return nil, fmt.Errorf("importing %s: %w", r.subject, err)
		}
	}
	return a, nil
}

// reachable are all requests that a consumer may send.
func reachable(c consumers.Consumer) []service {
	var all []service
	for _, d := range c.Durables {
		all = append(append(all, consumerAPI(d)...), service{subject: acks(d)})
	}
	return append(all, bodiesAPI...)
}

// queued reports whether a request waits in the queue that is shared by all accounts, the owner's
// included.
func (r service) queued() bool { return !r.streamed && strings.HasPrefix(r.subject, usualAPI) }

// at is the subject on which the owner's account takes a consumer's request.
func (r service) at(c consumers.Consumer) string {
	if rest, ok := strings.CutPrefix(r.subject, usualAPI); ok {
		return consumerPrefix(c.Name) + rest
	}
	return r.subject
}

// permissions let a consumer send its requests, acknowledge, and receive answers. Its account
// reaches no more anyway; with permissions a client that tries gets an error.
func permissions(c consumers.Consumer) *server.Permissions {
	var publish []string
	for _, r := range reachable(c) {
		publish = append(publish, r.subject)
	}
	return &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: publish},
		Subscribe: &server.SubjectPermission{Allow: []string{consumers.Inbox(c.Name) + ".>"}},
	}
}
