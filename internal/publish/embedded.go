package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"
)

// Embedded says how to run the server inside this process.
type Embedded struct {
	// Folder is where the streams are kept; it is created if it is missing.
	Folder string
	// Address is the host and port that clients may connect to; port 0 means a free one, the
	// empty address none at all. Only with TLS may it be one that other machines reach.
	Address string
	// TLS encrypts what goes through Address; nil leaves it in clear.
	TLS *PortTLS
	// SyncAlways makes JetStream call fsync before every acknowledgement, so that
	// what is acknowledged survives the loss of power. Without it JetStream does so
	// every two minutes, and only the loss of the process is survived.
	SyncAlways bool
	// MaxBody is the largest body in bytes that must fit into a message. Up to 8 MiB
	// the server stays at its recommended limit, and the few bodies that would not
	// fit with their headers go to the object store; above, its limit is raised.
	MaxBody int
	// MaxConnections is how many clients may be connected to Address, those of this process
	// among them; 0 leaves it to the server.
	MaxConnections int
	// Edge makes the server a leaf node of a hub; nil means that it stands alone.
	Edge *Edge
	// IdentityFile is a file outside of the folder that remembers which store it is, so that
	// no new one is begun when the folder is not there; empty for none.
	IdentityFile string
	// Sealed is what the store is held against besides its own notes.
	Sealed Sealed
	// Patience is how long a folder is waited for that another process holds, unless that one
	// is a receiver that serves; 0 means 2 s.
	Patience time.Duration
	// Waiting ends the wait when it is done; nil means that nothing does.
	Waiting context.Context //nolint:containedctx // Start has no other
	// Log receives the server's own messages.
	Log zerolog.Logger

	port *portTLS // TLS, with its files read
}

// Server is an embedded NATS server. It owns its folder by a file lock from
// Start until Stop.
type Server struct {
	ns      atomic.Pointer[server.Server] // replaced when it had to be started again
	e       Embedded
	room    atomic.Pointer[Room]
	turn    sync.Mutex    // held by a look and by Stop
	again   time.Time     // no restart before
	pause   time.Duration // from the last restart to that
	said    *serverLog    // of the server that runs now
	home    home          // of the files
	lost    error         // why the store is given up
	quit    context.CancelFunc
	watched sync.WaitGroup
	owner   nkeys.KeyPair
	gate    *gate
	claim   *claim // nil if the server runs on a copy
	batches staging
	staging sync.Mutex  // held while batches are led
	quick   atomic.Bool // batches are staged in memory
	scratch string      // the copy, removed by Stop; empty if there is none
	damage  []string    // what was left out of the copy

	accepted *acceptance // the operator's word that it was started on; nil if there was none
}

// startTimeout bounds how long the server may take to recover its streams.
const startTimeout = 60 * time.Second

// Start runs a server on its folder. It returns ErrInUse if another process has it,
// ErrDamaged if the server would lose more than is damaged in it, or never come up, and
// ErrLost if something is missing in it that was there.
func Start(e Embedded) (_ *Server, err error) {
	c, err := claimFolder(cmp.Or(e.Waiting, context.Background()), e.Folder, e.Patience, e.Log)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.release()
		}
	}()
	owner, err := ownerOf(e.Folder)
	if err == nil {
		e.port, err = e.TLS.load(owner)
	}
	if err != nil {
		return nil, err
	}
	if e.Edge, err = e.Edge.withUser(); err != nil {
		return nil, err
	}
	gate, err := newGate(e, owner)
	if err != nil {
		return nil, err
	}
	opts, err := e.options(gate)
	if err != nil {
		return nil, err
	}
	begun, err := begin(e)
	if err != nil {
		return nil, err
	}
	batches, err := newStaging(e.Folder)
	if err != nil {
		return nil, err
	}
	ns, said, err := start(opts, gate, e.Log)
	if err != nil {
		return nil, err
	}
	s := newServer(ns, said, e, owner, gate)
	if err := complete(ns, e.Folder); err != nil {
		s.Stop()
		return nil, fmt.Errorf("starting the embedded NATS server on %s: %w: %s", e.Folder, err, said.lastError())
	}
	batches.remove()
	if err := begun.opened(ns); err != nil {
		s.Stop()
		return nil, err
	}
	s.claim, s.batches, s.accepted = c, batches, begun.accepted
	if s.home.folder, err = c.lock.stat(); err != nil {
		s.Stop()
		return nil, fmt.Errorf("looking at the folder of the embedded NATS server: %w", err)
	}
	if err := c.announce(s.nearURL()); err != nil {
		s.Stop()
		return nil, err
	}
	s.attend()
	return s, nil
}

// attend begins what looks after the server until Stop.
func (s *Server) attend() {
	ctx, quit := context.WithCancel(context.Background())
	s.quit = quit
	s.look()
	s.watched.Go(func() { s.watchRoom(ctx) })
	s.watched.Go(func() { s.gate.watch(ctx) })
	s.watched.Go(func() { s.e.port.watch(ctx, s.e.Log) })
	if s.e.SyncAlways { // else what is there may not be on disk for two minutes
		s.watched.Go(func() { s.keepNote(ctx) })
	}
}

func newServer(ns *server.Server, said *serverLog, e Embedded, owner nkeys.KeyPair, gate *gate) *Server {
	s := &Server{e: e, said: said, owner: owner, gate: gate, quit: func() {}, home: home{streams: map[string]*streamFiles{}}}
	s.ns.Store(ns)
	s.room.Store(&Room{Free: -1, State: StateOK})
	return s
}

func start(opts *server.Options, gate *gate, log zerolog.Logger) (*server.Server, *serverLog, error) {
	ns, err := server.NewServer(opts)
	if err != nil {
		return nil, nil, fmt.Errorf("configuring the embedded NATS server: %w", err)
	}
	gate.ns.Store(ns)
	logger := &serverLog{log: log}
	ns.SetLoggerV2(logger, false, false, false)
	if !opts.DontListen {
		l, err := gate.listen(opts.Host, opts.Port)
		if err == nil {
			err = listenAt(ns, l)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("starting the embedded NATS server on %s: %w", opts.StoreDir, err)
		}
	}
	ns.Start()
	// What is fatal, such as a port in use, is known by now; waiting would not help.
	if logger.fatal.Load() || !ns.ReadyForConnections(startTimeout) {
		ns.Shutdown()
		ns.WaitForShutdown()
		return nil, nil, fmt.Errorf("starting the embedded NATS server on %s: %s", opts.StoreDir, logger.lastError())
	}
	return ns, logger, nil
}

// URL returns the address for clients, or nothing if there is none.
func (s *Server) URL() string {
	if a, ok := s.ns.Load().Addr().(*net.TCPAddr); ok && a != nil {
		return s.e.scheme() + a.String()
	}
	return ""
}

// nearURL returns the address for the commands of this machine, or nothing if there is none.
func (s *Server) nearURL() string {
	if a, ok := s.ns.Load().Addr().(*net.TCPAddr); ok && a != nil {
		return s.e.scheme() + nearby(a)
	}
	return ""
}

// Open connects to the server inside this process and opens the streams.
func (s *Server) Open(ctx context.Context, o Options) (*Bus, error) {
	as, err := signIn(s.owner)
	if err != nil {
		return nil, err
	}
	if s.accepted != nil {
		o.resume = s.accepted.Resume
	}
	b, err := connect(ctx, "", o, append(baseOptions(o), nats.InProcessServer(s), as))
	if err == nil {
		b.server, b.folder = s, s.e.Folder
		s.stage() // in streams that there were not before
		if !o.Library {
			b.wire = newWire(s.InProcessConn, s.owner, b.opts.MaxPending)
		}
	}
	return b, err
}

// Stop ends the server and gives the folder free. Everything that was acknowledged
// is on disk when it returns. Close every Bus before.
func (s *Server) Stop() {
	s.quit()
	s.watched.Wait()
	s.turn.Lock()
	defer s.turn.Unlock()
	last, err := states(s.ns.Load())
	s.ns.Load().Shutdown()
	s.ns.Load().WaitForShutdown()
	s.home.release()
	if s.claim != nil {
		s.leave(last, err)
	}
	if s.scratch != "" {
		_ = os.RemoveAll(s.scratch) // in the system's temporary folder, which gets cleaned
	}
}

// leave notes what the stopped server left, by what it said last, if that is known, and gives
// the folder free. What is at the path of a folder that was moved is another's.
func (s *Server) leave(last map[string]server.StreamState, unknown error) {
	if s.lost == nil && s.home.folder != nil && !moved(s.e.Folder, s.home.folder) {
		s.batches.remove()
		if unknown == nil {
			unknown = noteStop(s.e.Folder, last)
		}
		if unknown != nil {
			s.e.Log.Warn().Err(unknown).Msg("what the store holds at its stop is not noted: the next start looks through more, and sees less")
		}
		_ = os.Remove(s.claim.holder)
		_ = os.Remove(s.claim.address) // who finds it all the same also finds that nobody holds the lock
	}
	s.claim.lock.release()
}

func (e Embedded) options(gate *gate) (*server.Options, error) {
	maxPayload := server.MAX_PAYLOAD_MAX_SIZE
	if e.MaxBody > maxPayload {
		maxPayload = e.MaxBody + headerRoom
	}
	opts := &server.Options{
		ServerName: "receiver", JetStream: true, StoreDir: e.Folder, SyncAlways: e.SyncAlways,
		// Left to itself, the server takes three quarters of what is free at its start for
		// all that may ever be written. How much there is now decides; see Room.
		JetStreamMaxStore: 1 << 50,
		MaxConn:           math.MaxInt32, // the gate's listener has the limit
		MaxPayload:        int32(maxPayload), NoSigs: true, DontListen: e.Address == "",
		CustomClientAuthentication: gate, AlwaysEnableNonce: true, MaxSubs: mostSubscriptions,
		AuthTimeout: signInPatience.Seconds(), MaxControlLine: mostControlLine,
	}
	if e.Edge != nil {
		// A hub has one leaf of a name; a second one that comes takes its place.
		opts.ServerName, opts.JetStreamDomain = e.Edge.Name, e.Edge.Name
		opts.PingInterval, opts.MaxPingsOut = pingInterval, leafPings
	}
	text := accounts(e.Edge)
	if e.Edge != nil {
		text += e.Edge.leaf()
	}
	if err := opts.ProcessConfigString(text); err != nil {
		return nil, fmt.Errorf("configuring the accounts of the embedded NATS server: %w", err)
	}
	if opts.DontListen {
		return opts, nil
	}
	host, port, err := net.SplitHostPort(e.Address)
	if err != nil {
		return nil, fmt.Errorf("address of the embedded NATS server: %w", err)
	}
	opts.Host = host
	if opts.Port, err = strconv.Atoi(port); err != nil {
		return nil, fmt.Errorf("address of the embedded NATS server: port %q is not a number", port)
	}
	if opts.Port == 0 {
		opts.Port = server.RANDOM_PORT
	}
	e.port.configure(opts)
	return opts, nil
}

const ownerFile = "owner.nk"

// ownerOf returns the owner's key of a folder, making one on first use. Whoever can
// read it can also change the streams' files, so it protects as much as they do.
func ownerOf(folder string) (nkeys.KeyPair, error) {
	path := filepath.Join(folder, ownerFile)
	seed, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		seed, err = newSeed()
		if err == nil {
			err = os.WriteFile(path, seed, 0o600)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the owner's key of %s: %w", folder, err)
	}
	owner, err := nkeys.FromSeed(seed)
	if err != nil {
		return nil, fmt.Errorf("the owner's key %s: %w; remove the file to have a new one made", path, err)
	}
	return owner, nil
}

func newSeed() ([]byte, error) {
	owner, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	return owner.Seed()
}

func signIn(owner nkeys.KeyPair) (nats.Option, error) {
	public, err := owner.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("reading the owner's key: %w", err)
	}
	return nats.Nkey(public, owner.Sign), nil
}
