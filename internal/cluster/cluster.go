// Package cluster makes NATS clusters on one machine as an operator would have them: several
// nats-server processes with JetStream, TLS, accounts by JWT and a credentials file. Tests,
// receiver-bench and the command in its folder up use it; the program never does.
//
// [Make] only writes a folder. A process that calls [Main] with a node's arguments is that node. So
// a test or command starts its own binary once more for each node, and can stop, freeze and kill it
// like any process.
package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options say what cluster to make.
type Options struct {
	// Folder takes everything that is made; it must be there.
	Folder string
	// Size is how many nodes there are; 0 means 3, and 1 a server that is in no cluster.
	Size int
	// Plain leaves out TLS and accounts: every client on this machine is let in.
	Plain bool
	// Client is where clients reach the first node, as host:port; empty means a free port.
	Client string
	// Domain is the JetStream domain of all nodes; empty means none.
	Domain string
	// SyncAlways makes the nodes call fsync before they acknowledge.
	SyncAlways bool
	// Store returns the folder of the streams of node n, counted from 1; nil means one below
	// Folder.
	Store func(n int) string
	// Host returns the IP address of node n, counted from 1; nil means 127.0.0.1 for each.
	Host func(n int) string
	// Way returns the address by which one node reaches the route of another; nil means that
	// route itself. So a test can put something between two nodes.
	Way func(from, to int, route string) (string, error)
}

// Cluster is what was made. All paths are absolute.
type Cluster struct {
	Nodes []Node
	// CAFile verifies the nodes' certificates.
	CAFile string
	// CredentialsFile is that of a user of the one account with JetStream, who may do
	// everything there; SystemFile is that of a user of the system account.
	CredentialsFile, SystemFile string
	// Domain is as in Options.
	Domain string
}

// Node is one server of a cluster.
type Node struct {
	// Name is n1, n2, …, as JetStream names the leader of a stream.
	Name string
	// ConfigFile is its nats-server.conf, and Store the folder of its streams.
	ConfigFile, Store string
	// URL is where clients connect to, and Monitor its monitoring port, in clear text.
	URL, Monitor string

	address, route string
}

// healthTimeout bounds one look at a node's health.
const healthTimeout = time.Second

// Healthy reports whether a node says that its JetStream works and is up to date.
func (n Node) Healthy(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, n.Monitor+"/healthz", nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
}

// Args are the arguments of nats-server, or of a program that calls Main.
func (n Node) Args() []string { return []string{"-c", n.ConfigFile} }

// Address is where clients connect to, as host:port.
func (n Node) Address() string { return n.address }

// URLs are the client addresses of all nodes.
func (c *Cluster) URLs() []string {
	urls := make([]string, 0, len(c.Nodes))
	for _, n := range c.Nodes {
		urls = append(urls, n.URL)
	}
	return urls
}

// Settings is the section nats of a receiver's config.yaml for servers at these URLs, which
// are those of the nodes or of something in front of them.
func (c *Cluster) Settings(replicas int, urls ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "nats:\n  mode: external\n  urls: [%s]\n", strings.Join(urls, ", "))
	if c.CAFile != "" {
		fmt.Fprintf(&b, "  credentials_file: %q\n  tls:\n    ca_file: %q\n", c.CredentialsFile, c.CAFile)
	}
	if c.Domain != "" {
		fmt.Fprintf(&b, "  domain: %s\n", c.Domain)
	}
	fmt.Fprintf(&b, "  replicas: %d\n", replicas)
	return b.String()
}

// Make writes the configuration, certificates, keys and credentials of a cluster.
func Make(o Options) (*Cluster, error) {
	folder, err := filepath.Abs(o.Folder)
	if err != nil {
		return nil, err
	}
	o.Folder = folder
	o = o.withDefaults()
	c := &Cluster{Domain: o.Domain}
	accounts := ""
	if !o.Plain {
		if accounts, err = o.secure(c); err != nil {
			return nil, err
		}
	}
	for i := range o.Size {
		n, err := o.node(i + 1)
		if err != nil {
			return nil, err
		}
		c.Nodes = append(c.Nodes, n)
	}
	for i, n := range c.Nodes {
		routes, err := o.routes(i+1, c.Nodes)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(n.ConfigFile, []byte(o.config(n, routes, accounts)), 0o600); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// secure writes what clients and nodes prove themselves by, and returns the accounts' part of
// nats-server.conf.
func (o Options) secure(c *Cluster) (accounts string, err error) {
	c.CAFile = filepath.Join(o.Folder, "ca.pem")
	c.CredentialsFile, c.SystemFile = filepath.Join(o.Folder, "receiver.creds"), filepath.Join(o.Folder, "system.creds")
	var hosts []string
	for i := range o.Size {
		hosts = append(hosts, o.Host(i+1))
	}
	err = writeCertificates(c.CAFile, filepath.Join(o.Folder, "node.pem"), filepath.Join(o.Folder, "node.key"), hosts)
	if err != nil {
		return "", fmt.Errorf("making certificates: %w", err)
	}
	if accounts, err = writeAccounts(c.CredentialsFile, c.SystemFile); err != nil {
		return "", fmt.Errorf("making accounts: %w", err)
	}
	return accounts, nil
}

// scheme is that of the addresses of nodes and routes.
func (o Options) scheme() string {
	if o.Plain {
		return "nats://"
	}
	return "tls://"
}

func (o Options) withDefaults() Options {
	o.Size = cmp.Or(o.Size, 3)
	if o.Host == nil {
		o.Host = func(int) string { return "127.0.0.1" }
	}
	if o.Way == nil {
		o.Way = func(_, _ int, route string) (string, error) { return route, nil }
	}
	return o
}

func (o Options) node(n int) (Node, error) {
	name := fmt.Sprint("n", n)
	node := Node{Name: name, ConfigFile: filepath.Join(o.Folder, name+".conf"), Store: filepath.Join(o.Folder, name)}
	if o.Store != nil {
		node.Store = o.Store(n)
	}
	var monitor string
	for _, address := range []*string{&node.address, &node.route, &monitor} {
		port, err := FreePort()
		if err != nil {
			return Node{}, err
		}
		*address = net.JoinHostPort(o.Host(n), strconv.Itoa(port))
	}
	if n == 1 {
		node.address = cmp.Or(o.Client, node.address)
	}
	node.URL, node.Monitor = o.scheme()+node.address, "http://"+monitor
	return node, nil
}

// routes are the ways from one node to the others. It is among them itself, as in a
// configuration that all nodes share; servers count routes to know how many they will be.
func (o Options) routes(from int, all []Node) ([]string, error) {
	var routes []string
	for i, other := range all {
		way := other.route
		if to := i + 1; to != from {
			var err error
			if way, err = o.Way(from, to, other.route); err != nil {
				return nil, fmt.Errorf("making the link from node %d to node %d: %w", from, to, err)
			}
		}
		routes = append(routes, o.scheme()+way)
	}
	return routes, nil
}

// config is nats-server.conf of one node. Clients are not told of the other nodes: a test
// that puts something in front of one would be led around it.
func (o Options) config(n Node, routes []string, accounts string) string {
	jetstream := fmt.Sprintf("store_dir: %q", n.Store)
	if o.Domain != "" {
		jetstream += "\n  domain: " + o.Domain
	}
	if o.SyncAlways {
		jetstream += "\n  sync_interval: always"
	}
	tls, verified := "", ""
	if !o.Plain {
		files := fmt.Sprintf("cert_file: %q, key_file: %q, ca_file: %q, timeout: 5",
			filepath.Join(o.Folder, "node.pem"), filepath.Join(o.Folder, "node.key"), filepath.Join(o.Folder, "ca.pem"))
		tls, verified = "tls { "+files+" }\n", "tls { "+files+", verify: true }\n"
	}
	text := fmt.Sprintf("server_name: %s\nlisten: %s\nhttp: %s\n%sjetstream {\n  %s\n}\n",
		n.Name, n.address, strings.TrimPrefix(n.Monitor, "http://"), tls, jetstream)
	if o.Size > 1 {
		text += fmt.Sprintf("cluster {\n  name: receivers\n  listen: %s\n  routes: [%s]\n  no_advertise: true\n%s}\n",
			n.route, strings.Join(routes, ", "), verified)
	}
	return text + accounts
}

var given = struct {
	sync.Mutex
	ports map[int]bool
}{ports: map[int]bool{}}

// FreePort returns a TCP port of loopback on which nothing listens. A process gets each only once.
// It is below the ports that systems assign by default, so that no connection takes it before a
// server listens on it, or between two lives of one.
func FreePort() (int, error) {
	given.Lock()
	defer given.Unlock()
	for range 1000 {
		port := 10_000 + rand.IntN(22_000) //nolint:gosec // a port is no secret
		if given.ports[port] {
			continue
		}
		ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		given.ports[port] = true
		return port, ln.Close()
	}
	return 0, errors.New("none of 1,000 TCP ports of 127.0.0.1 is free")
}
