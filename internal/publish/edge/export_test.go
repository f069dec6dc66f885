package edge

import "time"

// SetTimeout sets the timeout of one request to the hub.
func (f *Forwarder) SetTimeout(d time.Duration) { f.opts.Timeout = d }
