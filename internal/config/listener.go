package config

import (
	"io/fs"
	"net/netip"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// PublicTLS is the TLS of the public listener.
type PublicTLS struct {
	// CertFile and KeyFile are PEM files, given together or not at all.
	CertFile Path `key:"cert_file"`
	KeyFile  Path `key:"key_file"`
	// MinVersion is the oldest version spoken.
	MinVersion string `key:"min_version" default:"1.3" oneof:"1.2,1.3"`
	// ACME gets the certificate from an authority, where no files are given.
	ACME ACME `key:"acme"`
}

// ACME is how a certificate is ordered and renewed. It is none without Names.
type ACME struct {
	// Names are what the certificate is for.
	Names []string `key:"names" form:"host"`
	// Email is the address to which the authority reports trouble; empty for none.
	Email string `key:"email" form:"email"`
	// Directory is the URL that the authority gives for ACME.
	Directory string `key:"directory" default:"https://acme-v02.api.letsencrypt.org/directory" form:"https"`
	// Folder holds the certificate, its key and that of the account.
	Folder Path `key:"folder" default:"receiver-acme"`
	// CAFile replaces the system's roots in calls to the directory; empty keeps them.
	CAFile Path `key:"ca_file"`
	// TermsAgreed must be true: no authority makes an account without.
	TermsAgreed bool `key:"terms_agreed" default:"false"`
}

// On reports whether a certificate is ordered.
func (a ACME) On() bool { return len(a.Names) > 0 }

// PrivateTLS is the TLS of the private listener.
type PrivateTLS struct {
	// CertFile and KeyFile are PEM files, given together or not at all.
	CertFile Path `key:"cert_file"`
	KeyFile  Path `key:"key_file"`
	// MinVersion is the oldest version spoken.
	MinVersion string `key:"min_version" default:"1.3" oneof:"1.2,1.3"`
	// ClientCAFile holds the authorities of the clients' certificates; empty asks for none.
	ClientCAFile Path `key:"client_ca_file"`
	// ClientNames are the names of which a client's certificate must hold one; none lets all in.
	ClientNames []string `key:"client_names"`
}

// Kinds of addresses besides host:port.
const (
	UnixPrefix    = "unix:"
	SystemdPrefix = "systemd:"
)

// Mode returns permissions as they were checked.
func Mode(text string) fs.FileMode {
	n, _ := strconv.ParseUint(text, 8, 9) // the form "mode" let it through
	return fs.FileMode(n)
}

// longestSocket leaves room, in the 104 bytes of the shortest system, for the name that a socket
// is made under.
const longestSocket = 80

var socketName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

func readAddress(text string) (string, string) {
	if file, ok := strings.CutPrefix(text, UnixPrefix); ok {
		if !path.IsAbs(file) || path.Clean(file) != file || file == "/" || len(file) > longestSocket || strings.ContainsRune(file, 0) {
			return "", quote(text) + " is not an absolute path of at most " + strconv.Itoa(longestSocket) + " bytes"
		}
		return text, ""
	}
	if name, ok := strings.CutPrefix(text, SystemdPrefix); ok {
		if !socketName.MatchString(name) {
			return "", quote(text) + " is not the name of a systemd socket"
		}
		return text, ""
	}
	return readListen(text)
}

func readMode(text string) (string, string) {
	if n, err := strconv.ParseUint(text, 8, 9); err != nil || n&0o600 != 0o600 {
		return "", quote(text) + " does not let the owner use the socket"
	}
	return text, ""
}

func readProxy(text string) (string, string) {
	if text == "unix" {
		return text, ""
	}
	p, wrong := parsePrefix(text)
	if wrong != nil {
		return "", wrong.wrong
	}
	if p := p.(netip.Prefix); !p.IsSingleIP() {
		return p.String(), ""
	}
	return text, ""
}

// Trusted are the networks of TrustedProxies, and whether it names unix.
func (p Public) Trusted() (networks []netip.Prefix, unix bool) {
	for _, text := range p.TrustedProxies {
		if n, wrong := parsePrefix(text); wrong == nil {
			networks = append(networks, n.(netip.Prefix))
		}
		unix = unix || text == "unix"
	}
	return networks, unix
}

// guarded reports whether only processes on this machine, or those that may open the socket, reach
// an address.
func guarded(address string) bool {
	return onLoopback(address) || strings.HasPrefix(address, UnixPrefix)
}

func (l *loader) checkListenerTLS(c *Config) {
	if c.Public.TLS.ACME.On() {
		l.checkACME(c)
	} else {
		l.checkPair(c, "public.tls.", TLS{CertFile: c.Public.TLS.CertFile, KeyFile: c.Public.TLS.KeyFile})
		l.checkNoACME(c.Public.TLS.ACME)
	}
	t := c.Private.TLS
	l.checkPair(c, "private.tls.", TLS{CertFile: t.CertFile, KeyFile: t.KeyFile})
	l.checkAuthorities(c, "private.tls.client_ca_file", t.ClientCAFile)
	if t.ClientCAFile != "" && t.CertFile == "" {
		l.fault("private.tls.client_ca_file", "requires client certificates, but the listener has no certificate", "also cert_file and key_file")
	}
	if len(t.ClientNames) > 0 && t.ClientCAFile == "" {
		l.fault("private.tls.client_names", "is set without client_ca_file, so no client certificate is requested", "also client_ca_file")
	}
}

// mostNames is how many names Let's Encrypt puts into one certificate.
const mostNames = 100

// checkNoACME finds settings of ACME without the names of the certificate.
func (l *loader) checkNoACME(a ACME) {
	if a.Email != "" || a.CAFile != "" || a.TermsAgreed {
		l.fault("public.tls.acme.names", "is empty, so no certificate is ordered", "the DNS names that the platform calls, such as [hooks.example.com]; or remove acme")
	}
}

func (l *loader) checkACME(c *Config) {
	const at = "public.tls.acme."
	a := c.Public.TLS.ACME
	l.checkAuthorities(c, at+"ca_file", a.CAFile)
	if c.Public.TLS.CertFile != "" || c.Public.TLS.KeyFile != "" {
		l.fault(at+"names", "is set together with public.tls.cert_file or key_file", "only one source of certificates")
	}
	if !a.TermsAgreed {
		l.fault(at+"terms_agreed", "is not true: the authority issues certificates only if you agree to its terms, see termsOfService in "+a.Directory, "true, after you have read the terms and agree")
	}
	if len(a.Names) > mostNames {
		l.fault(at+"names", "are too many for one certificate", "at most "+strconv.Itoa(mostNames))
	}
	seen := map[string]bool{}
	for i, name := range a.Names {
		if seen[name] {
			l.fault(at+"names["+strconv.Itoa(i)+"]", "is a duplicate", "each name once")
		}
		seen[name] = true
	}
	if info, err := os.Stat(c.Abs(a.Folder)); err == nil && !info.IsDir() {
		l.fault(at+"folder", quote(string(a.Folder))+" is not a folder", "a folder for the receiver only; the receiver makes it")
	}
}

var hostLabels = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// readHost accepts a DNS name as certificates have it.
func readHost(text string) (string, string) {
	name := strings.ToLower(text)
	_, number := netip.ParseAddr(name)
	switch {
	case strings.HasPrefix(name, "*."):
		return "", quote(text) + " is a wildcard, which the listener cannot prove to the authority"
	case number == nil || len(name) > 253 || !hostLabels.MatchString(name):
		return "", quote(text) + " is not a DNS name"
	}
	return name, ""
}
