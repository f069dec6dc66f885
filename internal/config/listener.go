package config

import (
	"io/fs"
	"net/netip"
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
}

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

func readDoor(text string) (string, string) {
	if file, ok := strings.CutPrefix(text, UnixPrefix); ok {
		if !path.IsAbs(file) || path.Clean(file) != file || file == "/" || len(file) > longestSocket || strings.ContainsRune(file, 0) {
			return "", quote(text) + " names no absolute path of at most " + strconv.Itoa(longestSocket) + " bytes"
		}
		return text, ""
	}
	if name, ok := strings.CutPrefix(text, SystemdPrefix); ok {
		if !socketName.MatchString(name) {
			return "", quote(text) + " names no socket of systemd"
		}
		return text, ""
	}
	return readListen(text)
}

func readMode(text string) (string, string) {
	if n, err := strconv.ParseUint(text, 8, 9); err != nil || n&0o600 != 0o600 {
		return "", quote(text) + " are no permissions by which its owner can use it"
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

// guarded says whether only who is on this machine, or may open the socket, gets to an address.
func guarded(address string) bool {
	return onLoopback(address) || strings.HasPrefix(address, UnixPrefix)
}

func (l *loader) checkListenerTLS(c *Config) {
	l.checkPair(c, "public.tls.", TLS{CertFile: c.Public.TLS.CertFile, KeyFile: c.Public.TLS.KeyFile})
	t := c.Private.TLS
	l.checkPair(c, "private.tls.", TLS{CertFile: t.CertFile, KeyFile: t.KeyFile})
	l.checkAuthorities(c, "private.tls.client_ca_file", t.ClientCAFile)
	if t.ClientCAFile != "" && t.CertFile == "" {
		l.fault("private.tls.client_ca_file", "asks for certificates of clients, but the listener has none of its own", "cert_file and key_file too")
	}
	if len(t.ClientNames) > 0 && t.ClientCAFile == "" {
		l.fault("private.tls.client_names", "is given without client_ca_file, so that no certificate is asked for", "client_ca_file too")
	}
}
