// Package simulator is a stand-in for SAP Open Connectors' bulk API: upload, query and download
// jobs, their status, errors, results, list and cancellation, and the signed callback at the end of
// each with its retries and its queue. It is written from the public contract alone (cited as "OC:
// (a) row n") and shares no code with the client, the verifier or any other package of this module,
// so that a misunderstanding on one side does not hide itself on the other.
//
// Goals: a receiver and a client that work against it have met everything the contract says may
// happen. Where the contract leaves freedom it is deliberately unlike any one production system:
// JSON keys come in any order, with unknown ones between them and white space as it likes; ids are
// strings or numbers; the callback payload comes back in any of its known places; the callback's
// Content-Type varies. Nobody should come to rely on such things. Faults are dials, see [Faults];
// what is drawn is drawn from a seed.
//
// Time: what the platform schedules (job duration, retry spacing, late callbacks, retention) is
// multiplied by [Options.TimeScale]; what happens on the wire (slow answers, the sender's timeout,
// Retry-After) is not.
//
// Limits: it is for TESTS and says so in its Server and User-Agent headers. Everything is in
// memory, jobs and deliveries are kept until the process ends, secrets made up by it are for
// loopback only, and no provider stands behind it: rows are counted and checked for shape, not
// stored anywhere.
package simulator

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"log"
	mrand "math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// Banner is the Server header of every answer and the User-Agent of every callback.
const Banner = "TEST-open-connectors-simulator"

// Base is the path under which the platform answers.
// OC: 1.1
const Base = "/elements/api-v2"

// retention is how long result files can be fetched after a job's end. OC: 1.4
const retention = 72 * time.Hour

// StopCalling says what the platform stops calling once a delivery has failed for the last time.
// OC: 6.4, "subscription deactivated, later events queued"
type StopCalling string

const (
	// StopHost queues later callbacks to the failing host (with port); the default.
	StopHost StopCalling = ""
	// StopInstance queues all later callbacks of the instance.
	StopInstance StopCalling = "instance"
	// StopNever queues only the delivery that failed and calls on.
	StopNever StopCalling = "never"
)

// Options is what a platform is made of. The zero value works: random secrets, no signature key,
// the contract's objects and times.
type Options struct {
	// Element, User and Organization are what Authorization must carry. An empty Element or User is
	// replaced by a random one, see Credentials; an empty Organization is not asked for.
	Element, User, Organization string
	// SignatureKey is event.notification.signature.key, used as its bytes are. Empty means that
	// callbacks carry no signature header. OC: (a) rows 25, 27
	SignatureKey string
	// BasicUser, when not empty, is presented with BasicPassword on every callback. OC: (a) row 29
	BasicUser, BasicPassword string
	// Hub is the only hub answered under /hubs/{hub}; empty means "marketing".
	Hub string
	// Objects are the objects of discovery; empty means the contract's five. Other objects are
	// answered 404.
	Objects []string
	// TimeScale multiplies what the platform schedules; 0.001 makes a second a millisecond, 0 or
	// less means 1.
	TimeScale float64
	// JobDuration is the time from CREATED to the end, before scaling; 0 means 3 s.
	JobDuration time.Duration
	// RetrySpacing holds the pauses before each retry of a callback, before scaling; nil means the
	// contract's 8, 64, 512, 4096 and 32768 s, empty but not nil means that a failed callback is
	// queued at once.
	RetrySpacing []time.Duration
	// StopCalling says what is stopped when a callback has failed for the last time; empty means
	// its host.
	StopCalling StopCalling
	// Faults apply to every job. The faults in a job's metaData under "simulate" override them.
	Faults Faults
	// Seed decides every free choice and every draw of Faults.Mix: the n-th job of two platforms
	// with the same seed and faults draws the same fault. Job ids are not seeded, so that two runs
	// never reuse one.
	Seed uint64
	// Log receives one line per job and per callback attempt; the zero Logger is silent.
	Log zerolog.Logger
	// ErrorLog is that of the HTTP server which Listen starts; nil means the standard logger.
	ErrorLog *log.Logger
	// Client sends the callbacks, without following redirects; nil means one of the platform's own.
	Client *http.Client
}

// Platform is one simulated instance with its jobs. It is an http.Handler answering under Base and
// may be used by any number of callers at once. Close it.
type Platform struct {
	o        Options
	instance int64
	wrongKey string
	client   *http.Client
	mux      *http.ServeMux
	life     *life
	rolls    atomic.Uint64

	mu         sync.Mutex // guards all below and the mutable fields of jobs and deliveries
	key        string
	lastID     int64
	draws      uint64
	left       []Answer // what Options.Faults.HTTP still has to answer
	jobs       map[string]*job
	order      []*job
	deliveries []*delivery
	log        []Delivery
	stopped    map[string]bool // what is not called any more, by stopKey
	stats      Stats
	changed    chan struct{} // closed and replaced whenever stats change
}

// New makes a platform. It listens nowhere: mount it in an http.Server.
func New(o Options) *Platform {
	o = withDefaults(o)
	p := &Platform{
		o: o, key: o.SignatureKey, wrongKey: rand.Text(), client: callbackClient(o.Client), life: newLife(),
		left: slices.Clone(o.Faults.HTTP), jobs: map[string]*job{}, stopped: map[string]bool{},
		changed: make(chan struct{}), lastID: 1_000_000_000 + mrand.Int64N(8_000_000_000),
	}
	p.instance = 100_000 + p.dice().Int64N(900_000)
	p.mux = p.routes()
	o.Log.Info().Int64("instance", p.instance).Uint64("seed", o.Seed).Str("faults", o.Faults.String()).
		Msg("TEST platform made: simulated, not SAP Open Connectors")
	return p
}

func withDefaults(o Options) Options {
	o.Element = cmp.Or(o.Element, randomSecret())
	o.User = cmp.Or(o.User, randomSecret())
	o.Hub = cmp.Or(o.Hub, "marketing")
	if len(o.Objects) == 0 {
		o.Objects = []string{"activities", "contact", "campaign", "list", "account"}
	}
	if o.TimeScale <= 0 {
		o.TimeScale = 1
	}
	o.JobDuration = cmp.Or(o.JobDuration, 3*time.Second)
	if o.RetrySpacing == nil {
		o.RetrySpacing = []time.Duration{8 * time.Second, 64 * time.Second, 512 * time.Second,
			4096 * time.Second, 32768 * time.Second} // OC: (a) row 28
	}
	return o
}

// randomSecret looks like the platform's: standard base64 with padding, so that '=' occurs in the
// header.
func randomSecret() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails, see crypto/rand
	return base64.StdEncoding.EncodeToString(raw)
}

// dice makes the source of one answer's free choices.
func (p *Platform) dice() *mrand.Rand {
	return mrand.New(mrand.NewPCG(p.o.Seed, p.rolls.Add(1)))
}

func (p *Platform) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) * p.o.TimeScale)
}

// SetSignatureKey changes the key as an operator would at the platform. Every attempt from now on,
// retries of earlier callbacks included, is signed with it; "" ends signing.
func (p *Platform) SetSignatureKey(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.key = key
}

// Close stops jobs, timers and callbacks under way and waits for them. Requests arriving later get
// 503.
func (p *Platform) Close() error {
	p.life.end()
	p.client.CloseIdleConnections()
	return nil
}
