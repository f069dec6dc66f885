package doctor

import (
	"fmt"
	"time"
)

// Sync is when a NATS server calls fsync.
type Sync struct {
	// Where names the server; empty for the one inside this program.
	Where string
	// Unknown says why it is not known; empty if it is.
	Unknown string
	// Always is before every acknowledgement; otherwise it is every Interval.
	Always   bool
	Interval time.Duration
}

// lazySync tells what fsync at intervals costs. Jepsen: https://jepsen.io/analyses/nats-2.12.1,
// 2025-12-08; nats-server's issue 7564 is open since. Read 2026-11-23.
const lazySync = "a power failure loses the events that NATS acknowledged since the last fsync. Their callbacks were answered 200, so the " +
	"platform does not repeat them. Jepsen tested NATS 2.12.1 at its default, one fsync in two minutes: acknowledged messages were " +
	"lost when all servers lost power at once, and even when one kernel crashed while other servers were slow or unreachable; " +
	"afterwards replicas differed permanently. More replicas do not help if all servers lose power"

// Findings judges it.
func (s Sync) Findings() []Finding {
	switch {
	case s.Where == "" && s.Always:
		return []Finding{{What: "every event is on disk (fsync) before its callback is answered 200"}}
	case s.Where == "":
		return []Finding{{
			Severity: Warning, What: "the embedded NATS server calls fsync only every " + s.Interval.String(), Why: lazySync,
			Setting: "nats.sync", Change: "sync: always",
		}}
	case s.Unknown != "":
		return []Finding{{
			Severity: Warning, What: fmt.Sprintf("it is unknown when %s calls fsync: %s", s.Where, s.Unknown),
			Why:    "a client cannot read this setting, and the default can lose acknowledged events: " + lazySync,
			Change: "run `receiver doctor --nats-monitor http://HOST:8222` for each server; or set jetstream { sync_interval: always } in nats-server.conf",
		}}
	case s.Always:
		return []Finding{{What: s.Where + " calls fsync before every acknowledgement"}}
	}
	return []Finding{{
		Severity: Warning, What: fmt.Sprintf("%s calls fsync only every %v", s.Where, s.Interval), Why: lazySync,
		Change: "set jetstream { sync_interval: always } in its nats-server.conf, and restart it",
	}}
}
