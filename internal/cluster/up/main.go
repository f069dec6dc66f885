// Up starts a cluster of three NATS servers on loopback, with TLS and accounts, says how a
// receiver reaches it, and stops it when it is interrupted or its time is over. A server that
// is killed is started again after ten seconds. It is for trying out: what the servers
// stored is deleted at the end.
//
//	go run ./internal/cluster/up
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"receiver/internal/cluster"
)

// isNode is in the environment of this program where it is one of the servers.
const isNode = "UP_IS_NODE"

func main() {
	if os.Getenv(isNode) != "" {
		os.Exit(cluster.Main())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "up: %v\n", err)
		os.Exit(1)
	}
}

// run has a cluster until ctx is done or its time is over, and prints what happens to it.
func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	lasts := flags.Duration("for", time.Hour, "stop after this time at the latest")
	domain := flags.String("domain", "", "the JetStream domain of the servers")
	if err := flags.Parse(args); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "receiver-cluster-")
	if err != nil {
		return err
	}
	defer func() {
		if gone := os.RemoveAll(folder); err == nil {
			err = gone
		}
	}()
	c, err := cluster.Make(cluster.Options{Folder: folder, Domain: *domain})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, *lasts)
	defer cancel()
	servers := servers{folder: folder, out: out}
	defer servers.wg.Wait()
	defer cancel() // before it is waited for them
	for _, n := range c.Nodes {
		if err := servers.keep(ctx, n); err != nil {
			return err
		}
	}
	if err := ready(ctx, c); err != nil {
		return err
	}
	servers.say("ready; the section nats of config.yaml is\n\n%s\nCtrl-C stops the servers and deletes %s; so does the end of %v.\n",
		c.Settings(len(c.Nodes), c.URLs()...), folder, *lasts)
	<-ctx.Done()
	return nil
}
