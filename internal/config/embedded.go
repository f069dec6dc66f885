package config

import "net"

// Embedded is the NATS server inside this process.
type Embedded struct {
	// Folder holds the streams.
	Folder Path `key:"folder" default:"receiver-data"`
	// Address is the client listener; without TLS always on loopback. Port 0 takes a free one.
	Address string `key:"address" default:"127.0.0.1:4222" form:"listen"`
	// TLS encrypts the listener.
	TLS EmbeddedTLS `key:"tls"`
}

// EmbeddedTLS are PEM files for the listener of the embedded NATS. All of them are read again
// while the program runs.
type EmbeddedTLS struct {
	// CertFile, with its chain, and KeyFile are given together or not at all.
	CertFile Path `key:"cert_file"`
	KeyFile  Path `key:"key_file"`
	// CAFile are the authorities of clients' certificates; empty means that clients need none.
	CAFile Path `key:"ca_file"`
	// MinVersion is the oldest version of TLS that is spoken, "1.2" or "1.3".
	MinVersion string `key:"min_version" default:"1.3" oneof:"1.2,1.3"`
}

// On reports whether the listener is encrypted.
func (t EmbeddedTLS) On() bool { return t.CertFile != "" && t.KeyFile != "" }

// checkPort refuses a listener that sends events in clear to where others may read them.
func (l *loader) checkPort(c *Config) {
	const at = "nats.embedded."
	e := c.NATS.Embedded
	l.checkPair(c, at+"tls.", TLS{CertFile: e.TLS.CertFile, KeyFile: e.TLS.KeyFile})
	l.checkAuthorities(c, at+"tls.ca_file", e.TLS.CAFile)
	none := e.TLS.CertFile == "" && e.TLS.KeyFile == ""
	if none && e.TLS.CAFile != "" {
		l.fault(at+"tls.ca_file", "is set, but the listener has no certificate", "also cert_file and key_file")
	}
	if none && !onLoopback(e.Address) {
		l.fault(at+"address", quote(e.Address)+" can be reached from other machines, and nats.embedded.tls is not set: events would be sent without TLS",
			"a loopback address, such as 127.0.0.1:4222, or cert_file and key_file in nats.embedded.tls")
	}
}

// ownServer reports whether host and port are those of the embedded server's listener.
func (n NATS) ownServer(host, port string) bool {
	own, at, err := net.SplitHostPort(n.Embedded.Address)
	return err == nil && at == port && (loopback(host) || host == own)
}
