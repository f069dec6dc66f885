package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Callback is the address that a source's platform is given for its callbacks.
type Callback struct {
	Source string
	// BaseURL is sources.<name>.callback_base_url, without a token.
	BaseURL string
	// Prefix is public.prefix.
	Prefix string
	// PlatformURL is where the platform is, which may be this machine.
	PlatformURL string
	// Running says whether the receiver itself answers on this machine; if it does not, no
	// answer is expected.
	Running bool
	// Transport makes the requests; nil is that of net/http.
	Transport http.RoundTripper
}

// certificateSoon is how long before its end a certificate is worth a word.
const certificateSoon = 14 * 24 * time.Hour

func (c Callback) finding(s Severity, what, why, change string) []Finding {
	f := Finding{Severity: s, What: "source " + c.Source + ": " + what, Why: why, Change: change}
	switch { // the rest is to be changed in front of us
	case strings.HasPrefix(change, "callback_base_url: "):
		f.Setting = "sources." + c.Source + ".callback_base_url"
	case strings.HasPrefix(change, "prefix: "):
		f.Setting = "public.prefix"
	}
	return []Finding{f}
}

// Look asks the address for /healthz, as the platform would reach it, without a token.
func (c Callback) Look(ctx context.Context) []Finding {
	if c.BaseURL == "" {
		return c.finding(Note, "callback_base_url is not set", "jobs cannot be submitted here: the platform needs an address to call back",
			"callback_base_url: https://…")
	}
	base, err := url.Parse(c.BaseURL)
	if err != nil {
		return c.finding(Error, "callback_base_url is not a URL", "the platform cannot call it", "callback_base_url: https://…")
	}
	if here, private := reach(base.Hostname()); (here || private) && !local(c.PlatformURL) {
		return c.finding(Error, c.BaseURL+" cannot be reached from the internet",
			"the platform is on the internet, so no callback would arrive", "callback_base_url: https://, and the public name of the proxy in front of public.address")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.BaseURL+"/healthz", nil)
	if err != nil {
		return c.finding(Error, "callback_base_url is not a URL", "the platform cannot call it", "callback_base_url: https://…")
	}
	answer, err := c.client().Do(request)
	if err != nil {
		return c.failed(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10)) // half a body is not ours either
	return append(c.answered(answer, body), c.certificate(answer.TLS)...)
}

func (c Callback) client() *http.Client {
	transport := c.Transport
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DisableKeepAlives = true
		transport = t
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// reach says whether a host is this machine, or in a network that the internet does not
// reach.
func reach(host string) (here, private bool) {
	if host == "localhost" {
		return true, false
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false, false
	}
	ip = ip.Unmap()
	return ip.IsLoopback(), ip.IsPrivate() || ip.IsLinkLocalUnicast()
}

// local says whether a URL leads to this machine or its network.
func local(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	here, private := reach(u.Hostname())
	return here || private
}

const fromHere = "checked from this machine; the platform may use another route"

// failed judges that there is no answer.
func (c Callback) failed(err error) []Finding {
	var invalid *tls.CertificateVerificationError
	var dns *net.DNSError
	address := c.BaseURL + "/healthz"
	// The URL stands in it twice otherwise.
	if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	switch {
	case errors.As(err, &invalid):
		return c.finding(Error, fmt.Sprintf("the certificate of %s is not valid: %v", address, invalid.Err),
			"a platform that verifies certificates does not call, and every callback is lost after its retries",
			mend(invalid.Err))
	case errors.Is(err, http.ErrSchemeMismatch):
		return c.finding(Error, address+" does not speak TLS", "the platform cannot connect",
			"callback_base_url: the correct port; or put a proxy with a certificate in front of public.address")
	case errors.As(err, &dns) && dns.IsNotFound:
		return c.finding(Error, "there is no host "+dns.Name, "the platform cannot find it either, unless it uses another DNS",
			"callback_base_url: the correct name; or add the name to the DNS")
	}
	severity, change := Error, "let the proxy in front pass "+address+" on to public.address, and open the firewall"
	if !c.Running {
		severity, change = Note, "run doctor again while `receiver serve` runs"
	}
	return c.finding(severity, fmt.Sprintf("%s does not answer: %v", address, err),
		"the platform cannot call back ("+fromHere+")", change)
}

// mend names what usually helps against an invalid certificate.
func mend(err error) string {
	var name x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &name):
		return "a certificate for this name, or the name of the certificate in callback_base_url"
	case errors.As(err, &unknown):
		return "serve the whole chain (fullchain.pem), from a public authority"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "renew the certificate, or set the clock of this machine"
	}
	return "a valid certificate in the proxy in front of public.address"
}

// answered judges an answer.
func (c Callback) answered(answer *http.Response, body []byte) []Finding {
	address := c.BaseURL + "/healthz"
	said := fmt.Sprintf("%s answers %s", address, answer.Status)
	var ours struct{ Message string }
	isJSON := json.Unmarshal(bytes.TrimSpace(body), &ours) == nil
	isOurs := isJSON && ours.Message == "ok"
	base := answer.Request.URL.Path[:len(answer.Request.URL.Path)-len("/healthz")]
	down := []int{http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout}
	switch code := answer.StatusCode; {
	case code == http.StatusOK && isOurs:
		return []Finding{{What: "source " + c.Source + ": a receiver answers at " + address}}
	case code == http.StatusOK:
		return c.finding(Error, address+" is answered by another program",
			"callbacks go to another program", "callback_base_url: the correct address; or let the proxy pass requests on to public.address")
	case code == http.StatusNotFound && isJSON && ours.Message == http.StatusText(code) && base != "":
		change := "prefix: " + base + ", if the proxy keeps the prefix; or let the proxy remove it"
		if c.Prefix != "" && strings.HasSuffix(base, c.Prefix) {
			change = "restart the receiver: it reads public.prefix only at the start"
		}
		return c.finding(Error, said+", as a receiver does for a prefix that it does not expect",
			"callbacks are answered 404 too, as wrong_path", change)
	case code/100 == 3:
		return c.finding(Error, fmt.Sprintf("%s is redirected (%s) to %s", address, answer.Status, target(answer)),
			"a redirect may turn the POST into a GET without a body; the platform may not follow it at all",
			"callback_base_url: the address that it redirects to")
	case code == http.StatusUnauthorized || code == http.StatusForbidden || code == http.StatusProxyAuthRequired:
		return c.finding(Error, said, "a proxy in front requires credentials that the platform does not have",
			"let /callbacks/ and /healthz pass without credentials: the receiver verifies the signature")
	case slices.Contains(down, code) && !c.Running:
		return c.finding(Note, said, "no receiver runs here now", "run doctor again while `receiver serve` runs")
	case slices.Contains(down, code):
		return c.finding(Error, said, "a proxy answers, but does not reach the running receiver",
			"let the proxy pass requests on to public.address")
	}
	return c.finding(Error, said, "a receiver answers 200: another program is at this address, or in front of it",
		"callback_base_url: the correct address; or let the proxy pass /callbacks/ and /healthz on to public.address")
}

// target is where an answer redirects to, without what may be secret in it.
func target(answer *http.Response) string {
	where, err := answer.Location()
	if err != nil {
		return "nowhere"
	}
	return strings.TrimSuffix(where.Scheme+"://"+where.Host+where.EscapedPath(), "/healthz")
}

// certificate judges how long the certificate is still valid.
func (c Callback) certificate(state *tls.ConnectionState) []Finding {
	if state == nil || len(state.PeerCertificates) == 0 {
		return nil
	}
	left := time.Until(state.PeerCertificates[0].NotAfter)
	if left > certificateSoon {
		return nil
	}
	return c.finding(Warning, fmt.Sprintf("the certificate of %s ends in %s", c.BaseURL, span(left)),
		"after that no callback arrives", "renew it now, and find out why the automatic renewal failed")
}
