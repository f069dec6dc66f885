package sealing

import "time"

// While records come quickly, sealing leaves the machine to them. In each round it then
// takes no more than a small part of the time, or seals the part of what waits that keeps
// the oldest from waiting for much longer than half a minute, whichever is more. So a burst is
// sealed when it is over. A load that lasts longer must be sealed as fast as it comes in any case:
// then sealing catches up, little by little, until it is a few seconds behind, so that little is
// left when the load ends. Whenever less comes, all is sealed at once.
const (
	busyRate     = 1000             // records a second, of all logs
	busyShare    = 1.0 / 100        // of the time
	busyLag      = 30 * time.Second // in which what waits is sealed at least
	lastingLag   = 8 * time.Second  // the same, once a load has lasted for busyLag
	catchUpShare = 1.0 / 10         // of the time, for more than comes meanwhile
	idleShare    = 1.0 / 4          // of the time between two rounds, before it is looked again
	leastLeaves  = 256              // sealed in a round: a whole tile

	guessedCost = 20 * time.Microsecond // of a leaf, before one was sealed
)

// pace is what is known of how fast a log grows, and what sealing it costs.
type pace struct {
	last uint64    // sequence at the last look
	at   time.Time // of that look
	rate float64   // records a second between the last two looks
	cost time.Duration
}

// see takes note of the newest sequence.
func (p *pace) see(last uint64) {
	now := time.Now()
	if passed := now.Sub(p.at).Seconds(); !p.at.IsZero() && passed > 0 {
		p.rate = float64(last-min(last, p.last)) / passed
	}
	p.last, p.at = last, now
}

// sealed takes note of what a sealing took.
func (p *pace) sealed(leaves int64, took time.Duration) {
	if leaves < leastLeaves {
		return // what a sealing takes besides would count too much
	}
	cost := took / time.Duration(leaves)
	if p.cost > 0 {
		cost = (3*p.cost + cost) / 4
	}
	p.cost = cost
}

// load says how quickly records come.
type load int

const (
	calm    load = iota // slowly
	burst               // quickly, since a short time
	lasting             // quickly, for a while
)

// most returns how many leaves to seal in a round, of which there is one each tick.
func (p *pace) most(unsealed int64, tick time.Duration, l load) int64 {
	cost := p.cost
	if cost <= 0 {
		cost = guessedCost
	}
	share := func(of float64) int64 { return int64(float64(tick) * of / float64(cost)) }
	within := func(lag time.Duration) int64 { return int64(float64(unsealed) * float64(tick) / float64(lag)) }
	if l == calm {
		return max(share(idleShare), leastLeaves)
	}
	leaves := max(share(busyShare), within(busyLag), leastLeaves)
	if l == lasting {
		leaves = max(leaves, min(within(lastingLag), int64(p.rate*tick.Seconds())+share(catchUpShare)))
	}
	return leaves
}

// load returns how quickly records came between the last two looks, and since when.
func (k *Keeper) load() load {
	rate := 0.0
	for _, l := range k.logs {
		rate += l.pace.rate
	}
	switch {
	case rate < busyRate:
		k.busySince = time.Time{}
		return calm
	case k.busySince.IsZero():
		k.busySince = time.Now()
	}
	if time.Since(k.busySince) < busyLag {
		return burst
	}
	return lasting
}
