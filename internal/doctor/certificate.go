package doctor

import (
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"time"
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
	setting, another := c.Listener+".tls.cert_file", "cert_file: a certificate for this name too"
	var found []Finding
	if c.Ordered {
		setting, another = c.Listener+".tls.acme", "names: this name too"
		if _, port, err := net.SplitHostPort(c.Address); err == nil && port != "443" {
			found = []Finding{{
				Severity: Note, What: "the authority looks after the certificate's names at port 443, and the " + c.Listener + " listener is at " + c.Address,
				Why: "without a way from there to here no certificate is ordered", Setting: c.Listener + ".address",
				Change: "a forwarding of port 443 that leaves TLS as it is, or port 443 itself",
			}}
		}
	}
	if c.Err != nil && c.Ordered {
		return append(found, Finding{
			Severity: Error, What: "there is no certificate of the " + c.Listener + " listener: " + c.Err.Error(), Why: "nobody connects until one is ordered", Setting: setting,
			Change: "run serve, whose log says why an order fails",
		})
	}
	if c.Err != nil {
		return []Finding{{Severity: Error, What: c.Err.Error(), Why: "serve does not start with it", Setting: setting, Change: "cert_file: a certificate in PEM, and key_file: its key"}}
	}
	of := "the certificate of the " + c.Listener + " listener"
	left, soon := time.Until(c.Leaf.NotAfter), certificateSoon
	if c.Ordered { // it is renewed when a third is left, however short it is
		soon = c.Leaf.NotAfter.Sub(c.Leaf.NotBefore) / 4
	}
	f := Finding{What: fmt.Sprintf("%s ends in %d days", of, int(left/(24*time.Hour)))}
	switch {
	case left <= 0:
		f = Finding{Severity: Error, What: of + " has ended on " + c.Leaf.NotAfter.Format(time.DateOnly), Why: "nobody who checks it connects", Setting: setting, Change: "renew it; it is read again without a restart"}
	case time.Now().Before(c.Leaf.NotBefore):
		f = Finding{Severity: Error, What: of + " is not valid before " + c.Leaf.NotBefore.Format(time.RFC3339), Why: "nobody who checks it connects", Setting: setting, Change: "the one before it, or set this machine's clock"}
	case left <= soon:
		f.Severity, f.Why, f.Setting, f.Change = Warning, "from then on nobody who checks it connects", setting, "renew it now, and see why it was not renewed by itself"
	}
	found = append(found, f)
	for _, address := range c.Callbacks {
		u, err := url.Parse(address)
		if err != nil || u.Hostname() == "" || c.Leaf.VerifyHostname(u.Hostname()) == nil {
			continue
		}
		found = append(found, Finding{
			Severity: Warning, What: of + " is not for " + u.Hostname() + ", which the platform is given",
			Why: "a platform that checks certificates does not call, unless a proxy in front has another one", Setting: setting,
			Change: another,
		})
	}
	return found
}
