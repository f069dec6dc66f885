package doctor

import (
	"fmt"
	"net"
	"strings"
)

// Doors are the two listeners.
type Doors struct {
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
	// Proxies is how many networks may say in X-Forwarded-For who calls.
	Proxies int
	// Callbacks are the addresses that the platform is given.
	Callbacks []string
}

// shortestToken is that of 96 random bits in base64.
const shortestToken = 16

// Findings judges who can reach the listeners.
func (d Doors) Findings() []Finding {
	found := d.private()
	for _, address := range d.Callbacks {
		if address != "" && !local(address) && loopback(d.Public) && d.Proxies == 0 {
			found = append(found, Finding{
				Severity: Note, What: "callbacks come through a proxy on this machine that is not trusted to say who calls",
				Why:     "events and logs name the proxy as the sender of every callback",
				Setting: "public.trusted_proxies", Change: "trusted_proxies: [127.0.0.1]",
			})
			break
		}
	}
	return found
}

func (d Doors) private() []Finding {
	if loopback(d.Private) {
		what := "the private listener is on loopback: " + d.Private
		if d.Token == 0 && !d.Tokens {
			what += "; without private.token it answers requests to localhost and loopback addresses only, and the probes"
		}
		return append([]Finding{{What: what}}, d.tokens()...)
	}
	if strings.HasPrefix(d.Private, "unix:") {
		return append([]Finding{{What: "the private listener is a socket, for whom its permissions let in: " + d.Private}}, d.tokens()...)
	}
	f := Finding{What: "the private listener can be reached from other machines by TLS: " + d.Private}
	switch {
	case d.PrivateTLS && d.ClientCerts:
		f.What += ", with a certificate"
	case !d.PrivateTLS:
		f = d.inClear()
	}
	return append([]Finding{f}, d.tokens()...)
}

func (d Doors) tokens() (found []Finding) {
	if d.Token > 0 && d.Token < shortestToken {
		found = append(found, Finding{
			Severity: Warning, What: fmt.Sprintf("the token of the private listener has %d bytes only", d.Token),
			Why: "it can be guessed by whoever reaches the listener", Setting: "private.token",
			Change: "token: file:token.key, with what `openssl rand -hex 16` prints in it",
		})
	}
	for _, name := range d.Expired {
		found = append(found, Finding{
			Severity: Note, What: "the token " + name + " of the private listener has expired",
			Why: "whoever has it is refused", Setting: "private.tokens_file", Change: "`receiver tokens remove " + name + "`, and make another if it is needed",
		})
	}
	return found
}

func (d Doors) inClear() Finding {
	return Finding{
		Severity: Warning, What: fmt.Sprintf("the private listener can be reached from other machines: %s, in clear text", d.Private),
		Why:     "whoever reads its token on the way can see all events and ask about keys",
		Setting: "private.address", Change: "address: 127.0.0.1:8081, or private.tls, for whoever is elsewhere",
	}
}

// loopback says whether a listener is reached from this machine only.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	here, _ := reach(host)
	return err == nil && here
}

// Sealing judges whether what is stored can be proved later: with a key it is sealed, and
// anchors are who else is told.
func Sealing(key bool, anchors int) []Finding {
	switch {
	case !key:
		return []Finding{{
			Severity: Warning, What: "the streams are not sealed",
			Why:     "nobody can prove later that nothing in them was changed or removed",
			Setting: "audit.key", Change: "key: file:log.key, which `receiver audit init` makes",
		}}
	case anchors == 0:
		return []Finding{{
			Severity: Note, What: "the streams are sealed, and nobody else is told of it",
			Why:     "who can write the store and read the log key can write another history and seal that",
			Setting: "audit.anchors", Change: "anchors: [a directory that others keep, a witness, or a stream in another NATS account]",
		}}
	}
	return []Finding{{What: fmt.Sprintf("the streams are sealed, and %d anchors are told of it", anchors)}}
}
