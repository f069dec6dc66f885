// Package config turns config.yaml, RECEIVER_ environment variables and secret
// files into one checked [Config], or into the list of everything that is
// wrong with them.
//
// It owns the schema (the tagged structs in this file), the defaults, the
// rules between values and the type [Secret]. It never starts anything, never
// writes a file, never expands variables inside the file's text, and never puts
// the value of a secret into an error, a warning or [Config.Effective].
// Only cmd and internal/service import it; it imports no other package of this module.
//
// # The schema
//
// A setting is one struct field. Its tags are all there is to say about it:
//
//	key      its YAML key; the environment variable's name is made from the same path
//	default  its value, as one would write it in the file, where nothing is given;
//	         a setting with a default cannot be given as empty text
//	oneof    the only texts allowed, separated by commas
//	form     the shape asked of a text: a name in the table forms
//	min, max the smallest and largest value allowed
//	ours     "true" on a secret whose bytes nobody else dictates: what is odd in them is a
//	         warning and no fault
//	short    on one field of a list entry: what an entry is when a list comes
//	         from one environment variable
//
// Reading, environment names, suggestions, defaults and printing all follow
// from them. Rules that relate two settings are in check.go.
package config

import (
	"maps"
	"path/filepath"
	"slices"
	"time"
)

// Values of Source.CallbackToken.
const (
	// TokenRequired refuses callbacks without a token in their address.
	TokenRequired = "required"
	// TokenOptional checks the token of those that have one.
	TokenOptional = "optional"
	// TokenOff gives the platform addresses without a token and looks at none.
	TokenOff = "off"
)

// Values of Source.UnexpectedJobs.
const (
	UnexpectedAccept     = "accept"
	UnexpectedQuarantine = "quarantine"
)

// Values of NATS.Mode and NATS.Sync.
const (
	ModeEmbedded = "embedded"
	ModeExternal = "external"
	// ModeEdge is ModeEmbedded as a leaf node of a hub, which has everything in the end.
	ModeEdge     = "edge"
	SyncAlways   = "always"
	SyncInterval = "interval"
)

// Config is a whole, checked configuration: what [Load] returned without an
// error can be used without asking again whether it makes sense.
type Config struct {
	// File is the path that was read, as given to Load; empty without a file.
	File string
	// Dir is the absolute folder that relative paths in the configuration start
	// from: the file's, or the working folder without a file.
	Dir string
	// Files are the absolute paths of all that was read: the file, if there is one,
	// every secret file, and the ca_file of every source.
	Files []string
	// Warnings are worth a person's look but stop nothing. One line each, in the
	// order of the file, in the form of a Fault, without secrets.
	Warnings []string

	// Sources are the connector instances that may call back, by name
	// ([a-z0-9-]{1,32}).
	Sources map[string]Source `key:"sources"`
	// TokenSecret is what the tokens of callback addresses are made with, the same
	// on every replica; empty means that none are made.
	TokenSecret Secret     `key:"token_secret" ours:"true"`
	Public      Public     `key:"public"`
	Private     Private    `key:"private"`
	Limits      Limits     `key:"limits"`
	NATS        NATS       `key:"nats"`
	Audit       Audit      `key:"audit"`
	Encryption  Encryption `key:"encryption"`
	// Sinks are where events are posted to.
	Sinks   []Sink  `key:"sinks"`
	Tracing Tracing `key:"tracing"`
	Log     Log     `key:"log"`
}

// Source is one connector instance of the platform. It can always receive;
// to submit jobs it needs ElementToken, UserSecret and CallbackBaseURL.
type Source struct {
	// BaseURL is where the platform's API is, without a trailing slash.
	// OC: (a) row 1; (b) row 27: free text, no list of regions.
	BaseURL string `key:"base_url" default:"https://api.openconnectors.us2.ext.hana.ondemand.com/elements/api-v2" form:"https"`
	// Hub adds /hubs/{hub} to the API's paths; empty means paths without it.
	Hub string `key:"hub" form:"word"`
	// TLS names the authorities that certify the platform's servers.
	TLS SourceTLS `key:"tls"`
	// ElementToken, UserSecret and OrganizationSecret make up the Authorization
	// header; each may be empty. OC: (a) row 2.
	ElementToken       Secret `key:"element_token" form:"header"`
	UserSecret         Secret `key:"user_secret" form:"header"`
	OrganizationSecret Secret `key:"organization_secret" form:"header"`
	// SignatureKeys are the keys a callback's signature may be made with; at
	// least one. OC: (a) row 25, (b) rows 7, 13 and 14.
	SignatureKeys []SignatureKey `key:"signature_keys"`
	// CallbackBaseURL is this receiver's public address as the platform reaches
	// it, without a trailing slash; empty when jobs are submitted elsewhere.
	CallbackBaseURL string `key:"callback_base_url" form:"https"`
	// CallbackToken is TokenRequired, TokenOptional or TokenOff.
	CallbackToken string `key:"callback_token" default:"optional" oneof:"required,optional,off"`
	// BasicAuth is asked of callbacks in addition to the signature. OC: (b) row 28.
	BasicAuth BasicAuth `key:"basic_auth"`
	// UnexpectedJobs is UnexpectedAccept or UnexpectedQuarantine: what becomes of
	// authentic callbacks about jobs that were not submitted here.
	UnexpectedJobs string `key:"unexpected_jobs" default:"accept" oneof:"accept,quarantine"`
	// Confirm says which callbacks are read back from the platform before their event is
	// published. OC: (b) row 5.
	Confirm string `key:"confirm" default:"never" oneof:"never,unsigned-fields,always"`
	// Watch says when the platform is polled for a job that has not called back.
	Watch    WatchPlan `key:"watch"`
	Timeouts Timeouts  `key:"timeouts"`
}

// SourceTLS is for the connection to the platform. Verification cannot be switched off.
type SourceTLS struct {
	// CAFile replaces the system's roots; empty keeps them.
	CAFile Path `key:"ca_file"`
	// Authorities is the content of CAFile, as it was checked: PEM with a certificate in it.
	Authorities []byte
}

// WatchPlan is the schedule of polling for a job, counted from its submission.
type WatchPlan struct {
	// Expected is how long a job takes as a rule; the first question is asked then.
	Expected time.Duration `key:"expected" default:"10m" min:"10ms" max:"168h"`
	// Retry is the pause after it, doubled with each question up to Cap.
	Retry time.Duration `key:"retry" default:"1m" min:"10ms" max:"24h"`
	Cap   time.Duration `key:"cap" default:"15m" min:"10ms" max:"24h"`
	// Deadline is when a job without an end is overdue, and Slow the pause from then on.
	Deadline time.Duration `key:"deadline" default:"6h" min:"10ms" max:"168h"`
	Slow     time.Duration `key:"slow" default:"1h" min:"10ms" max:"24h"`
	// Retention is how long asking goes on after the deadline. OC: section 1.4.
	Retention time.Duration `key:"retention" default:"72h" min:"10ms" max:"720h"`
	// Objects are those whose jobs take another time than Expected.
	Objects []WatchObject `key:"objects"`
}

// WatchObject is how long jobs of one object take as a rule.
type WatchObject struct {
	Object   string        `key:"object"`
	Expected time.Duration `key:"expected" default:"10m" min:"10ms" max:"168h"`
}

// BasicAuth is what the platform presents on callbacks when the instance has
// event.notification.basic.username and .password set. Both or neither are given.
type BasicAuth struct {
	Username Secret `key:"username"`
	Password Secret `key:"password"`
}

// SignatureKey is one key a source signs its callbacks with.
type SignatureKey struct {
	// Name is unique within its source; key-1, key-2, … by position where none is given.
	Name string `key:"name" form:"key name"`
	// Value is never empty and never only white space. Its bytes are the HMAC key.
	Value Secret `key:"value" short:"true"`
	// NotBefore and NotAfter bound when the key is expected to be in use; zero means
	// unbounded. Outside it still verifies, with a warning: only removing it ends it.
	NotBefore time.Time `key:"not_before"`
	NotAfter  time.Time `key:"not_after"`
}

// Timeouts bound the calls to the platform.
type Timeouts struct {
	// Request bounds a call whose answer is small, from dialling to its last byte.
	Request time.Duration `key:"request" default:"30s" min:"1ms" max:"1h"`
	// Upload bounds a call that carries a file, either way.
	Upload time.Duration `key:"upload" default:"1h" min:"1ms" max:"24h"`
}

// Public is the listener that the platform reaches.
type Public struct {
	// Address is host:port, unix:/path or systemd:name.
	Address string `key:"address" default:"127.0.0.1:8080" form:"address"`
	// SocketMode are the permissions of a socket at unix:/path.
	SocketMode string `key:"socket_mode" default:"0660" form:"mode"`
	// TLS is in clear text where it names no certificate.
	TLS PublicTLS `key:"tls"`
	// Prefix is what a proxy leaves in front of the paths, without a trailing slash; empty when
	// it takes it off, or when there is none.
	Prefix string `key:"prefix" form:"prefix"`
	// TrustedProxies may name the client in X-Forwarded-For; empty for none.
	TrustedProxies []string `key:"trusted_proxies" form:"proxy"`
}

// Private is the listener for operators.
type Private struct {
	// Address is host:port, unix:/path or systemd:name.
	Address string `key:"address" default:"127.0.0.1:8081" form:"address"`
	// SocketMode are the permissions of a socket at unix:/path.
	SocketMode string `key:"socket_mode" default:"0600" form:"mode"`
	// TLS is in clear text where it names no certificate.
	TLS PrivateTLS `key:"tls"`
	// Token is the bearer token asked for; when Address is neither on loopback nor a Unix
	// socket, it is not empty or TokensFile is there.
	Token Secret `key:"token" form:"header" ours:"true"`
	// TokensFile holds the digests of further tokens. It is read again on its own when it changes.
	TokensFile Path `key:"tokens_file" default:"receiver-tokens.json"`
	// Pprof has GET /debug/pprof/{profile} answered.
	Pprof bool `key:"pprof" default:"false"`
	// Rate is how many requests a second are answered to each token.
	Rate int `key:"rate" default:"50" min:"1" max:"1000000"`
}

// Limits bound what one request may take.
type Limits struct {
	// Body is the largest callback, in bytes; a larger one is answered 413. It
	// leaves room for headers below the 64 MiB an embedded NATS can carry.
	Body ByteSize `key:"body" default:"8MiB" min:"1KiB" max:"63MiB"`
	// Bodies is how many bytes the bodies of callbacks under way may take together.
	Bodies ByteSize `key:"bodies" default:"256MiB" min:"1KiB" max:"1TiB"`
	// Connections is how many connections the public listener has at most; 0 means as many
	// as file descriptors and memory allow.
	Connections int `key:"connections" default:"0" min:"0" max:"1000000"`
	// Memory is how many bytes the process may take; 0 means what the system gives it.
	Memory            ByteSize      `key:"memory" default:"0" min:"0" max:"1024TiB"`
	Header            ByteSize      `key:"header" default:"16KiB" min:"1KiB" max:"1MiB"`
	ReadHeaderTimeout time.Duration `key:"read_header_timeout" default:"5s" min:"1ms" max:"1h"`
	ReadTimeout       time.Duration `key:"read_timeout" default:"30s" min:"1ms" max:"1h"`
	WriteTimeout      time.Duration `key:"write_timeout" default:"30s" min:"1ms" max:"1h"`
	// IdleTimeout is longer than the 60 s after which AWS's load balancers, and others, close an
	// idle connection: the receiver must not close first.
	IdleTimeout time.Duration `key:"idle_timeout" default:"75s" min:"1ms" max:"1h"`
	// PublishTimeout is how long NATS may take to acknowledge an event before
	// the callback is answered 503.
	PublishTimeout time.Duration `key:"publish_timeout" default:"5s" min:"1ms" max:"1h"`
	// Waiting is how many authentic callbacks may wait for NATS at once.
	Waiting         int           `key:"waiting" default:"8192" min:"1" max:"1000000"`
	ShutdownTimeout time.Duration `key:"shutdown_timeout" default:"20s" min:"1ms" max:"1h"`
	// AttemptBody is how much of a refused callback's body is kept, in bytes; 0
	// keeps none.
	AttemptBody ByteSize `key:"attempt_body" default:"64KiB" min:"0" max:"63MiB"`
	// AttemptQueue is how many refused callbacks may wait to be recorded.
	AttemptQueue int `key:"attempt_queue" default:"1024" min:"1" max:"1000000"`
	// AttemptRate is how many refused callbacks are recorded in a second at most.
	AttemptRate int `key:"attempt_rate" default:"2000" min:"1" max:"1000000"`
}

// Embeds reports whether the streams are kept by a server inside this process.
func (n NATS) Embeds() bool { return n.Mode != ModeExternal }

// NATS says where events are kept.
type NATS struct {
	// Mode is ModeEmbedded, ModeExternal or ModeEdge.
	Mode string `key:"mode" default:"embedded" oneof:"embedded,external,edge"`
	// URLs, CredentialsFile, TLS and Domain are of the cluster for ModeExternal, and of the
	// hub's leaf node listeners for ModeEdge.
	URLs            []string `key:"urls" form:"nats"`
	CredentialsFile Path     `key:"credentials_file"`
	TLS             TLS      `key:"tls"`
	// Domain is the JetStream domain that the streams are in; empty means that of the
	// server connected to. For ModeEdge it is the hub's, and not empty.
	Domain string `key:"domain" form:"domain"`
	// Embedded is for ModeEmbedded and ModeEdge, Edge for ModeEdge.
	Embedded Embedded `key:"embedded"`
	Edge     Edge     `key:"edge"`
	// Sync is SyncAlways or SyncInterval when embedded, and empty when external:
	// a cluster has its own setting.
	Sync string `key:"sync" oneof:"always,interval"`
	// Replicas is 1 when embedded; for ModeEdge it is that of streams made at the hub.
	Replicas int `key:"replicas" default:"1" min:"1" max:"5"`
	// JobsMaxAge is how long events are kept.
	JobsMaxAge time.Duration `key:"jobs_max_age" default:"2160h" min:"1h" max:"87600h"`
	// AttemptsMaxBytes bounds the stream of refused callbacks.
	AttemptsMaxBytes ByteSize `key:"attempts_max_bytes" default:"1GiB" min:"1MiB" max:"1TiB"`
	// AttemptsMaxAge is how long refused callbacks are kept at most; 0 means as long as there
	// is room.
	AttemptsMaxAge time.Duration `key:"attempts_max_age" default:"0s" min:"0s" max:"87600h"`
}

// TLS are PEM files for the connection to an external NATS. Verification
// cannot be switched off.
type TLS struct {
	// CAFile replaces the system's roots; empty keeps them.
	CAFile Path `key:"ca_file"`
	// CertFile and KeyFile are given together or not at all.
	CertFile Path `key:"cert_file"`
	KeyFile  Path `key:"key_file"`
}

// Edge is this server as a leaf node of a hub.
type Edge struct {
	// Name is its JetStream domain, and tells it from the hub's other edges.
	Name string `key:"name" form:"edge name"`
}

// Audit says how the streams are sealed into tamper-evident logs.
type Audit struct {
	// Name is this installation's in the origins of its logs, <origin>/<name>/<stream>.
	Name string `key:"name" default:"receiver" form:"log name"`
	// Origin is the first part of them: a domain of the operator, for logs that a witness knows.
	Origin string `key:"origin" default:"receiver" form:"log origin"`
	// Key signs the checkpoints; empty means that nothing is sealed.
	Key Secret `key:"key" form:"log key"`
	// VerifierKeys are public keys that are believed besides that of Key: earlier ones.
	VerifierKeys []string `key:"verifier_keys" form:"verifier key"`
	// CheckpointFile is where each replica keeps every checkpoint it has seen.
	CheckpointFile Path `key:"checkpoint_file" default:"receiver-checkpoints"`
	// Interval is the longest that a record stays unsealed, but under a high load.
	Interval time.Duration `key:"interval" default:"1s" min:"100ms" max:"1h"`
	// Anchors get a checkpoint every AnchorInterval.
	Anchors        []Anchor      `key:"anchors"`
	AnchorInterval time.Duration `key:"anchor_interval" default:"1m" min:"1s" max:"24h"`
	Export         Export        `key:"export"`
}

// Export is where serve archives new records by itself, and how often.
type Export struct {
	// Folder gets a folder for each export; empty for no exports.
	Folder   Path          `key:"folder"`
	Interval time.Duration `key:"interval" default:"24h" min:"1m" max:"2160h"`
}

// Anchor is a place that an attacker who can rewrite the streams cannot change: a directory, a
// witness, or a stream in another NATS account.
type Anchor struct {
	// Directory holds one file for each checkpoint.
	Directory Path `key:"directory" short:"true"`
	// Witness is the URL of a C2SP tlog-witness, and Key the verifier key of its
	// cosignatures.
	Witness string `key:"witness" form:"https"`
	Key     string `key:"key" form:"verifier key"`
	// NATS is another account than that of the streams.
	NATS AnchorNATS `key:"nats"`
}

// AnchorNATS is a stream in a foreign NATS account; none without URLs.
type AnchorNATS struct {
	URLs            []string `key:"urls" form:"nats"`
	CredentialsFile Path     `key:"credentials_file"`
	TLS             TLS      `key:"tls"`
	// Stream takes what is published on Subject.<name>.<stream>; they are CHECKPOINTS and
	// checkpoints if left out.
	Stream  string `key:"stream" form:"word"`
	Subject string `key:"subject" form:"subject"`
}

// Encryption names the recipients to whom bodies are encrypted before they are stored.
type Encryption struct {
	// Recipients are public keys of age; none means that bodies are stored in clear.
	Recipients []string `key:"recipients" form:"recipient"`
	// Identity is the content of an age identity file, with which bodies are read; empty
	// means that they cannot be read here.
	Identity Secret `key:"identity" form:"identity"`
}

// Log says how the program logs.
type Log struct {
	Level  string `key:"level" default:"info" oneof:"trace,debug,info,warn,error"`
	Format string `key:"format" default:"auto" oneof:"auto,json,console"`
}

// Path is a file or folder as written in the configuration; [Config.Abs] says
// where it is.
type Path string

// Abs returns where p is, taking a relative path from c.Dir; "" stays "".
func (c *Config) Abs(p Path) string { return resolve(c.Dir, string(p)) }

// SourceNames returns the names of the configured sources, sorted.
func (c *Config) SourceNames() []string { return slices.Sorted(maps.Keys(c.Sources)) }

// KeyNames returns the names of the signature keys of a source, sorted; "" stands for all sources.
func (c *Config) KeyNames(source string) []string {
	names := map[string]bool{}
	for name, s := range c.Sources {
		for _, k := range s.SignatureKeys {
			if source == "" || source == name {
				names[k.Name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func resolve(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
