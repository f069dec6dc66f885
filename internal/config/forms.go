package config

import (
	"net"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// A form is a shape that a text can be asked to have. read returns the text as
// it is kept, or what is wrong with it; it repeats no credentials, and the
// forms for secrets repeat nothing.
type form struct {
	allowed string
	read    func(text string) (clean, wrong string)
}

// forms are the names that the form tag may hold.
var forms = map[string]form{
	"https":     {"https://…, or http:// on loopback; without credentials, query or fragment", readHTTPS},
	"nats":      {"nats://host:4222, tls://…, ws://… or wss://…; credentials go in credentials_file", readNATS},
	"prefix":    {"a path such as /hooks, of A-Z a-z 0-9 . _ ~ - and /, that begins with neither /callbacks nor /healthz", readPrefix},
	"edge name": matching(`^[a-z0-9][a-z0-9-]{0,31}$`, "1 to 32 of a-z 0-9 -, not beginning with -"),
	"domain":    matching(`^[A-Za-z0-9_-]{1,64}$`, "the domain of nats-server.conf: 1 to 64 of A-Z a-z 0-9 _ -"),
	"word":      matching(`^[A-Za-z0-9_-]{1,64}$`, "1 to 64 of A-Z a-z 0-9 _ -"),
	"key name":  matching(`^[A-Za-z0-9._-]{1,64}$`, "1 to 64 of A-Z a-z 0-9 . _ -"),
	"subject":   matching(`^[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,7}$`, "words of A-Z a-z 0-9 _ - separated by dots"),
	"address":   {"host:port, such as 127.0.0.1:8080 or :8080; unix:/path; or systemd:name", readAddress},
	"proxy":     {"an IP address or CIDR, such as 10.0.0.7 or 10.0.0.0/8; or unix for clients of unix:/path", readProxy},
	"host":      {"a DNS name such as hooks.example.com, in ASCII (otherwise xn--…), without * and not an IP address", readHost},
	"email":     matching(`^[^\s@<>,;:"]{1,64}@[A-Za-z0-9.-]{1,253}$`, "an address such as ops@example.com"),
	"mode":      {"octal permissions such as 0660, with 6 or 7 for the owner", readMode},
	"header":    {"printable ASCII without spaces", readHeader},

	"sink":        {"https://…, or http:// on loopback; without credentials and fragment", readSinkURL},
	"sink secret": {sinkPrefix + " and the base64 of 24 to 64 random bytes, such as the output of `printf %s whsec_$(openssl rand -base64 32)`", readSinkSecret},

	"collector":   {"https://… or http://… of a collector for OTLP over HTTP, such as http://127.0.0.1:4318; without credentials, query or fragment", readCollector},
	"header text": {"printable ASCII such as Bearer and a token", readHeaderText},

	"log name":     matching(`^[a-z0-9-]{1,32}$`, "1 to 32 of a-z 0-9 -"),
	"log origin":   {"a domain such as hooks.example.com, at most 253 of a-z 0-9 - and dots between words", readLogOrigin},
	"log key":      {"the content of a file written by `receiver audit init`", readLogKey},
	"recipient":    {"a public key of age: age1…, or the post-quantum form age1pq1…", readRecipient},
	"identity":     {"the content of an age identity file, as written by `age-keygen`", readIdentity},
	"verifier key": {"name+hash+base64, from `receiver audit keys` or from the operator of the witness", readVerifierKey},
}

var logOrigin = regexp.MustCompile(`^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$`)

// readLogOrigin accepts what can be the first part of a log's origin.
func readLogOrigin(text string) (string, string) {
	if len(text) > 253 || !logOrigin.MatchString(text) {
		return "", quote(text) + " is not a domain"
	}
	return text, ""
}

var verifierKey = regexp.MustCompile(`^[^\s+]{1,300}\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*$`)

// readVerifierKey does not repeat what was given, which may be a secret key.
func readVerifierKey(text string) (string, string) {
	switch {
	case strings.Contains(text, "PRIVATE+KEY+"):
		return "", "is a secret key; use the public key, from `receiver audit keys`"
	case !verifierKey.MatchString(text):
		return "", "is not the public key of a log or a witness"
	}
	return text, ""
}

var logKey = regexp.MustCompile(`^PRIVATE\+KEY\+[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*$`)

// readLogKey tells a log key from another secret that was given in its place.
func readLogKey(text string) (string, string) {
	if !logKey.MatchString(text) {
		return "", "is not a log key"
	}
	return text, ""
}

var (
	ageRecipient = regexp.MustCompile(`^age1[02-9ac-hj-np-z]{20,}$`)
	ageIdentity  = regexp.MustCompile(`(?m)^AGE-SECRET-KEY-(PQ-)?1[02-9AC-HJ-NP-Z]+\s*$`)
)

// readRecipient does not repeat a secret key that was given in a public one's place.
func readRecipient(text string) (string, string) {
	switch {
	case strings.HasPrefix(strings.ToUpper(text), "AGE-SECRET-KEY-"):
		return "", "is a secret key; use its public key, from `age-keygen -y`"
	case !ageRecipient.MatchString(text):
		return "", quote(text) + " is not a recipient"
	}
	return text, ""
}

// readIdentity tells an identity file from another secret that was given in its place.
func readIdentity(text string) (string, string) {
	if !ageIdentity.MatchString(text) {
		return "", "is not an age identity file"
	}
	return text, ""
}

func matching(pattern, allowed string) form {
	re := regexp.MustCompile(pattern)
	return form{allowed, func(text string) (string, string) {
		if !re.MatchString(text) {
			return "", quote(text) + " is not a valid name"
		}
		return text, ""
	}}
}

func readHTTPS(text string) (string, string) {
	u, wrong := readURL(text)
	switch {
	case wrong != "":
		return "", wrong
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return strings.TrimRight(text, "/"), ""
	}
	return "", quote(text) + " is not https"
}

func readNATS(text string) (string, string) {
	u, wrong := readURL(text)
	if wrong != "" {
		return "", wrong
	}
	switch u.Scheme {
	case "nats", "tls", "ws", "wss":
		return text, ""
	}
	return "", quote(text) + " is not the URL of a NATS server"
}

// readURL accepts a URL of scheme, host, optional port and path only. Before it
// is known to hold no credentials, the text is not repeated.
func readURL(text string) (*url.URL, string) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, "is not a URL"
	case u.User != nil || strings.Contains(text, "@"):
		return nil, "contains credentials"
	case strings.ContainsAny(text, "?#"):
		return nil, "contains a query or fragment"
	case u.Scheme == "" || u.Hostname() == "":
		return nil, quote(text) + " has no scheme or no host"
	case u.Port() != "" && !port(u.Port()):
		return nil, quote(text) + " has an invalid port"
	}
	return u, ""
}

func readListen(text string) (string, string) {
	_, p, err := net.SplitHostPort(text)
	if err != nil || !port(p) {
		return "", quote(text) + " is not host:port"
	}
	return text, ""
}

var prefix = regexp.MustCompile(`^(/[A-Za-z0-9._~-]{1,64}){1,8}$`)

// readPrefix accepts what is the same path however it is written, and hides no address of ours.
func readPrefix(text string) (string, string) {
	clean := strings.TrimSuffix(text, "/")
	first, _, _ := strings.Cut(strings.TrimPrefix(clean, "/"), "/")
	if path.Clean(clean) != clean || !prefix.MatchString(clean) || first == "callbacks" || first == "healthz" {
		return "", quote(text) + " is not a valid path"
	}
	return clean, ""
}

func readHeader(text string) (string, string) {
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' {
			return "", "contains a space, a control character or a non-ASCII byte"
		}
	}
	return text, ""
}

func port(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == s
}

// onLoopback says whether host:port can only be reached from this machine.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && loopback(host)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
