package publish

import "context"

// LookAway keeps s from looking at its disk until the function that it returns is called.
func LookAway(s *Server) func() {
	s.turn.Lock()
	return s.turn.Unlock
}

// LoseBodies takes away what b has in its object store.
func LoseBodies(ctx context.Context, b *Bus) error {
	stream, err := b.js.Stream(ctx, "OBJ_"+PayloadBucket)
	if err != nil {
		return err
	}
	return stream.Purge(ctx)
}
