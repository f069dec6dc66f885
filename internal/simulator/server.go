package simulator

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Server is a platform behind a listener.
type Server struct {
	*Platform
	// URL is its base_url.
	URL    string
	server *http.Server
}

// Listen starts a platform on a host and port, and must be ended by Close.
func Listen(address string, o Options) (*Server, error) {
	ln, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("opening the simulated platform: %w", err)
	}
	s := &Server{Platform: New(o), URL: "http://" + ln.Addr().String() + Base}
	s.server = &http.Server{Handler: s.Platform, ReadHeaderTimeout: 10 * time.Second, ErrorLog: o.ErrorLog}
	go func() { _ = s.server.Serve(ln) }() // ends with Close
	return s, nil
}

// Close ends the listener and the platform.
func (s *Server) Close() error {
	return errors.Join(s.server.Close(), s.Platform.Close())
}
