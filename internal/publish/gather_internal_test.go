package publish

import (
	"testing"
	"time"
)

// A crowd with large bodies is not waited for until its batch is larger than it may be.
func TestACrowdIsAwaitedUpToABound(t *testing.T) {
	const crowd = 64
	for _, tt := range []struct{ body, want int }{{0, crowd}, {512 << 10, 8}, {1 << 20, 4}} {
		g := &gatherer{waiting: make(chan *pending, crowd), crowd: crowd}
		msg := &pending{msg: &message{data: make([]byte, tt.body)}}
		for range crowd {
			g.waiting <- msg
		}
		batch := g.gather([]*pending{<-g.waiting})
		if got := len(g.await(batch, time.Minute)); got != tt.want {
			t.Errorf("a batch of bodies of %d bytes holds %d, want %d", tt.body, got, tt.want)
		}
	}
}
