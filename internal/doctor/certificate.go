package doctor

import (
	"crypto/x509"
	"net"
	"net/url"
	"time"

	"receiver/internal/words"
)

// Certificate is what a listener shows.
type Certificate struct {
	// Listener is public or private.
	Listener string
	Leaf     *x509.Certificate
	// Err is why it cannot be read.
	Err error
	// Ordered says that it is ordered by ACME, and so is in no files of the configuration, and
	// Address where its listener is.
	Ordered bool
	Address string
	// Callbacks are the addresses that the platform is given, if they lead to the listener itself.
	Callbacks []string
}

// Findings judges whether clients believe it, today and in two weeks.
func (c Certificate) Findings() []Finding {
	setting, another := c.Listener+".tls.cert_file", "cert_file: a certificate that includes this name"
	var found []Finding
	if c.Ordered {
		setting, another = c.Listener+".tls.acme", "names: add this name"
		if _, port, err := net.SplitHostPort(c.Address); err == nil && port != "443" {
			found = []Finding{{
				Severity: Note, What: "the ACME authority connects to the certificate's names at port 443, but the " + c.Listener + " listener is at " + c.Address,
				Why: "unless port 443 leads to the listener, no certificate can be ordered", Setting: c.Listener + ".address",
				Change: "forward port 443 without ending TLS, or listen on port 443",
			}}
		}
	}
	if c.Err != nil && c.Ordered {
		return append(found, Finding{
			Severity: Error, What: "the " + c.Listener + " listener has no certificate: " + c.Err.Error(), Why: "no client can connect until one is issued", Setting: setting,
			Change: "run `receiver serve`: its log says why an order fails",
		})
	}
	if c.Err != nil {
		return []Finding{{Severity: Error, What: c.Err.Error(), Why: "serve does not start with this certificate", Setting: setting, Change: "cert_file: a certificate in PEM, and key_file: its key"}}
	}
	of := "the certificate of the " + c.Listener + " listener"
	left, soon := time.Until(c.Leaf.NotAfter), certificateSoon
	if c.Ordered { // it is renewed when a third is left, however short it is
		soon = c.Leaf.NotAfter.Sub(c.Leaf.NotBefore) / 4
	}
	f := Finding{What: of + " ends in " + words.Count(left/(24*time.Hour), "day")}
	switch {
	case left <= 0:
		f = Finding{Severity: Error, What: of + " expired on " + c.Leaf.NotAfter.Format(time.DateOnly), Why: "clients that verify certificates cannot connect", Setting: setting, Change: "renew it; the receiver reads it without a restart"}
	case time.Now().Before(c.Leaf.NotBefore):
		f = Finding{Severity: Error, What: of + " is not valid before " + c.Leaf.NotBefore.Format(time.RFC3339), Why: "clients that verify certificates cannot connect", Setting: setting, Change: "use the previous certificate, or set the clock of this machine"}
	case left <= soon:
		f.Severity, f.Why, f.Setting, f.Change = Warning, "after that, clients that verify certificates cannot connect", setting, "renew it now, and find out why the automatic renewal failed"
	}
	found = append(found, f)
	for _, address := range c.Callbacks {
		u, err := url.Parse(address)
		if err != nil || u.Hostname() == "" || c.Leaf.VerifyHostname(u.Hostname()) == nil {
			continue
		}
		found = append(found, Finding{
			Severity: Warning, What: of + " does not include " + u.Hostname() + ", the name in callback_base_url",
			Why: "a platform that verifies certificates does not call, unless a proxy in front has another certificate", Setting: setting,
			Change: another,
		})
	}
	return found
}
