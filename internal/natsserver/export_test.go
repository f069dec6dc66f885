package natsserver

import "receiver/internal/natsserver/storefolder"

// PauseChecks keeps s from looking at its disk until the function that it returns is called.
func PauseChecks(s *Server) func() {
	s.mu.Lock()
	return s.mu.Unlock
}

// Seen reports whether s has looked at the files of a stream that holds something.
func Seen(s *Server, stream string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.location.streams[stream]
	return f != nil && f.newest != ""
}

// Known reports whether s has looked at the folder of a stream.
func Known(s *Server, stream string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.location.streams[stream] != nil
}

// CheckStatus checks the status of s once more.
func CheckStatus(s *Server) { s.checkStatus() }

// PendingAnswers is how many requests of others s has not answered, or not for the last time.
func PendingAnswers(s *Server) int {
	owner, err := s.ns.Load().LookupAccount(storefolder.OwnerAccount)
	if err != nil {
		return -1
	}
	return owner.NumPendingAllResponses()
}

// Pending is how many bytes wait in s for clients to read them.
func Pending(s *Server) (n int) {
	open, err := s.ns.Load().Connz(nil)
	if err != nil {
		return -1
	}
	for _, c := range open.Conns {
		n += c.Pending
	}
	return n
}

// Connections is how many connections s has.
func Connections(s *Server) int { return s.ns.Load().NumClients() }
