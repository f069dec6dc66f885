package doctor

import (
	"fmt"
	"net"
	"strings"

	"receiver/internal/words"
)

// Listeners are the public and the private listener.
type Listeners struct {
	// Public and Private are host:port, an empty host being every address; unix:/path; or
	// systemd:name.
	Public, Private string
	// PrivateTLS says that the private listener speaks TLS, and ClientCerts that it asks for
	// certificates of clients.
	PrivateTLS, ClientCerts bool
	// Token is the length of the private listener's bearer token in bytes; 0 is none.
	Token int
	// Tokens says whether there is a file of further tokens, and Expired are the names of those
	// in it that have ended.
	Tokens  bool
	Expired []string
	// Proxies is how many networks may name the caller in X-Forwarded-For.
	Proxies int
	// Callbacks are the addresses that the platform is given.
	Callbacks []string
}

// shortestToken is that of 96 random bits in base64.
const shortestToken = 16

// Findings judges who can reach the listeners.
func (d Listeners) Findings() []Finding {
	found := d.private()
	for _, address := range d.Callbacks {
		if address != "" && !local(address) && loopback(d.Public) && d.Proxies == 0 {
			found = append(found, Finding{
				Severity: Note, What: "callbacks come through a proxy on this machine that is not in trusted_proxies",
				Why:     "events and logs show the address of the proxy as the sender of every callback",
				Setting: "public.trusted_proxies", Change: "trusted_proxies: [127.0.0.1]",
			})
			break
		}
	}
	return found
}

func (d Listeners) private() []Finding {
	if loopback(d.Private) {
		what := "the private listener is on loopback: " + d.Private
		if d.Token == 0 && !d.Tokens {
			what += "; without private.token it answers only requests for localhost and loopback addresses, and the probes"
		}
		return append([]Finding{{What: what}}, d.tokens()...)
	}
	if strings.HasPrefix(d.Private, "unix:") {
		return append([]Finding{{What: "the private listener is a socket, protected by file permissions: " + d.Private}}, d.tokens()...)
	}
	f := Finding{What: "other machines can reach the private listener through TLS: " + d.Private}
	switch {
	case d.PrivateTLS && d.ClientCerts:
		f.What += ", with a client certificate"
	case !d.PrivateTLS:
		f = d.inClear()
	}
	return append([]Finding{f}, d.tokens()...)
}

func (d Listeners) tokens() (found []Finding) {
	if d.Token > 0 && d.Token < shortestToken {
		found = append(found, Finding{
			Severity: Warning, What: "the token of the private listener has only " + words.Count(d.Token, "byte"),
			Why: "a client that reaches the listener can guess it", Setting: "private.token",
			Change: "token: file:token.key, a file with the output of `openssl rand -hex 16`",
		})
	}
	for _, name := range d.Expired {
		found = append(found, Finding{
			Severity: Note, What: "the token " + name + " of the private listener has expired",
			Why: "requests with it are refused", Setting: "private.tokens_file", Change: "`receiver tokens remove " + name + "`, and add a new one if it is needed",
		})
	}
	return found
}

func (d Listeners) inClear() Finding {
	return Finding{
		Severity: Warning, What: fmt.Sprintf("other machines can reach the private listener without TLS: %s", d.Private),
		Why:     "an attacker on the network can read its token, and with it all events",
		Setting: "private.address", Change: "address: 127.0.0.1:8081; or configure private.tls",
	}
}

// loopback says whether a listener is reached from this machine only.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	here, _ := reach(host)
	return err == nil && here
}

// Sealing checks whether stored records can be proved later: with a key they are sealed, and
// anchors get the checkpoints too. Near are the anchors that are folders beside the configuration.
// Forks are the files that keep the proof that a log contradicted itself.
func Sealing(key bool, anchors int, near, forks []string) []Finding {
	var found []Finding
	for _, path := range forks {
		found = append(found, Finding{
			Severity: Error, What: "an audit log was forked, rolled back or rewritten: " + path + " has the proof",
			Why:    "a receiver that sees such a contradiction seals no more of that log",
			Change: "run `receiver audit verify` and find the cause; then move the file away, to where it is kept",
		})
	}
	switch {
	case !key:
		return append(found, Finding{
			Severity: Warning, What: "the streams are not sealed",
			Why:     "without seals it cannot be proved later that no record was changed or removed",
			Setting: "audit.key", Change: "key: file:log.key, made by `receiver audit init`",
		})
	case anchors == 0:
		return append(found, Finding{
			Severity: Warning, What: "the streams are sealed, but no anchor gets the checkpoints",
			Why:     "to put back the store and the checkpoint file together leaves no trace, and needs no key",
			Setting: "audit.anchors", Change: "anchors: [a directory with another owner, a witness, or a stream in another NATS account]",
		})
	}
	if len(near) == anchors {
		return append(found, Finding{
			Severity: Note, What: "the streams are sealed, and the checkpoints go only to a folder beside the configuration: " + near[0],
			Why:     "an attacker with the account of the receiver can put it back together with the store",
			Setting: "audit.anchors", Change: "anchors: [a directory on a write-once share, a witness, or a stream in another NATS account]",
		})
	}
	return append(found, Finding{What: "the streams are sealed, and the checkpoints go to " + words.Count(anchors, "anchor")})
}
