package publish

// LookAway keeps s from looking at its disk until the function that it returns is called.
func LookAway(s *Server) func() {
	s.turn.Lock()
	return s.turn.Unlock
}
