package doctor

import (
	"fmt"
	"net"
	"time"

	"receiver/internal/words"
)

// Port is the listener of the embedded NATS server.
type Port struct {
	// Address is host:port; an empty host is every address. Empty if nothing listens.
	Address string
	// TLS says whether it is encrypted, Expires when its certificate ends, and Certificates
	// whether clients must show one of their own.
	TLS, Certificates bool
	Expires           time.Time
	// Consumers is how many have a name and credentials.
	Consumers int
	// Unreadable is what is wrong with the files of others; nil if nothing is.
	Unreadable error
	// Connections is how many clients may be connected; 0 is not known.
	Connections int
	// Strangers says whether a client without credentials was let in.
	Strangers bool
}

// portSoon is how long before its end a certificate should be renewed.
const portSoon = 14 * 24 * time.Hour

// Findings judges who reaches the port, and as whom.
func (p Port) Findings(now time.Time) []Finding {
	if p.Address == "" {
		return []Finding{{What: "no NATS port is open: only this process reaches the streams"}}
	}
	found := []Finding{p.reached()}
	if p.Strangers {
		f := Finding{
			Severity: Warning, What: "the NATS port accepts clients without credentials",
			Why:    "every client that reaches it can read all events: the running receiver is an older version",
			Change: "start this version instead, and give each consumer credentials: `receiver consumers add NAME`",
		}
		if !loopback(p.Address) {
			f.Severity = Error
		}
		found = append(found, f)
	}
	if p.Unreadable != nil {
		found = append(found, Finding{
			Severity: Warning, What: "a consumer is refused: " + p.Unreadable.Error(),
			Why: "it gets no events until you remove it and add it again", Change: "`receiver consumers remove NAME`, then `receiver consumers add NAME`",
		})
	}
	return append(found, p.certificate(now)...)
}

func (p Port) reached() Finding {
	who := "any machine that reaches " + p.Address
	if host, _, err := net.SplitHostPort(p.Address); err == nil && (host == "" || everyAddress(host)) {
		who = "any machine, at every address of this machine (" + p.Address + ")"
	}
	if loopback(p.Address) {
		who = "any program on this machine, and no other machine (" + p.Address + ")"
	}
	how := "without TLS"
	if p.TLS {
		how = "through TLS"
	}
	if p.Certificates {
		how += " and with a client certificate"
	}
	let := fmt.Sprintf("consumers with credentials: %d; no other client is accepted", p.Consumers)
	if p.Consumers == 0 {
		let = "no client is accepted, since no consumer has credentials yet (`receiver consumers add NAME`)"
	}
	if p.Connections > 0 {
		let += "; " + words.Count(p.Connections, "connection") + " may be open at once"
	}
	f := Finding{What: "the NATS port can be reached by " + who + ", " + how + "; " + let}
	if !p.TLS && !loopback(p.Address) {
		f.Severity, f.Why = Error, "an attacker on the network can read every event"
		f.Setting, f.Change = "nats.embedded.tls", "cert_file and key_file; or a loopback address"
	}
	return f
}

func everyAddress(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsUnspecified()
}

func (p Port) certificate(now time.Time) []Finding {
	if !p.TLS || p.Expires.IsZero() || p.Expires.Sub(now) > portSoon {
		return nil
	}
	f := Finding{
		Severity: Warning, What: "the certificate of the NATS port expires at " + p.Expires.UTC().Format(time.RFC3339),
		Why:     "after that, consumers cannot connect; callbacks are still accepted",
		Setting: "nats.embedded.tls.cert_file", Change: "renew the certificate file; a running receiver reads it again",
	}
	if !now.Before(p.Expires) {
		f.Severity, f.What, f.Why = Error, "the certificate of the NATS port expired at "+p.Expires.UTC().Format(time.RFC3339), "consumers cannot connect; callbacks are still accepted"
	}
	return []Finding{f}
}
