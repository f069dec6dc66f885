package conn

import (
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
)

// The streams and the bucket that the program owns.
const (
	// JobsStream holds every event: authentic ones and our own.
	JobsStream = "JOBS"
	// AttemptsStream holds refused, duplicate and late callbacks.
	AttemptsStream = "ATTEMPTS"
	// WatchStream holds one message for each job that is being polled.
	WatchStream = "WATCH"
	// SubmissionsStream holds one message for each submission of the last week.
	SubmissionsStream = "SUBMISSIONS"
	// ReplaysStream holds events that were published once more.
	ReplaysStream = "REPLAYS"
	// SinksStream holds one message for each job that a sink does not accept, and for each event
	// that was given up.
	SinksStream = "SINKS"
	// PayloadBucket holds bodies that are too large for a message, together with their
	// headers. Objects are named by the SHA-256 of their bytes and a random word.
	PayloadBucket = "PAYLOADS"
)

// The headers of an atomic batch (NATS ADR-50): which batch a message belongs to, its number there
// from 1 on, and, on the last message, that the batch is complete.
const (
	BatchIDHeader       = "Nats-Batch-Id"
	BatchSequenceHeader = "Nats-Batch-Sequence"
	BatchCommitHeader   = "Nats-Batch-Commit"
)

// Streams are the limits of the streams.
type Streams struct {
	// JobsMaxAge is how long events are kept; they are never dropped for size.
	// Default 90 days.
	JobsMaxAge time.Duration
	// Forwarded makes JOBS without a limit of age: a Forwarder removes what is older than
	// JobsMaxAge, once the hub has it.
	Forwarded bool
	// AttemptsMaxBytes bounds the stream of attempts; the oldest go first.
	// Default 1 GiB.
	AttemptsMaxBytes int64
	// AttemptsMaxAge is how long attempts are kept at most; 0 means as long as there is room.
	AttemptsMaxAge time.Duration
	// Replicas is on how many servers each stream is kept. Default 1.
	Replicas int
}

// WithDefaults fills in the defaults.
func (s Streams) WithDefaults() Streams {
	if s.JobsMaxAge == 0 {
		s.JobsMaxAge = 90 * 24 * time.Hour
	}
	if s.AttemptsMaxBytes == 0 {
		s.AttemptsMaxBytes = 1 << 30
	}
	if s.Replicas == 0 {
		s.Replicas = 1
	}
	return s
}

// BaseConfig is what all streams have in common: messages stay, on disk, without limits.
func (s Streams) BaseConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage,
		Replicas: s.Replicas, Discard: jetstream.DiscardOld, AllowDirect: true,
		MaxMsgs: -1, MaxBytes: -1, MaxMsgSize: -1, MaxMsgsPerSubject: -1, MaxConsumers: -1,
	}
}

// Configs returns the configuration of each stream of the callbacks, by its limits.
func (s Streams) Configs() []jetstream.StreamConfig {
	s = s.WithDefaults()
	base := s.BaseConfig()
	jobs, attempts := base, base
	jobs.Name, jobs.Subjects, jobs.MaxAge = JobsStream, []string{job.AllJobs}, s.JobsMaxAge
	jobs.Description = "verified events of bulk jobs; one finished event for each job"
	if s.Forwarded {
		jobs.MaxAge = 0
	}
	jobs.AllowAtomicPublish = true
	attempts.Name, attempts.Subjects, attempts.MaxBytes = AttemptsStream, []string{job.AllAttempts}, s.AttemptsMaxBytes
	attempts.MaxAge = s.AttemptsMaxAge
	attempts.Description = "callbacks that created no event: refused, repeated, quarantined"
	attempts.AllowAtomicPublish = true
	watch := base
	watch.Name, watch.Subjects = WatchStream, []string{job.AllWatches}
	watch.Retention, watch.MaxMsgsPerSubject = jetstream.WorkQueuePolicy, 1
	watch.Description = "unfinished jobs, and when to poll each"
	submissions := base
	submissions.Name, submissions.Subjects = SubmissionsStream, []string{job.AllSubmissions}
	submissions.MaxMsgsPerSubject, submissions.MaxAge = 1, SubmissionsMaxAge
	submissions.MaxMsgs, submissions.Discard = maxSubmissions, jetstream.DiscardNew
	submissions.Description = "submissions by the HTTP API, so that a repeated request submits nothing twice"
	replays := base
	replays.Name, replays.Subjects = ReplaysStream, []string{job.AllReplays}
	replays.MaxAge, replays.MaxMsgs = SubmissionsMaxAge, maxReplays
	replays.Description = "events that an operator had published once more"
	sinks := base
	sinks.Name, sinks.Subjects, sinks.MaxMsgsPerSubject = SinksStream, []string{job.AllSinks}, 1
	sinks.Description = "events that a sink did not accept: posted again, or given up"
	actions := base
	actions.Name, actions.Subjects = ActionsStream, []string{job.AllActions}
	actions.Description = "actions on the installation, and their operators"
	return []jetstream.StreamConfig{jobs, attempts, watch, submissions, replays, sinks, actions}
}

// SubmissionsMaxAge is how long a submission is remembered.
const SubmissionsMaxAge = 7 * 24 * time.Hour

// The bounds of SUBMISSIONS, beyond which nothing is submitted, since one that is forgotten could
// be submitted twice, and of REPLAYS. They are messages, since a server reserves the bytes that a
// stream may have, and a cluster that was large enough must stay so.
const (
	maxSubmissions = 2_000_000
	maxReplays     = 10_000
)

// CheckpointsConfig returns the configuration of the stream of the checkpoints. All are kept:
// the more there are, the narrower a rewriting of history is pinned down.
func (s Streams) CheckpointsConfig() jetstream.StreamConfig {
	c := s.WithDefaults().BaseConfig()
	c.Name, c.Subjects, c.AllowDirect = CheckpointsStream, []string{job.AllCheckpoints}, false
	c.Description = "signed checkpoints of the logs of the streams"
	return c
}

// ErrStream is returned when a stream exists that cannot keep the guarantees, such as one that
// drops events for size. The error says what to change; only Survey.Apply changes a stream.
var ErrStream = errors.New("the stream exists with another configuration")

// ErrLost is returned for a store in which something is missing that it is known to have had.
var ErrLost = errors.New("the store has lost data")

// MetaCopyOf marks a copy of a stream, and the stream that was made again from it.
const MetaCopyOf = "receiver-copy-of"

// Began is the time before which a stream had no messages; zero for one that was made again from
// its copy, whose messages are older.
func Began(c jetstream.StreamConfig, created time.Time) time.Time {
	if c.Metadata[MetaCopyOf] != "" {
		return time.Time{}
	}
	return created
}

// ActionsStream holds what was done to the installation. It has no limits: attempts of
// unauthenticated senders, which fill ATTEMPTS, must not push out the actions of operators.
const ActionsStream = "ACTIONS"

// LeasesBucket names the holders of tasks that only one replica should do at a time.
const LeasesBucket = "LEASES"

// LedgerBucket holds the newest snapshot of the list of jobs. It can be removed at any
// moment: the list is then made from the stream.
const LedgerBucket = "LEDGER"

// ErrMissing is returned for a stream or a bucket that is not there.
var ErrMissing = errors.New("the stream does not exist")

// HeaderSpace is what a message's headers and protocol line may need beside its body.
const HeaderSpace = 64 << 10

// PayloadMaxAge is how long objects are kept: a day longer than JOBS keeps the events that
// refer to them; 0 is for ever.
func PayloadMaxAge(jobs time.Duration) time.Duration {
	if jobs == 0 {
		return 0
	}
	return jobs + 24*time.Hour
}

// The stream and the bucket of the evidence; see internal/audit.
const (
	// CheckpointsStream holds every signed checkpoint, on `checkpoints.<name>.<stream>`.
	CheckpointsStream = "CHECKPOINTS"
	// TilesBucket holds the tiles of the Merkle trees, by their C2SP names.
	TilesBucket = "TILES"
)

// CopySuffix ends the name of the copy that a stream has while it is replaced.
const CopySuffix = "_COPY"

// PayloadConfig is the configuration of the bucket of large bodies beside a JOBS that keeps events
// that long.
func (s Streams) PayloadConfig(jobs time.Duration) jetstream.ObjectStoreConfig {
	return jetstream.ObjectStoreConfig{
		Bucket: PayloadBucket, Replicas: max(s.Replicas, 1), TTL: PayloadMaxAge(jobs),
		Description: "bodies larger than a message, named by their SHA-256",
	}
}

// DataRefPrefix begins the value of job.HeaderDataRef; the object's name follows.
const DataRefPrefix = "nats-object:" + PayloadBucket + "/"

// envelope is what JetStream and the protocol put around headers and body at most.
const envelope = 1 << 10

// Fits reports whether a stream, and a server with a limit, take a message of this size.
func Fits(stream jetstream.StreamConfig, limit int64, size int) bool {
	if most := int64(stream.MaxMsgSize); most > 0 {
		limit = min(limit, most)
	}
	return int64(size+envelope) <= limit
}

// LagPause is the time between two checks of a replica that lags behind its leader.
const LagPause = 5 * time.Millisecond

// The limits of a batch, so that it is stored quickly. The server's limit is 1,000 messages.
const (
	MaxBatch      = 256
	MaxBatchBytes = 4 << 20
)

// HubPayload is the largest message that an edge sends to its hub.
const HubPayload = 1 << 20

// SlowLine is the least rate, in bytes a second, for one stream of an edge: a link of twice as much
// carries the largest messages of both. A slower link is not supported.
const SlowLine = 32 << 10
