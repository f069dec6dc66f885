package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"receiver/internal/config"
)

const (
	logKey     = "audit:\n  key: PRIVATE+KEY+receiver/test+b3caf33f+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n"
	witnessKey = "w.example.com+a3e00fe2+BNy/co4C1Hn1p+INwJrfUlgz7W55dSZReusH/GhUhJ/G"
)

// complaints loads text as config.yaml, in a folder with the given files, and
// returns the lines of the error without the folder.
func complaints(t *testing.T, text string, files map[string]string, env ...string) []string {
	t.Helper()
	path := write(t, "config.yaml", text)
	dir := filepath.Dir(path)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := config.Load(config.Options{Path: path, Env: env})
	if err == nil {
		return nil
	}
	return strings.Split(strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""), "\n")
}

// key is a source that has nothing wrong with it, to put a wrong thing beside.
const key = "    signature_keys: [{value: s3cret}]\n"

func TestFaults(t *testing.T) {
	const agreed = "public: {tls: {acme: {terms_agreed: true, "
	const topKeys = "sources, token_secret, public, private, limits, nats, audit, encryption, sinks, tracing, log"
	for _, row := range []struct{ name, text, want string }{
		{"the brief's example", "sources:\n  crm:\n" + key + "    base_url: http://api.example.com\n",
			`config.yaml:4: sources.crm.base_url: "http://api.example.com" is not https; allowed: https://…, or http:// on loopback; without credentials, query or fragment`},

		{"not YAML", "log:\n  level: [", "config.yaml:2: is not YAML: did not find expected node content"},
		{"mapping in a value", "nats:\nlog: level: info", "config.yaml:2: is not YAML: mapping values are not allowed in this context"},
		{"not UTF-8", "log:\n  level: \xff\xfe\n", "config.yaml:2: is not YAML: invalid leading UTF-8 octet"},
		{"indented otherwise", "sources:\n  crm:\n    hub: a\n" + key + "   base_url: http://127.0.0.1\nlog:\n  level: info\n", "config.yaml:5: is not YAML: did not find expected key"},
		{"bracket left open", "public:\n  trusted_proxies: [\n  address: 127.0.0.1:80\nlog:\n  level: info\n", "config.yaml:3: is not YAML: did not find expected ',' or ']'"},
		{"quote left open", "log:\n  level: info\n  format: \"json\n\nprivate: {}\n", "config.yaml:3: is not YAML: found unexpected end of stream"},
		{"star", "log: {level: info}\nprivate:\n  token: *hunter2\n", "config.yaml:3: is not YAML: a value that begins with * must be quoted"},
		{"anchor", "log: &x {level: info}\n", "config.yaml:1: log: begins with a YAML anchor (&…); they are not supported"},
		{"anchor in a secret", "private: {token: &hunter2 x}", "config.yaml:1: private.token: begins with a YAML anchor"},
		{"tag in a secret", "private: {token: !hunter2 x}", "config.yaml:1: private.token: begins with a YAML tag"},
		{"merge key", "log:\n  <<: {level: info}\n", "config.yaml:2: log.(a key that is not a plain word): unknown key; allowed: level, format"},
		{"second document", "log: {level: info}\n---\nlog: {level: debug}\n", "config.yaml:2: a second YAML document begins here and would be ignored; allowed: one document"},
		{"text", "hello", "config.yaml:1: is a single value; allowed: a mapping with the keys " + topKeys},
		{"list", "- a", "config.yaml:1: is a list; allowed: a mapping with the keys " + topKeys},
		{"duplicate key", "log:\n  level: info\n  format: json\n  level: debug\n", "config.yaml:4: log.level: is a duplicate of line 2; allowed: each key once"},
		{"duplicate source", "sources:\n  crm:\n" + key + "  crm:\n" + key, "config.yaml:4: sources.crm: is a duplicate of line 2"},
		{"complex key", "? [a]\n: b\n", "config.yaml:1: (a key that is not a plain word): is a list; allowed: a key of plain text"},

		{"unknown key", "sorces: {}\n", "config.yaml:1: sorces: unknown key (did you mean sources?); allowed: " + topKeys},
		{"unknown key of a source", "sources:\n  crm:\n" + key + "    bse_url: x\n", "config.yaml:4: sources.crm.bse_url: unknown key (did you mean base_url?)"},
		{"unknown key far from any", "nats:\n  tls: {insecure: true}\n", "config.yaml:2: nats.tls.insecure: unknown key; allowed: ca_file, cert_file, key_file"},
		{"value in a key's place", "private: {token:hunter2}\n", "config.yaml:1: private.(a key that is not a plain word): unknown key; allowed: address, socket_mode, tls, token"},

		{"section as text", "nats: embedded\n", "config.yaml:1: nats: is a single value; allowed: a mapping with the keys mode, urls, "},
		{"value as list", "log:\n  level: [info]\n", "config.yaml:2: log.level: is a list; allowed: one value"},
		{"value as mapping", "limits:\n  body:\n    max: 1\n", "config.yaml:2: limits.body: is a mapping; allowed: one value"},
		{"list as text", "public: {trusted_proxies: 10.0.0.1}\n", "config.yaml:1: public.trusted_proxies: is a single value; allowed: a list"},
		{"keys as text", "sources: {crm: {signature_keys: hunter2}}\n", "config.yaml:1: sources.crm.signature_keys: is a single value; allowed: a list"},
		{"key as text", "sources:\n  crm:\n    signature_keys:\n    - hunter2\n", "config.yaml:4: sources.crm.signature_keys[0]: is a single value; allowed: a mapping with the keys name, value, not_before, not_after"},
		{"sources as list", "sources: [crm]\n", "config.yaml:1: sources: is a list; allowed: a mapping from names to settings"},
		{"source as text", "sources: {crm: yes}\n", "config.yaml:1: sources.crm: is a single value"},
		{"null in a list", "nats: {urls: [~]}\n", "config.yaml:1: nats.urls[0]: is empty; allowed: a value"},

		{"source's name", "sources:\n  CRM:\n" + key, "config.yaml:2: sources.CRM: is not a valid source name; allowed: 1 to 32 of a-z 0-9 -"},
		{"source's dotted name", "sources:\n  c.r:\n" + key, "config.yaml:2: sources.(a key that is not a plain word): is not a valid source name"},
		{"no keys", "sources:\n  crm:\n    hub: crm\n", "config.yaml:2: sources.crm.signature_keys: there is no signature key, so every callback would be refused; allowed: at least one key"},
		{"empty source", "sources:\n\n  crm:\n", "config.yaml:3: sources.crm.signature_keys: there is no signature key"},
		{"empty list of keys", "sources:\n  crm:\n    signature_keys: []\n", "config.yaml:3: sources.crm.signature_keys: there is no signature key"},
		{"key without value", "sources:\n  crm:\n    signature_keys:\n    - name: a\n", "config.yaml:4: sources.crm.signature_keys[0].value: is empty; allowed: the secret itself, env:NAME or file:PATH"},
		{"empty key", "sources: {crm: {signature_keys: [{value: \"\"}]}}\n", "config.yaml:1: sources.crm.signature_keys[0].value: is empty"},
		{"null key", "sources: {crm: {signature_keys: [{value: }]}}\n", "config.yaml:1: sources.crm.signature_keys[0].value: is empty"},
		{"white key", "sources: {crm: {signature_keys: [{value: \" \\t\\n\"}]}}\n", "config.yaml:1: sources.crm.signature_keys[0].value: the secret is only white space"},
		{"fingerprint as key", "sources: {crm: {signature_keys: [{value: \"sha256:1a2b3c4d\"}]}}\n", "config.yaml:1: sources.crm.signature_keys[0].value: this is the fingerprint of a secret"},
		{"key's name", "sources: {crm: {signature_keys: [{name: a b, value: x}]}}\n", `config.yaml:1: sources.crm.signature_keys[0].name: "a b" is not a valid name; allowed: 1 to 64 of A-Z a-z 0-9 . _ -`},
		{"same name", "sources:\n  crm:\n    signature_keys:\n    - {name: key-2, value: x}\n    - {value: y}\n", `config.yaml:5: sources.crm.signature_keys[1].name: "key-2" is the name of another key of this source`},
		{"not a time", "sources: {crm: {signature_keys: [{value: x, not_after: 2026-01-01}]}}\n", `config.yaml:1: sources.crm.signature_keys[0].not_after: "2026-01-01" is not a time; allowed: RFC 3339, such as 2026-01-31T00:00:00Z`},
		{"ends before it begins", "sources: {crm: {signature_keys: [{value: x, not_before: 2026-01-01T00:00:00Z, not_after: 2026-01-01T00:00:00Z}]}}\n", "config.yaml:1: sources.crm.signature_keys[0].not_after: is not after not_before"},
		{"hub", "sources:\n  crm:\n" + key + "    hub: a/b\n", `config.yaml:4: sources.crm.hub: "a/b" is not a valid name`},
		{"token of two lines", "private: {token: \"hunter2\\nx: y\"}\n", "config.yaml:1: private.token: the secret contains a space, a control character or a non-ASCII byte; allowed: printable ASCII without spaces"},
		{"URL with a password", "sources:\n  crm:\n" + key + "    base_url: https://me:hunter2@example.com\n", "config.yaml:4: sources.crm.base_url: contains credentials; "},
		{"URL with a spoilt password", "sources:\n  crm:\n" + key + "    base_url: https://me:hunter2%@example.com\n", "config.yaml:4: sources.crm.base_url: is not a URL; "},
		{"URL with a query", "sources:\n  crm:\n" + key + "    callback_base_url: https://example.com/?\n", "config.yaml:4: sources.crm.callback_base_url: contains a query or fragment; "},
		{"URL without scheme", "sources:\n  crm:\n" + key + "    base_url: example.com\n", `config.yaml:4: sources.crm.base_url: "example.com" has no scheme or no host; `},
		{"URL with a wild port", "sources:\n  crm:\n" + key + "    base_url: https://example.com:66000\n", `config.yaml:4: sources.crm.base_url: "https://example.com:66000" has an invalid port; `},
		{"empty URL", "sources:\n  crm:\n" + key + "    base_url: \"\"\n", "config.yaml:4: sources.crm.base_url: is empty; allowed: https://"},

		{"short token secret", "token_secret: fifteen-bytes-!\n", "config.yaml:1: token_secret: is too short for making tokens; allowed: at least 16 bytes"},
		{"tokens without secret", "sources:\n  crm:\n" + key + "    callback_token: required\n", "config.yaml:4: sources.crm.callback_token: is required, but token_secret is not set; allowed: set token_secret, or use optional"},
		{"another token rule", "sources:\n  crm:\n" + key + "    callback_token: yes\n", `config.yaml:4: sources.crm.callback_token: "yes" is unknown; allowed: required, optional, off`},
		{"pause above its cap", "sources:\n  crm:\n" + key + "    watch: {retry: 16m}\n", "config.yaml:4: sources.crm.watch.retry: is longer than cap, its maximum; allowed: at most 15m"},
		{"asked too late", "sources:\n  crm:\n" + key + "    watch: {expected: 7h}\n", "config.yaml:4: sources.crm.watch.expected: is later than deadline: a job would be overdue before the first poll; allowed: at most 6h"},
		{"object twice", "sources:\n  crm:\n" + key + "    watch: {objects: [{object: a}, {object: a}]}\n", `config.yaml:4: sources.crm.watch.objects[1].object: "a" already has an entry; allowed: one entry for each object`},
		{"object without name", "sources:\n  crm:\n" + key + "    watch: {objects: [{expected: 1m}]}\n", "config.yaml:4: sources.crm.watch.objects[0].object: is empty; allowed: the name of an object"},
		{"object asked too late", "sources:\n  crm:\n" + key + "    watch: {objects: [{object: a, expected: 7h}]}\n", "config.yaml:4: sources.crm.watch.objects[0].expected: is later than deadline; allowed: at most 6h"},
		{"user without password", "sources:\n  crm:\n" + key + "    basic_auth: {username: sap}\n", "config.yaml:4: sources.crm.basic_auth: has only one of username and password; allowed: both or neither"},

		{"address", "public: {address: 8080}\n", `config.yaml:1: public.address: "8080" is not host:port; allowed: host:port, such as 127.0.0.1:8080 or :8080`},
		{"prefix without a slash", "public: {prefix: hooks}\n", `config.yaml:1: public.prefix: "hooks" is not a valid path; allowed: a path such as /hooks, of A-Z a-z`},
		{"prefix alone", "public: {prefix: /}\n", `config.yaml:1: public.prefix: "/" is not a valid path`},
		{"prefix of two slashes", "public: {prefix: //hooks}\n", `config.yaml:1: public.prefix: "//hooks" is not a valid path`},
		{"prefix with two slashes behind", "public: {prefix: /hooks//}\n", `config.yaml:1: public.prefix: "/hooks//" is not a valid path`},
		{"prefix with dots", "public: {prefix: /a/../hooks}\n", `config.yaml:1: public.prefix: "/a/../hooks" is not a valid path`},
		{"prefix with a pattern", "public: {prefix: \"/:a/*\"}\n", `config.yaml:1: public.prefix: "/:a/*" is not a valid path`},
		{"prefix escaped", "public: {prefix: /h%6foks}\n", `config.yaml:1: public.prefix: "/h%6foks" is not a valid path`},
		{"prefix like our own", "public: {prefix: /callbacks}\n", `config.yaml:1: public.prefix: "/callbacks" is not a valid path`},
		{"prefix of our own", "public: {prefix: /healthz/x}\n", `config.yaml:1: public.prefix: "/healthz/x" is not a valid path`},
		{"prefix with a host", "public: {prefix: \"https://example.com/hooks\"}\n", `config.yaml:1: public.prefix: "https://example.com/hooks" is not a valid path`},
		{"port", "public: {address: \":65536\"}\n", `config.yaml:1: public.address: ":65536" is not host:port`},
		{"proxy", "public:\n  trusted_proxies:\n  - 10.0.0.1\n  - proxy\n", `config.yaml:4: public.trusted_proxies[1]: "proxy" is not a network; allowed: an IP address or CIDR, such as 10.0.0.7 or 10.0.0.0/8`},
		{"private without token", "private:\n  address: :9000\n", "config.yaml:1: private.token: is required, because private.address is neither a loopback address nor unix:/path"},
		{"private with null token", "private:\n  address: 0.0.0.0:9000\n  token:\n", "config.yaml:3: private.token: is required"},
		{"one port twice", "public: {address: \":8081\"}\n", "config.yaml: private.address: uses the port of public.address"},
		{"NATS on the public port", "public: {address: \"127.0.0.1:4222\"}\n", "config.yaml: nats.embedded.address: uses the port of another listener"},

		{"attempts for a minute", "nats: {attempts_max_age: 1m}\n", "config.yaml:1: nats.attempts_max_age: 1m is too short to investigate refused callbacks; allowed: 0s for no limit, or 1h to 87600h"},
		{"no size", "limits: {body: 8MB}\n", `config.yaml:1: limits.body: "8MB" is not a size such as 1048576, 64KiB or 8MiB; allowed: a size such as 1048576, 64KiB or 8MiB, from 1KiB to 63MiB`},
		{"body over NATS", "limits: {body: 64MiB}\n", "config.yaml:1: limits.body: 64MiB is too large; allowed: a size such as 1048576, 64KiB or 8MiB, from 1KiB to 63MiB"},
		{"no unit", "limits: {read_timeout: 30}\n", `config.yaml:1: limits.read_timeout: "30" is not a duration such as 500ms, 30s or 2160h`},
		{"no time", "limits: {idle_timeout: 0s}\n", "config.yaml:1: limits.idle_timeout: 0s is too small; "},
		{"not whole", "limits: {attempt_queue: 1.5}\n", `config.yaml:1: limits.attempt_queue: "1.5" is not a whole number; allowed: a whole number, from 1 to 1000000`},
		{"attempt over body", "limits:\n  body: 1KiB\n", "config.yaml:1: limits.attempt_body: 64KiB is more than limits.body; allowed: at most 1KiB"},
		{"header after all", "limits: {read_header_timeout: 31s}\n", "config.yaml:1: limits.read_header_timeout: is longer than limits.read_timeout, which includes this time; allowed: at most 30s"},
		{"503 too late", "limits: {publish_timeout: 30s, shutdown_timeout: 1m}\n", "config.yaml:1: limits.publish_timeout: leaves no time to answer 503 before limits.write_timeout; allowed: less than 30s"},
		{"stop too early", "limits: {shutdown_timeout: 5s}\n", "config.yaml:1: limits.shutdown_timeout: is not longer than limits.publish_timeout"},

		{"mode", "nats: {mode: embeded}\n", `config.yaml:1: nats.mode: "embeded" is unknown (did you mean embedded?); allowed: embedded, external, edge`},
		{"empty mode", "nats: {mode: \"\"}\n", "config.yaml:1: nats.mode: is empty; allowed: embedded, external, edge"},
		{"external nowhere", "nats: {mode: external}\n", "config.yaml:1: nats.urls: is empty, but nats.mode is external"},
		{"external with sync", "nats:\n  mode: external\n  urls: [nats://a]\n  sync: always\n", `config.yaml:4: nats.sync: an external cluster has its own sync setting; allowed: no value, or ""`},
		{"NATS with a password", "nats: {mode: external, urls: [\"nats://me:hunter2@a\"]}\n", "config.yaml:1: nats.urls[0]: contains credentials; allowed: nats://host:4222, "},
		{"NATS by http", "nats: {mode: external, urls: [\"http://a\"]}\n", `config.yaml:1: nats.urls[0]: "http://a" is not the URL of a NATS server`},
		{"embedded copies", "nats: {replicas: 3}\n", "config.yaml:1: nats.replicas: the embedded NATS is a single server with one replica"},
		{"too many copies", "nats: {replicas: 6}\n", "config.yaml:1: nats.replicas: 6 is too large"},
		{"embedded domain", "nats: {domain: hub}\n", "config.yaml:1: nats.domain: the embedded NATS has its own domain; allowed: no value, or nats.mode external"},
		{"two domains", "nats: {mode: external, urls: [nats://a], domain: a.b}\n", `config.yaml:1: nats.domain: "a.b" is not a valid name; allowed: the domain of nats-server.conf: 1 to 64 of A-Z`},
		{"edge of nothing", "nats: {mode: edge, domain: hub, edge: {name: rim}}\n", "config.yaml:1: nats.urls: is empty, but nats.mode is edge; allowed: the leaf node addresses of the hub"},
		{"edge without the hub's domain", "nats: {mode: edge, urls: [\"nats://a\"], edge: {name: rim}}\n", "config.yaml:1: nats.domain: is empty, but nats.mode is edge; allowed: the JetStream domain of the hub"},
		{"edge without a name", "nats: {mode: edge, urls: [\"nats://a\"], domain: hub}\n", "config.yaml:1: nats.edge.name: is empty, but nats.mode is edge; allowed: a name that is unique among the edges of the hub"},
		{"edge that is the hub", "nats: {mode: edge, urls: [\"nats://a\"], domain: hub, edge: {name: hub}}\n", "config.yaml:1: nats.edge.name: is the domain of the hub; allowed: another name"},
		{"edge of our own prefix", "nats: {mode: edge, urls: [\"nats://a\"], domain: hub, edge: {name: receiver}}\n", `config.yaml:1: nats.edge.name: "receiver" is used by the embedded server`},
		{"edge of two words", "nats: {mode: edge, urls: [\"nats://a\"], domain: hub, edge: {name: rim.1}}\n", `config.yaml:1: nats.edge.name: "rim.1" is not a valid name; allowed: 1 to 32 of a-z 0-9 -`},
		{"edge with half a pair", "nats: {mode: edge, urls: [\"tls://a\"], domain: hub, edge: {name: rim}, tls: {cert_file: config.yaml}}\n", "config.yaml:1: nats.tls.key_file: is empty, but nats.tls.cert_file is set"},
		{"open embedded", "nats: {embedded: {address: \"0.0.0.0:4222\"}}\n", `config.yaml:1: nats.embedded.address: "0.0.0.0:4222" can be reached from other machines, and nats.embedded.tls is not set`},
		{"open embedded, every interface", "nats: {embedded: {address: \":4222\"}}\n", `config.yaml:1: nats.embedded.address: ":4222" can be reached`},
		{"open embedded, by a name", "nats: {embedded: {address: \"nats.example.com:4222\"}}\n", `config.yaml:1: nats.embedded.address: "nats.example.com:4222" can be reached`},
		{"open embedded, IPv6", "nats: {embedded: {address: \"[::]:4222\"}}\n", `config.yaml:1: nats.embedded.address: "[::]:4222" can be reached`},
		{"open embedded, mapped", "nats: {embedded: {address: \"[::ffff:10.0.0.1]:4222\"}}\n", `config.yaml:1: nats.embedded.address: "[::ffff:10.0.0.1]:4222" can be reached`},
		{"open edge", "nats: {mode: edge, urls: [\"tls://hub:7422\"], domain: hub, edge: {name: a}, embedded: {address: \"10.0.0.1:4222\"}}\n", `config.yaml:1: nats.embedded.address: "10.0.0.1:4222" can be reached`},
		{"a CA only", "nats: {embedded: {tls: {ca_file: ca.pem}}}\n", `config.yaml:1: nats.embedded.tls.ca_file: "ca.pem" cannot be read`},
		{"open with half a pair", "nats: {embedded: {address: \":4222\", tls: {cert_file: a.pem}}}\n", `config.yaml:1: nats.embedded.tls.key_file: is empty, but nats.embedded.tls.cert_file is set`},
		{"port without a certificate that is there", "nats: {embedded: {address: \":4222\", tls: {cert_file: a.pem, key_file: config.yaml}}}\n", `config.yaml:1: nats.embedded.tls.cert_file: "a.pem" cannot be read`},
		{"clients' authorities that are none", "private: {tls: {client_names: [ops], client_ca_file: config.yaml}}\n", "config.yaml:1: private.tls.client_ca_file: contains no certificate"},
		{"clients' names without authorities", "private: {tls: {client_names: [ops]}}\n", "config.yaml:1: private.tls.client_names: is set without client_ca_file, so no client certificate is requested"},
		{"a key with a passphrase", "public: {tls: {cert_file: config.yaml, key_file: config.yaml}} # ENCRYPTED\n", "config.yaml:1: public.tls.key_file: is encrypted with a passphrase"},
		{"a socket for nobody", "public: {socket_mode: \"0060\"}\n", `config.yaml:1: public.socket_mode: "0060" does not let the owner use the socket`},
		{"a socket for other digits", "private: {socket_mode: \"0688\"}\n", `config.yaml:1: private.socket_mode: "0688" does not let the owner use the socket`},
		{"a socket somewhere", "public: {address: \"unix:run/s\"}\n", `config.yaml:1: public.address: "unix:run/s" is not an absolute path of at most 80 bytes`},
		{"a socket around the corner", "public: {address: \"unix:/run/../s\"}\n", `config.yaml:1: public.address: "unix:/run/../s" is not an absolute path`},
		{"a socket of a long name", "public: {address: \"unix:/" + strings.Repeat("a", 80) + "\"}\n", `config.yaml:1: public.address: "unix:/aaaa`},
		{"a socket with NUL", "public: {address: \"unix:/run/a\\0b\"}\n", `config.yaml:1: public.address: "unix:/run/a\x00b" is not an absolute path`},
		{"systemd without a name", "public: {address: \"systemd:\"}\n", `config.yaml:1: public.address: "systemd:" is not the name of a systemd socket`},
		{"systemd with no name", "public: {address: \"systemd:a b\"}\n", `config.yaml:1: public.address: "systemd:a b" is not the name of a systemd socket`},
		{"one socket twice", "public: {address: \"unix:/run/s\"}\nprivate: {address: \"unix:/run/s\"}\n", "config.yaml:2: private.address: uses the port of public.address"},
		{"systemd without a token", "private: {address: \"systemd:private\"}\n", "config.yaml:1: private.token: is required, because private.address is neither a loopback address nor unix:/path"},
		{"ACME beside files", agreed + "names: [a.example.com]}, cert_file: config.yaml, key_file: config.yaml}}\n", "config.yaml:1: public.tls.acme.names: is set together with public.tls.cert_file or key_file; allowed: only one source of certificates"},
		{"ACME without names", agreed + "}}}\n", "config.yaml:1: public.tls.acme.names: is empty, so no certificate is ordered; allowed: the DNS names that the platform calls, such as [hooks.example.com]; or remove acme"},
		{"ACME without agreement", "public: {tls: {acme: {names: [a.example.com]}}}\n", "config.yaml:1: public.tls.acme.terms_agreed: is not true: the authority issues certificates only if you agree"},
		{"agreement by halves", "public: {tls: {acme: {names: [a.example.com], terms_agreed: yes}}}\n", `config.yaml:1: public.tls.acme.terms_agreed: "yes" is not a boolean; allowed: true or false`},
		{"ACME for many names", agreed + "names: [\"*.example.com\"]}}}\n", `config.yaml:1: public.tls.acme.names[0]: "*.example.com" is a wildcard, which the listener cannot prove to the authority`},
		{"ACME for an address", agreed + "names: [192.0.2.1]}}}\n", `config.yaml:1: public.tls.acme.names[0]: "192.0.2.1" is not a DNS name; allowed: a DNS name such as hooks.example.com`},
		{"ACME for a URL", agreed + "names: [\"https://a.example.com\"]}}}\n", `config.yaml:1: public.tls.acme.names[0]: "https://a.example.com" is not a DNS name`},
		{"ACME for a name twice", agreed + "names: [a.example.com, A.example.com]}}}\n", "config.yaml:1: public.tls.acme.names[1]: is a duplicate; allowed: each name once"},
		{"ACME for more than fit", agreed + "names: [" + strings.Repeat("a.example.com,", 101) + "]}}}\n", "config.yaml:1: public.tls.acme.names: are too many for one certificate; allowed: at most 100"},
		{"ACME and nobody's address", agreed + "names: [a.example.com], email: ops}}}\n", `config.yaml:1: public.tls.acme.email: "ops" is not a valid name; allowed: an address such as ops@example.com`},
		{"ACME without TLS", agreed + "names: [a.example.com], directory: \"http://ca.example.com/\"}}}\n", `config.yaml:1: public.tls.acme.directory: "http://ca.example.com/" is not https`},
		{"ACME without its authorities", agreed + "names: [a.example.com], ca_file: ca.pem}}}\n", `config.yaml:1: public.tls.acme.ca_file: "ca.pem" cannot be read`},
		{"ACME and a file for a folder", agreed + "names: [a.example.com], folder: config.yaml}}}\n", `config.yaml:1: public.tls.acme.folder: "config.yaml" is not a folder`},
		{"port with an old TLS", "nats: {embedded: {tls: {min_version: \"1.1\"}}}\n", `config.yaml:1: nats.embedded.tls.min_version: `},
		{"no folder", "nats: {embedded: {folder: \"\"}}\n", "config.yaml:1: nats.embedded.folder: is empty"},
		{"no such credentials", "nats: {mode: external, urls: [nats://a], credentials_file: a.creds}\n", `config.yaml:1: nats.credentials_file: "a.creds" cannot be read: no such file or directory`},
		{"no certificate", "nats: {mode: external, urls: [nats://a], tls: {ca_file: config.yaml}}\n", "config.yaml:1: nats.tls.ca_file: contains no certificate"},
		{"half a pair", "nats: {mode: external, urls: [nats://a], tls: {cert_file: config.yaml}}\n", "config.yaml:1: nats.tls.key_file: is empty, but nats.tls.cert_file is set"},
		{"other half", "nats: {mode: external, urls: [nats://a], tls: {key_file: config.yaml}}\n", "config.yaml:1: nats.tls.cert_file: is empty, but nats.tls.key_file is set"},
		{"no pair", "nats: {mode: external, urls: [nats://a], tls: {cert_file: config.yaml, key_file: config.yaml}}\n", "config.yaml:1: nats.tls.cert_file: does not work with nats.tls.key_file: "},

		{"log's name", "audit: {name: My_Receiver}\n", `config.yaml:1: audit.name: "My_Receiver" is not a valid name; allowed: 1 to 32 of a-z 0-9 -`},
		{"log's origin with a plus", "audit: {origin: a+b}\n", `config.yaml:1: audit.origin: "a+b" is not a domain; allowed: a domain such as hooks.example.com, at most 253 of `},
		{"log's origin with a space", "audit: {origin: a b}\n", `config.yaml:1: audit.origin: "a b" is not a domain`},
		{"log's origin with a slash", "audit: {origin: a/b}\n", `config.yaml:1: audit.origin: "a/b" is not a domain`},
		{"log's origin of 254 bytes", "audit: {origin: " + strings.Repeat("a.", 126) + "ab}\n", "config.yaml:1: audit.origin: "},
		{"another secret as log key", "audit:\n  key: hunter2\n", "config.yaml:2: audit.key: the secret is not a log key; allowed: the content of a file written by `receiver audit init"},
		{"log key in two pieces", "audit: {key: \"PRIVATE+KEY+receiver/hunter2 x+b3caf33f+AQAB\"}\n", "config.yaml:1: audit.key: the secret is not a log key"},
		{"secret as verifier key", "audit: {verifier_keys: [abc]}\n", `config.yaml:1: audit.verifier_keys[0]: is not the public key of a log or a witness; allowed: name+hash+base64, from `},
		{"log key as verifier key", "audit: {verifier_keys: [PRIVATE+KEY+receiver/x+b3caf33f+AQAB]}\n", "config.yaml:1: audit.verifier_keys[0]: is a secret key; use the public key"},
		{"hasty sealing", "audit: {interval: 10ms}\n", "config.yaml:1: audit.interval: 10ms is too small; "},
		{"no checkpoint file", "audit: {checkpoint_file: \"\"}\n", "config.yaml:1: audit.checkpoint_file: is empty"},
		{"anchor nowhere", logKey + "  anchors:\n  - {}\n", "config.yaml:4: audit.anchors[0]: must name exactly one place; allowed: directory; or witness and key; or nats with urls"},
		{"archives later than events are removed", logKey + "  export: {folder: a, interval: 48h}\nnats: {jobs_max_age: 80h}\n", "config.yaml:3: audit.export.interval: is more than half of nats.jobs_max_age, so events could be removed before they are archived; allowed: at most 40h0m0s"},
		{"anchor in two places", logKey + "  anchors:\n  - {directory: a, witness: https://w.example.com}\n", "config.yaml:4: audit.anchors[0]: must name exactly one place"},
		{"witness without key", logKey + "  anchors:\n  - witness: https://w.example.com\n", "config.yaml:4: audit.anchors[0].key: is empty, so the witness's cosignatures could not be verified; allowed: its verifier key"},
		{"directory with key", logKey + "  anchors:\n  - {directory: a, key: " + witnessKey + "}\n", "config.yaml:4: audit.anchors[0].key: is set, but only a witness has a key"},
		{"account without a server", logKey + "  anchors:\n  - nats: {stream: KEPT}\n", "config.yaml:4: audit.anchors[0]: must name exactly one place"},
		{"account and directory", logKey + "  anchors:\n  - {directory: a, nats: {urls: [nats://a]}}\n", "config.yaml:4: audit.anchors[0]: must name exactly one place"},
		{"account with a key", logKey + "  anchors:\n  - {nats: {urls: [nats://a]}, key: " + witnessKey + "}\n", "config.yaml:4: audit.anchors[0].key: is set, but only a witness has a key"},
		{"account on everything", logKey + "  anchors:\n  - nats: {urls: [nats://a], subject: a.>}\n", `config.yaml:4: audit.anchors[0].nats.subject: "a.>" is not a valid name; allowed: words of `},
		{"account without its credentials", logKey + "  anchors:\n  - nats: {urls: [nats://a], credentials_file: a.creds}\n", `config.yaml:4: audit.anchors[0].nats.credentials_file: "a.creds" cannot be read`},
		{"account with half a pair", logKey + "  anchors:\n  - nats: {urls: [nats://a], tls: {cert_file: config.yaml}}\n", "config.yaml:4: audit.anchors[0].nats.tls.key_file: is empty, but audit.anchors[0].nats.tls.cert_file is set"},
		{"account on our own server", logKey + "  anchors:\n  - nats: {urls: [\"nats://localhost:4222\"]}\n", "config.yaml:4: audit.anchors[0].nats.urls[0]: is the receiver's own server; allowed: an account that "},
		{"account of the streams", logKey + "  anchors:\n  - nats: {urls: [nats://a, nats://b]}\nnats: {mode: external, urls: [nats://b]}\n", "config.yaml:4: audit.anchors[0].nats.urls: is the account of the streams themselves"},
		{"witness by http", logKey + "  anchors:\n  - {witness: \"http://w.example.com\", key: " + witnessKey + "}\n", `config.yaml:4: audit.anchors[0].witness: "http://w.example.com" is not https`},

		{"level", "log: {level: loud}\n", `config.yaml:1: log.level: "loud" is unknown; allowed: trace, debug, info, warn, error`},
		{"long value", "log: {level: " + strings.Repeat("x", 500) + "}\n", "config.yaml:1: log.level: \"" + strings.Repeat("x", 80) + "…\" is unknown"},
		{"control characters", "log: {level: \"\\e[2J\"}\n", `config.yaml:1: log.level: "\x1b[2J" is unknown`},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := complaints(t, row.text, nil)
			if len(got) == 0 || !strings.HasPrefix(got[0], row.want) {
				t.Fatalf("Load(%q) complains\n%s\nwant\n%s", row.text, strings.Join(got, "\n"), row.want)
			}
			if len(got) > 1 {
				t.Errorf("Load(%q) has more to say than one fault:\n%s", row.text, strings.Join(got, "\n"))
			}
			if strings.Contains(strings.Join(got, "\n"), "hunter2") {
				t.Errorf("Load(%q) tells the secret: %s", row.text, got)
			}
		})
	}
}

func TestAliasesAreNotFollowed(t *testing.T) {
	got := complaints(t, "a: &a [x, x]\nb: &b [*a, *a, *a]\nlog: {level: *b}\nprivate: {? *a : x, token: *a}\n", nil)
	for _, want := range []string{
		"config.yaml:3: log.level: is a YAML alias (*…); they are not supported; allowed: the value itself, in quotes if it begins with this character",
		"config.yaml:4: private.token: is a YAML alias (*…); they are not supported; allowed: the value itself, in quotes if it begins with this character",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("faults:\n%s\nwant among them\n%s", strings.Join(got, "\n"), want)
		}
	}
}

func TestAllFaultsAtOnceInOrder(t *testing.T) {
	got := complaints(t, `limits:
  body: 1GiB
nats:
  mode: external
  sync: interval
log: {lvel: info, format: yaml}
sources:
  crm:
    base_url: ftp://x
    user_secret: env:UNSET
    signature_keys:
      - value: file:none.key
      - value: good
        name: "?"
  web:
    hub: x
    timeouts: {upload: now}
  crm:
log: {}
log: {level: loud}
`, nil, "RECEIVER_PUBLIC_ADDRESS=nowhere", "RECEIVER_NAT_MODE=external", "HOME=/root")
	want := []string{
		"config.yaml:2: limits.body: 1GiB is too large",
		"config.yaml:3: nats.urls: is empty",
		"config.yaml:5: nats.sync: an external cluster",
		"config.yaml:6: log.lvel: unknown key (did you mean level?)",
		`config.yaml:6: log.format: "yaml" is unknown`,
		`config.yaml:9: sources.crm.base_url: "ftp://x" is not https`,
		"config.yaml:10: sources.crm.user_secret: environment variable UNSET is not set",
		`config.yaml:12: sources.crm.signature_keys[0].value: secret file "none.key" cannot be read: no such file or directory`,
		`config.yaml:14: sources.crm.signature_keys[1].name: "?" is not a valid name`,
		"config.yaml:15: sources.web.signature_keys: there is no signature key",
		`config.yaml:17: sources.web.timeouts.upload: "now" is not a duration`,
		"config.yaml:18: sources.crm: is a duplicate of line 8",
		"config.yaml:19: log: is a duplicate of line 6",
		"config.yaml:20: log: is a duplicate of line 6",
		"environment RECEIVER_NAT_MODE: is not the name of a setting (did you mean RECEIVER_NATS_MODE?)",
		`environment RECEIVER_PUBLIC_ADDRESS: public.address: "nowhere" is not host:port`,
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !strings.HasPrefix(got[i], want[i]) {
			t.Fatalf("faults:\n%s\nwant, in this order:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestFaultsAreValues(t *testing.T) {
	path := write(t, "config.yaml", "log:\n  level: loud\n")
	_, err := config.Load(config.Options{Path: path})
	var got config.Fault
	if !errors.As(err, &got) {
		t.Fatalf("Load = %v, want a Fault in it", err)
	}
	want := config.Fault{File: path, Line: 2, Path: "log.level", Wrong: `"loud" is unknown`, Allowed: "trace, debug, info, warn, error"}
	if got != want {
		t.Errorf("fault = %+v, want %+v", got, want)
	}
}

func TestUnreadableFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.yaml")
	_, err := config.Load(config.Options{Path: path})
	if want := path + ": cannot be read: no such file or directory"; err == nil || err.Error() != want {
		t.Errorf("Load(no such file) = %v, want %s", err, want)
	}
	_, err = config.Load(config.Options{Path: write(t, "config.yaml", strings.Repeat("#", 1<<20+1))})
	if err == nil || !strings.HasSuffix(err.Error(), "cannot be read: it is larger than 1MiB") {
		t.Errorf("Load(a file over 1 MiB) = %v, want a refusal", err)
	}
}

func TestWarnings(t *testing.T) {
	long := strings.Repeat("k", 129)
	for _, row := range []struct {
		name, text string
		want       []string
	}{
		{"nothing to say", crm, nil},
		{"no source", "log: {}\n", []string{"config.yaml: sources: no source is configured: every callback will be refused"}},
		{"long key", "sources: {crm: {signature_keys: [{value: " + long + "}]}}\n",
			[]string{"config.yaml:1: sources.crm.signature_keys[0].value: the key has 129 bytes, but the platform stores at most 128"}},
		{"longest key", "sources: {crm: {signature_keys: [{value: " + long[1:] + "}]}}\n", nil},
		{"white space", "sources: {crm: {signature_keys: [{value: \"hunter2 \"}]}}\n",
			[]string{"config.yaml:1: sources.crm.signature_keys[0].value: begins or ends with white space, which is part of the value"}},
		{"shared key", "sources:\n  web: {signature_keys: [{value: hunter2}]}\n  crm: {signature_keys: [{value: hunter2}]}\n",
			[]string{"config.yaml:2: sources.web.signature_keys[0].value: is the same key as sources.crm.signature_keys[0].value (sha256:f52fbd32)"}},
		{"half the credentials", "sources:\n  crm:\n" + key + "    element_token: hunter2\n",
			[]string{"config.yaml:2: sources.crm: has only one of element_token and user_secret: `receiver submit` needs both"}},
		{"a prefix that the platform is not given", "sources:\n  crm:\n" + key + "    callback_base_url: https://example.com/in\npublic: {prefix: /hooks/}\n",
			[]string{"config.yaml:4: sources.crm.callback_base_url: does not end in public.prefix, /hooks: the platform gets addresses without the prefix"}},
		{"a prefix that it is given in part", "sources:\n  crm:\n" + key + "    callback_base_url: https://example.com/myhooks\npublic: {prefix: /hooks}\n",
			[]string{"config.yaml:4: sources.crm.callback_base_url: does not end in public.prefix, /hooks: the platform gets addresses without the prefix"}},
		{"a prefix behind another", "sources:\n  crm:\n" + key + "    callback_base_url: https://example.com/a/hooks/\npublic: {prefix: /hooks}\n", nil},
		{"a path that may be taken off", "sources:\n  crm:\n" + key + "    callback_base_url: https://example.com/hooks\n", nil},
		{"a prefix, and jobs submitted elsewhere", crm + "public: {prefix: /hooks}\n", nil},
		{"everybody trusted", crm + "public: {trusted_proxies: [0.0.0.0/0]}\n", []string{"config.yaml:2: public.trusted_proxies[0]: trusts X-Forwarded-For from every address"}},
		{"idle settings", crm + "nats: {mode: embedded, urls: [nats://a]}\n", []string{"config.yaml:2: nats.mode: is embedded, so nats.urls, nats.credentials_file and nats.tls are not used"}},
		{"anchors without a key", crm + "audit: {anchors: [{directory: a}]}\n", []string{"config.yaml:2: audit.anchors: get no checkpoints, because audit.key is not set"}},
		{"archives without a key", crm + "audit: {export: {folder: a}}\n", []string{"config.yaml:2: audit.export.folder: gets no archives, because audit.key is not set"}},
		{"put aside and not to be read", "sources:\n  crm:\n" + key + "    unexpected_jobs: quarantine\nencryption: {recipients: [" + publicKey + "]}\n",
			[]string{"config.yaml:4: sources.crm.unexpected_jobs: quarantines callbacks whose bodies this receiver encrypts and, without encryption.identity, " +
				"cannot decrypt: they are not released when the submission of their job is recorded, only by `receiver jobs release --identity-file`"}},
		{"short memory", crm + "nats: {jobs_max_age: 72h}\n", []string{"config.yaml:2: nats.jobs_max_age: is shorter than the 73h during which the platform may retry a callback: a late retry would count as new"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := load(t, row.text)
			got := strings.ReplaceAll(strings.Join(c.Warnings, "\n"), c.Dir+string(filepath.Separator), "")
			if want := strings.Join(row.want, "\n"); got != want {
				t.Errorf("warnings:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
