package web

import (
	"context"
	"sync"
	"time"
)

// deadlines gives contexts that end after a time, or up to a tenth of it sooner: calls soon after
// one another share one. A context with a timer of its own costs a callback more than its signature
// does.
type deadlines struct {
	after time.Duration // zero gives contexts that do not end

	mu     sync.Mutex
	shared context.Context
	until  time.Time // shared is given out
}

// context returns a context for a call now.
func (d *deadlines) context(now time.Time) context.Context {
	if d.after <= 0 {
		return context.Background()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if now.After(d.until) {
		ctx, cancel := context.WithTimeout(context.Background(), d.after)
		context.AfterFunc(ctx, cancel) // the last user is not known
		d.shared, d.until = ctx, now.Add(d.after/10)
	}
	return d.shared
}
