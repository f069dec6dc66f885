package config

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// longestRetry is how long after the first failure the platform may still
// repeat a callback. OC: section 6.4, (a) row 28.
const longestRetry = 73 * time.Hour

// check holds the rules that relate values to each other.
func (l *loader) check(c *Config) {
	l.checkSources(c)
	l.checkTokens(c)
	l.checkWatches(c)
	l.checkListeners(c)
	l.checkLimits(&c.Limits)
	switch c.NATS.Mode {
	case ModeExternal:
		l.checkExternal(c)
	case ModeEdge:
		l.checkEdge(c)
	default:
		l.checkEmbedded(&c.NATS)
	}
	l.checkAudit(c)
	l.checkEncryption(c)
	l.checkSinks(c)
	l.checkTracing(c)
	if age := c.NATS.AttemptsMaxAge; age > 0 && age < time.Hour {
		l.fault("nats.attempts_max_age", shortDuration(age)+" is too short to investigate refused callbacks", "0s for no limit, or 1h to 87600h")
	}
	if c.NATS.JobsMaxAge < longestRetry {
		l.warn("nats.jobs_max_age", fmt.Sprintf("is shorter than the %s during which the platform may retry a callback: a late retry would count as new",
			shortDuration(longestRetry)))
	}
}

// minTokenSecret is that of package callback.
const minTokenSecret = 16

func (l *loader) checkTokens(c *Config) {
	if n := len(c.TokenSecret.Bytes()); n > 0 && n < minTokenSecret {
		l.fault("token_secret", "is too short for making tokens", fmt.Sprintf("at least %d bytes", minTokenSecret))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		s := c.Sources[name]
		if s.CallbackToken == TokenRequired && c.TokenSecret.Empty() {
			l.fault("sources."+name+".callback_token", "is required, but token_secret is not set", "set token_secret, or use optional")
		}
		if s.BasicAuth.Username.Empty() != s.BasicAuth.Password.Empty() {
			l.fault("sources."+name+".basic_auth", "has only one of username and password", "both or neither")
		}
	}
}

func (l *loader) checkWatches(c *Config) {
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		w, path := c.Sources[name].Watch, "sources."+name+".watch."
		if w.Retry > w.Cap {
			l.fault(path+"retry", "is longer than cap, its maximum", "at most "+shortDuration(w.Cap))
		}
		if w.Expected > w.Deadline {
			l.fault(path+"expected", "is later than deadline: a job would be overdue before the first poll", "at most "+shortDuration(w.Deadline))
		}
		seen := map[string]bool{}
		for i, o := range w.Objects {
			at := fmt.Sprintf("%sobjects[%d].", path, i)
			switch {
			case o.Object == "":
				l.fault(at+"object", "is empty", "the name of an object of the platform, such as contact")
			case seen[o.Object]:
				l.fault(at+"object", quote(o.Object)+" already has an entry", "one entry for each object")
			case o.Expected > w.Deadline:
				l.fault(at+"expected", "is later than deadline", "at most "+shortDuration(w.Deadline))
			}
			seen[o.Object] = true
		}
	}
}

func (l *loader) checkListeners(c *Config) {
	if !guarded(c.Private.Address) && c.Private.Token.Empty() && !there(c.Abs(c.Private.TokensFile)) {
		l.fileFault(c, "private.token", "is required, because private.address is neither a loopback address nor unix:/path",
			secretAllowed+"; or add a token first: receiver tokens add NAME --scope read --file "+c.Abs(c.Private.TokensFile))
	}
	if n := len(c.Private.Token.Reveal()); n > 0 && n < shortestToken {
		l.warn("private.token", fmt.Sprintf("has only %s and can be guessed: use at least %d random bytes, such as the output of `openssl rand -hex 16`, or `receiver tokens add`", byteCount(n), shortestToken))
	}
	l.checkListenerTLS(c)
	if clash(c.Public.Address, c.Private.Address) {
		l.fault("private.address", "uses the port of public.address", "different ports")
	}
	for i, text := range c.Public.TrustedProxies {
		if strings.HasSuffix(text, "/0") {
			l.warn(fmt.Sprintf("public.trusted_proxies[%d]", i), "trusts X-Forwarded-For from every address")
		}
	}
	l.checkPrefix(c)
	if !c.NATS.Embeds() {
		return
	}
	l.checkPort(c)
	for _, other := range []string{c.Public.Address, c.Private.Address} {
		if clash(c.NATS.Embedded.Address, other) {
			l.fault("nats.embedded.address", "uses the port of another listener", "an unused port")
		}
	}
}

// shortestToken is that of 96 random bits in base64.
const shortestToken = 16

// there says whether there is a file of that name, be it one that can be read or not.
func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// checkPrefix warns of addresses that the platform is given without the prefix. Whether a
// proxy takes off a path that is no prefix here, only the doctor can find out.
func (l *loader) checkPrefix(c *Config) {
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		base := c.Sources[name].CallbackBaseURL
		if u, err := url.Parse(base); base != "" && err == nil && !strings.HasSuffix(u.Path, c.Public.Prefix) {
			l.warn("sources."+name+".callback_base_url", "does not end in public.prefix, "+c.Public.Prefix+
				": the platform gets addresses without the prefix")
		}
	}
}

// clash says whether two addresses cannot both be listened on.
func clash(a, b string) bool {
	for _, kind := range []string{UnixPrefix, SystemdPrefix} {
		if strings.HasPrefix(a, kind) || strings.HasPrefix(b, kind) {
			return a == b
		}
	}
	hostA, portA, _ := net.SplitHostPort(a)
	hostB, portB, _ := net.SplitHostPort(b)
	anyA, anyB := everywhere(hostA), everywhere(hostB)
	return portA == portB && portA != "0" && (hostA == hostB || anyA || anyB)
}

func everywhere(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }

func (l *loader) checkLimits(c *Limits) {
	if c.AttemptBody > c.Body {
		l.fault("limits.attempt_body", fmt.Sprintf("%v is more than limits.body", c.AttemptBody), fmt.Sprintf("at most %v", c.Body))
	}
	if c.Bodies < c.Body {
		l.fault("limits.bodies", fmt.Sprintf("%v is less than limits.body", c.Bodies), fmt.Sprintf("at least %v", c.Body))
	}
	if c.Memory > 0 && c.Memory < 3*c.Bodies+100<<20 {
		l.warn("limits.memory", fmt.Sprintf("%v is less than three times limits.bodies and 100MiB, so a quarter of it is used for bodies", c.Memory))
	}
	if c.ReadHeaderTimeout > c.ReadTimeout {
		l.fault("limits.read_header_timeout", "is longer than limits.read_timeout, which includes this time", "at most "+shortDuration(c.ReadTimeout))
	}
	if c.PublishTimeout >= c.WriteTimeout {
		l.fault("limits.publish_timeout", "leaves no time to answer 503 before limits.write_timeout", "less than "+shortDuration(c.WriteTimeout))
	}
	if c.PublishTimeout >= c.ShutdownTimeout {
		l.fault("limits.shutdown_timeout", "is not longer than limits.publish_timeout, so callbacks in progress could not finish", "more than "+shortDuration(c.PublishTimeout))
	}
}

func (l *loader) checkEmbedded(c *NATS) {
	if c.Replicas > 1 {
		l.fault("nats.replicas", "the embedded NATS is a single server with one replica", "1, or nats.mode external")
	}
	if c.Domain != "" {
		l.fault("nats.domain", "the embedded NATS has its own domain", `no value, or nats.mode external`)
	}
	if c.Edge != (Edge{}) {
		l.warn("nats.edge", "is not used, because nats.mode is embedded")
	}
	if len(c.URLs) > 0 || c.CredentialsFile != "" || c.TLS != (TLS{}) {
		l.warn("nats.mode", "is embedded, so nats.urls, nats.credentials_file and nats.tls are not used")
	}
}

func (l *loader) checkExternal(c *Config) {
	n := &c.NATS
	if len(n.URLs) == 0 {
		l.fault("nats.urls", "is empty, but nats.mode is external", "at least one URL such as nats://host:4222")
	}
	if n.Sync != "" {
		l.fault("nats.sync", "an external cluster has its own sync setting", `no value, or ""`)
	}
	l.checkClient(c, "nats.", n.CredentialsFile, n.TLS)
}

func (l *loader) checkEdge(c *Config) {
	n := &c.NATS
	if len(n.URLs) == 0 {
		l.fault("nats.urls", "is empty, but nats.mode is edge", "the leaf node addresses of the hub, such as tls://hub:7422")
	}
	if n.Domain == "" {
		l.fault("nats.domain", "is empty, but nats.mode is edge", "the JetStream domain of the hub")
	}
	switch n.Edge.Name {
	case "":
		l.fault("nats.edge.name", "is empty, but nats.mode is edge", "a name that is unique among the edges of the hub")
	case n.Domain:
		l.fault("nats.edge.name", "is the domain of the hub", "another name")
	case embeddedAPI:
		l.fault("nats.edge.name", quote(embeddedAPI)+" is used by the embedded server", "another name")
	}
	l.checkClient(c, "nats.", n.CredentialsFile, n.TLS)
}

// embeddedAPI is the word that stands for a domain inside the embedded server; see
// internal/natsserver, accounts.go.
const embeddedAPI = "receiver"

// checkClient looks at the files that a connection to NATS takes.
func (l *loader) checkClient(c *Config, at string, credentials Path, t TLS) {
	l.checkReadable(c, at+"credentials_file", credentials)
	l.checkAuthorities(c, at+"tls.ca_file", t.CAFile)
	l.checkPair(c, at+"tls.", t)
}

func (l *loader) checkAudit(cfg *Config) {
	c := &cfg.Audit
	if c.Key.Empty() && len(c.Anchors) > 0 {
		l.warn("audit.anchors", "get no checkpoints, because audit.key is not set")
	}
	if c.Key.Empty() && c.Export.Folder != "" {
		l.warn("audit.export.folder", "gets no archives, because audit.key is not set")
	}
	if c.Export.Folder != "" && c.Export.Interval > cfg.NATS.JobsMaxAge/2 {
		l.fault("audit.export.interval", "is more than half of nats.jobs_max_age, so events could be removed before they are archived", "at most "+(cfg.NATS.JobsMaxAge/2).String())
	}
	for i, a := range c.Anchors {
		path := fmt.Sprintf("audit.anchors[%d]", i)
		places := 0
		for _, named := range []bool{a.Directory != "", a.Witness != "", len(a.NATS.URLs) > 0} {
			if named {
				places++
			}
		}
		switch {
		case places != 1:
			l.fault(path, "must name exactly one place", "directory; or witness and key; or nats with urls")
		case a.Witness != "" && a.Key == "":
			l.fault(path+".key", "is empty, so the witness's cosignatures could not be verified", "its verifier key")
		case a.Witness == "" && a.Key != "":
			l.fault(path+".key", "is set, but only a witness has a key", "no value")
		case len(a.NATS.URLs) > 0:
			l.checkAnchor(cfg, path+".nats.", &a.NATS)
		}
	}
}

// checkAnchor refuses what is plainly no other account than that of the streams; `receiver
// doctor` asks the servers.
func (l *loader) checkAnchor(c *Config, at string, n *AnchorNATS) {
	l.checkClient(c, at, n.CredentialsFile, n.TLS)
	const other = "an account that the operator of the streams cannot change"
	if c.NATS.Mode == ModeExternal {
		shared := slices.ContainsFunc(n.URLs, func(u string) bool { return slices.Contains(c.NATS.URLs, u) })
		if shared && c.Abs(n.CredentialsFile) == c.Abs(c.NATS.CredentialsFile) && n.TLS.CertFile == c.NATS.TLS.CertFile {
			l.fault(at+"urls", "is the account of the streams themselves: an attacker who rolls them back could roll this back too", other)
		}
		return
	}
	for i, text := range n.URLs {
		if u, err := url.Parse(text); err == nil && c.NATS.ownServer(u.Hostname(), u.Port()) {
			l.fault(fmt.Sprintf("%surls[%d]", at, i), "is the receiver's own server", other)
		}
	}
}

func (l *loader) checkEncryption(c *Config) {
	seen := map[string]bool{}
	for i, r := range c.Encryption.Recipients {
		if seen[r] {
			l.fault(fmt.Sprintf("encryption.recipients[%d]", i), "is a duplicate", "each recipient once")
		}
		seen[r] = true
	}
	if len(c.Encryption.Recipients) == 0 || !c.Encryption.Identity.Empty() {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		if c.Sources[name].UnexpectedJobs == UnexpectedQuarantine {
			l.warn("sources."+name+".unexpected_jobs", "quarantines callbacks whose bodies this receiver encrypts and, without encryption.identity, "+
				"cannot decrypt: they are not released when the submission of their job is recorded, only by `receiver jobs release --identity-file`")
		}
	}
}

func (l *loader) checkSources(c *Config) {
	if len(c.Sources) == 0 {
		l.warn("sources", "no source is configured: every callback will be refused")
	}
	used := map[string]string{} // the path that a key was first seen at, by its bytes
	for _, name := range slices.Sorted(maps.Keys(c.Sources)) {
		s := c.Sources[name]
		path := "sources." + name
		if s.TLS.Authorities = l.checkAuthorities(c, path+".tls.ca_file", s.TLS.CAFile); s.TLS.Authorities == nil {
			s.TLS.Authorities = l.kept(c, name)
		}
		if s.TLS.Authorities != nil {
			c.Files = append(c.Files, c.Abs(s.TLS.CAFile))
			c.Sources[name] = s
		}
		if len(s.SignatureKeys) == 0 {
			l.fault(path+".signature_keys", "there is no signature key, so every callback would be refused", "at least one key")
		}
		if l.file != "" && l.at[path].file != l.file {
			l.warn(path, "is set only by environment variables; the file has no such source")
		}
		if s.ElementToken.Empty() != s.UserSecret.Empty() {
			l.warn(path, "has only one of element_token and user_secret: `receiver submit` needs both")
		}
		l.checkKeys(path+".signature_keys", s.SignatureKeys, used)
	}
}

func (l *loader) checkKeys(path string, keys []SignatureKey, used map[string]string) {
	names := map[string]bool{}
	for i, k := range keys {
		at := fmt.Sprintf("%s[%d]", path, i)
		if names[k.Name] {
			l.fault(at+".name", quote(k.Name)+" is the name of another key of this source", "a unique name")
		}
		names[k.Name] = true
		if !k.NotBefore.IsZero() && !k.NotAfter.IsZero() && !k.NotAfter.After(k.NotBefore) {
			l.fault(at+".not_after", "is not after not_before", "a later time")
		}
		l.checkKey(at+".value", k.Value, used)
	}
}
