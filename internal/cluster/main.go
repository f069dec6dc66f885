package cluster

import (
	"flag"
	"fmt"
	"os"

	"github.com/nats-io/nats-server/v2/server"
)

// Main is the program nats-server: it reads the arguments of the process, serves until SIGTERM or
// SIGINT, and returns the exit code.
func Main() int {
	flags := flag.NewFlagSet("nats-server", flag.ContinueOnError)
	usage := func() { flags.PrintDefaults() }
	o, err := server.ConfigureOptions(flags, os.Args[1:], server.PrintServerAndExit, usage, usage)
	if err == nil {
		err = serve(o)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "nats-server: %v\n", err)
		return 1
	}
	return 0
}

func serve(o *server.Options) error {
	s, err := server.NewServer(o)
	if err != nil {
		return err
	}
	s.ConfigureLogger()
	if err := server.Run(s); err != nil {
		return err
	}
	s.WaitForShutdown()
	return nil
}
