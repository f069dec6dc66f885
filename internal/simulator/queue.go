package simulator

import (
	"context"
	"encoding/json"
	"net/http"
)

const deliveriesPath = "/notifications/subscriptions/deliveries"

// stopKey names what a delivery that failed for good stops: its host, the whole instance, or
// nothing.
func (p *Platform) stopKey(d *delivery) string {
	switch p.o.StopCalling {
	case StopNever:
		return ""
	case StopInstance:
		return "*"
	}
	return d.job.target.Host
}

func (p *Platform) isStopped(d *delivery) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopped[p.stopKey(d)]
}

// finishDelivery brings a delivery that was due to its end.
func (p *Platform) finishDelivery(d *delivery, state string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settleLocked(d, state)
}

func (p *Platform) settleLocked(d *delivery, state string) {
	d.state = state
	p.count(func(s *Stats) {
		s.Open--
		if state == stateQueued {
			s.Queued++
		} else {
			s.Delivered++
		}
	})
}

// giveUp queues a delivery and stops calling where it failed. OC: 6.4
func (p *Platform) giveUp(d *delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if key := p.stopKey(d); key != "" {
		p.stopped[key] = true
	}
	p.settleLocked(d, stateQueued)
	p.o.Log.Warn().Str("job", d.job.id).Int("attempts", d.attempts).Msg("callback queued, not calling any more")
}

// getDeliveries lists callbacks. The contract shows the call and the states, not the rows. OC: 6.4
func (p *Platform) getDeliveries(w http.ResponseWriter, r *http.Request) {
	found, ok := p.findDeliveries(w, r)
	if !ok {
		return
	}
	from, to, err := page(w, r, len(found))
	if err != nil {
		p.refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	p.write(w, http.StatusOK, p.deliveryRows(found[from:to]))
}

// putDeliveries releases the queued ones among the callbacks found: calling starts again where they
// go, with the whole spacing of retries before each.
func (p *Platform) putDeliveries(w http.ResponseWriter, r *http.Request) {
	found, ok := p.findDeliveries(w, r)
	if !ok {
		return
	}
	released := p.release(found)
	p.write(w, http.StatusOK, p.deliveryRows(released))
	for _, d := range released {
		p.life.start(func(ctx context.Context) { p.deliver(ctx, d, 0) })
	}
}

func (p *Platform) release(found []*delivery) (released []*delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range found {
		if d.state == stateQueued {
			d.state = stateRetry
			delete(p.stopped, p.stopKey(d))
			released = append(released, d)
		}
	}
	p.count(func(s *Stats) { s.Queued -= len(released); s.Open += len(released) })
	return released
}

func (p *Platform) findDeliveries(w http.ResponseWriter, r *http.Request) ([]*delivery, bool) {
	want, err := parseWhere(r.URL.Query().Get("where"), "id", "channel", "status", "jobId")
	if err != nil {
		p.refuse(w, http.StatusBadRequest, err.Error())
		return nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []*delivery
	for _, d := range p.deliveries {
		if matches(want, map[string]string{"id": d.id, "channel": "webhook", "status": d.state, "jobId": d.job.id}) {
			found = append(found, d)
		}
	}
	return found, true
}

// deliveryRows writes each callback with its body as text, byte for byte what was signed.
func (p *Platform) deliveryRows(found []*delivery) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	rows := make([]json.RawMessage, len(found))
	for i, d := range found {
		fields := []field{
			{"id", d.id}, {"channel", "webhook"}, {"status", d.state}, {"jobId", d.job.jsonID()},
			{"url", d.job.callback}, {"attempts", d.attempts}, {"createdDate", d.created.UnixMilli()},
			{"body", string(d.body)},
		}
		if !d.last.IsZero() {
			fields = append(fields, field{"lastAttemptDate", d.last.UnixMilli()})
		}
		rows[i] = p.object(fields)
	}
	return list(rows)
}
