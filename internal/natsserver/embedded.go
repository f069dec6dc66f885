// Package natsserver runs the NATS server inside this process: its accounts, the connections to its
// port, the location of its files, the space on its disk, and its restarts after a failed write. It
// alone imports nats-server.
//
// It knows the names of the streams and nothing about the contents of their messages:
// internal/publish opens a store through it.
package natsserver

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

	"receiver/internal/job"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/publish/conn"
)

// Embedded says how to run the server inside this process.
type Embedded struct {
	// Folder holds the streams; it is created if it is missing.
	Folder string
	// Address is the host and port for clients; port 0 means a free one, the empty address means no
	// port. Only with TLS may other machines reach it.
	Address string
	// TLS encrypts the connections to Address; nil means plain text.
	TLS *PortTLS
	// SyncAlways makes JetStream call fsync before every acknowledgement, so that acknowledged
	// messages survive a loss of power. Without it JetStream calls fsync every two minutes, and
	// acknowledged messages survive only the end of the process.
	SyncAlways bool
	// MaxBody is the largest body in bytes that must fit into a message. Up to 8 MiB the server
	// keeps its recommended limit, and the few bodies that do not fit with their headers go to the
	// object store; above, its limit is raised.
	MaxBody int
	// MaxConnections is the largest number of clients connected to Address, those of this process
	// included; 0 means the server's default.
	MaxConnections int
	// Edge makes the server a leaf node of a hub; nil means that it is none.
	Edge *Edge
	// IdentityFile is a file outside of the folder that remembers which store it is, so that an
	// empty folder is not taken for a new store; empty for none.
	IdentityFile string
	// Sealed is what the checkpoints know of the streams; a start compares the store with it.
	Sealed storefolder.Sealed
	// FolderTimeout bounds the wait for a folder that a command holds; 0 means 2 s. The wait for a
	// receiver that serves is 2 s always.
	FolderTimeout time.Duration
	// Waiting ends the wait when it is done; nil means that nothing does.
	Waiting context.Context //nolint:containedctx // Start has no other
	// Log receives the server's own messages.
	Log zerolog.Logger

	port *portTLS // TLS, with its files read
}

// Store is the store in the folder.
func (e Embedded) Store() storefolder.Store {
	return storefolder.Store{Folder: e.Folder, IdentityFile: e.IdentityFile, Sealed: e.Sealed, Log: e.Log}
}

// Server is an embedded NATS server. It owns its folder by a file lock from
// Start until Stop.
type Server struct {
	ns           atomic.Pointer[server.Server] // replaced when it had to be started again
	e            Embedded                      // not changed after Start: goroutines read it
	status       atomic.Pointer[Status]
	mu           sync.Mutex    // held by a check and by Stop
	nextRestart  time.Time     // no restart before
	restartDelay time.Duration // from the last restart to that
	log          *serverLog    // of the server that runs now
	location     location      // of the files
	lost         error         // why the store is given up
	cancel       context.CancelFunc
	watchers     sync.WaitGroup
	owner        nkeys.KeyPair
	filter       *connFilter
	lock         *storefolder.Lock // nil if the server runs on a copy
	batches      staging
	staging      sync.Mutex  // held while the links to the batches are set
	inMemory     atomic.Bool // batches are staged in memory
	copied       string      // the private copy, which Stop removes; empty if there is none
	damage       []string    // what was left out of the copy
	found        storefolder.Found
	accepted     *storefolder.Acceptance // the accepted loss that the server was started with; nil if there was none
}

// startTimeout bounds how long the server may take to recover its streams.
const startTimeout = 60 * time.Second

// Start runs a server on its folder. It returns ErrInUse if another process holds the folder,
// ErrDamaged if the server would lose more than the damaged messages or never start, and ErrLost if
// something that was stored is missing.
func Start(e Embedded) (_ *Server, err error) {
	c, err := storefolder.Acquire(cmp.Or(e.Waiting, context.Background()), e.Folder, e.FolderTimeout, e.Log)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.Release()
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
	filter, err := newConnFilter(e, owner)
	if err != nil {
		return nil, err
	}
	opts, err := e.options(filter)
	if err != nil {
		return nil, err
	}
	begun, err := storefolder.Begin(e.Store())
	if err != nil {
		return nil, err
	}
	batches, err := newStaging(e.Folder)
	if err != nil {
		return nil, err
	}
	ns, said, err := start(opts, filter, e.Log)
	if err != nil {
		return nil, err
	}
	s := newServer(ns, said, e, owner, filter)
	if err := checkAllOpened(ns, e.Folder); err != nil {
		s.Stop()
		return nil, fmt.Errorf("starting the embedded NATS server on %s: %w: %s", e.Folder, err, said.lastError())
	}
	batches.remove()
	if s.found, err = begun.Opened(ns); err != nil {
		s.Stop()
		return nil, err
	}
	s.lock, s.batches, s.accepted = c, batches, begun.Accepted
	if s.location.folder, err = c.Stat(); err != nil {
		s.Stop()
		return nil, fmt.Errorf("checking the folder of the embedded NATS server: %w", err)
	}
	if err := c.Announce(s.localURL()); err != nil {
		s.Stop()
		return nil, err
	}
	s.startWatchers()
	return s, nil
}

// startWatchers starts the goroutines that run until Stop.
func (s *Server) startWatchers() {
	ctx, quit := context.WithCancel(context.Background())
	s.cancel = quit
	s.checkStatus()
	s.watchers.Go(func() { s.watchStatus(ctx) })
	s.watchers.Go(func() { s.filter.watch(ctx) })
	s.watchers.Go(func() { s.e.port.watch(ctx, s.e.Log) })
	if s.e.SyncAlways { // otherwise the newest messages may not be on disk for two minutes
		s.watchers.Go(func() { storefolder.KeepNotes(ctx, s.e.Store(), s.ns.Load) })
	}
}

func newServer(ns *server.Server, said *serverLog, e Embedded, owner nkeys.KeyPair, filter *connFilter) *Server {
	if a, ok := ns.Addr().(*net.TCPAddr); ok && a != nil {
		e.Address = a.String() // a restart listens on the same port
	}
	s := &Server{e: e, log: said, owner: owner, filter: filter, cancel: func() {}, location: location{streams: map[string]*streamFiles{}}}
	s.ns.Store(ns)
	s.status.Store(&Status{Free: -1, State: StateOK})
	return s
}

func start(opts *server.Options, filter *connFilter, log zerolog.Logger) (*server.Server, *serverLog, error) {
	ns, err := server.NewServer(opts)
	if err != nil {
		return nil, nil, fmt.Errorf("configuring the embedded NATS server: %w", err)
	}
	filter.ns.Store(ns)
	logger := &serverLog{log: log}
	ns.SetLoggerV2(logger, false, false, false)
	if !opts.DontListen {
		l, err := filter.listen(opts.Host, opts.Port)
		if err == nil {
			err = listenAt(ns, l)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("starting the embedded NATS server on %s: %w", opts.StoreDir, err)
		}
	}
	ns.Start()
	// A fatal error, such as a port in use, is known by now; waiting would not help.
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

// localURL returns the address for the commands of this machine; empty if there is none.
func (s *Server) localURL() string {
	if a, ok := s.ns.Load().Addr().(*net.TCPAddr); ok && a != nil {
		return s.e.scheme() + localAddress(a)
	}
	return ""
}

// Endpoint is this server as its owner reaches it.
func (s *Server) Endpoint() (conn.Endpoint, error) { return s.endpoint(s.owner) }

// endpoint is this server as one of its users reaches it.
func (s *Server) endpoint(user nkeys.KeyPair) (conn.Endpoint, error) {
	as, err := signIn(user)
	return conn.Endpoint{Options: []nats.Option{nats.InProcessServer(s), as}}, err
}

// Folder returns the folder of the streams.
func (s *Server) Folder() string { return s.e.Folder }

// Resume is the first sequence of each stream that is created again because an operator accepted
// that nothing is left of it.
func (s *Server) Resume() map[string]uint64 {
	if s.accepted == nil {
		return nil
	}
	return s.accepted.Resume
}

// Accepted returns the accepted loss that the server was started with, to be recorded as an action;
// false if there was none, or it is recorded.
func (s *Server) Accepted() (job.Action, bool) {
	if s.accepted == nil {
		return job.Action{}, false
	}
	return s.accepted.Action, true
}

// Recorded is called when the action of Accepted is stored in ACTIONS.
func (s *Server) Recorded() error {
	s.accepted = nil
	if err := storefolder.DropAcceptance(s.e.Folder); err != nil {
		return fmt.Errorf("removing the note of the accepted loss, which is now recorded: %w", err)
	}
	return nil
}

// Stop ends the server and releases the folder. Everything that was acknowledged is on disk when it
// returns. Close first what was opened on it.
func (s *Server) Stop() {
	s.cancel()
	s.watchers.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	last, err := storefolder.States(s.ns.Load())
	s.ns.Load().Shutdown()
	s.ns.Load().WaitForShutdown()
	s.location.release()
	if s.lock != nil {
		s.release(last, err)
	}
	if s.copied != "" {
		_ = os.RemoveAll(s.copied) // in the system's temporary folder, which gets cleaned
	}
}

// release writes down what the store holds at its stop, if that is known, and releases the folder.
// If the folder was moved, what another process has at its old path stays as it is.
func (s *Server) release(last map[string]server.StreamState, unknown error) {
	if s.lost == nil && s.location.folder != nil && !moved(s.e.Folder, s.location.folder) {
		s.batches.remove()
		if unknown == nil {
			unknown = storefolder.NoteStop(s.e.Store(), last)
		}
		if unknown != nil {
			s.e.Log.Warn().Err(unknown).Msg("recording the state of the store failed; the next start checks more files, and may not notice a loss")
		}
		s.lock.Release()
		return
	}
	s.lock.Unlock()
	s.location.clear(s.e.Folder)
}

func (e Embedded) options(filter *connFilter) (*server.Options, error) {
	maxPayload := server.MAX_PAYLOAD_MAX_SIZE
	if e.MaxBody > maxPayload {
		maxPayload = e.MaxBody + conn.HeaderSpace
	}
	opts := &server.Options{
		ServerName: "receiver", JetStream: true, StoreDir: e.Folder, SyncAlways: e.SyncAlways,
		// By default the server takes three quarters of the space that is free at its start as the
		// limit for all time. Here the space that is free now decides; see Status.
		JetStreamMaxStore: 1 << 50,
		MaxConn:           math.MaxInt32, // the gate's listener has the limit
		MaxPayload:        int32(maxPayload), NoSigs: true, DontListen: e.Address == "",
		CustomClientAuthentication: filter, AlwaysEnableNonce: true, MaxSubs: maxSubscriptions,
		AuthTimeout: signInTimeout.Seconds(), MaxControlLine: maxControlLine,
	}
	if e.Edge != nil {
		// A hub keeps one leaf node for each name; a second one replaces the first.
		opts.ServerName, opts.JetStreamDomain = e.Edge.Name, e.Edge.Name
		opts.PingInterval, opts.MaxPingsOut = conn.PingInterval, leafPings
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

// ownerOf returns the owner's key of a folder, and makes one on first use. A process that can read
// the key can also change the streams' files, so the key protects as much as the files do.
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
		return nil, fmt.Errorf("the store's own key in %s: %w", folder, err)
	}
	owner, err := nkeys.FromSeed(seed)
	if err != nil {
		return nil, fmt.Errorf("the store's own key, %s: %w; remove the file, and the receiver makes a new one", path, err)
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
		return nil, fmt.Errorf("reading the store's own key: %w", err)
	}
	return nats.Nkey(public, owner.Sign), nil
}
