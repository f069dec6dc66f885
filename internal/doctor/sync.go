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
const lazySync = "what NATS acknowledged since the last fsync is lost with the power, after callbacks were answered 200, so that the " +
	"platform does not repeat them. Jepsen tested NATS 2.12.1 at its default, one fsync in two minutes: acknowledged messages were " +
	"lost when all servers lost power at once, and even when one machine's kernel crashed while others were slow or cut off; " +
	"afterwards copies differed for good. More copies do not help against the first"

// Findings judges it.
func (s Sync) Findings() []Finding {
	switch {
	case s.Where == "" && s.Always:
		return []Finding{{What: "every event is on disk (fsync) before its callback is answered 200"}}
	case s.Where == "":
		return []Finding{{
			Severity: Warning, What: "NATS in this program calls fsync every " + s.Interval.String() + " only", Why: lazySync,
			Setting: "nats.sync", Change: "sync: always",
		}}
	case s.Unknown != "":
		return []Finding{{
			Severity: Warning, What: fmt.Sprintf("when %s calls fsync is not known: %s", s.Where, s.Unknown),
			Why:    "a client cannot ask for it, and the default loses acknowledged events: " + lazySync,
			Change: "`receiver doctor --nats-monitor http://HOST:8222` of each server; or see that nats-server.conf has jetstream { sync_interval: always }",
		}}
	case s.Always:
		return []Finding{{What: s.Where + " calls fsync before every acknowledgement"}}
	}
	return []Finding{{
		Severity: Warning, What: fmt.Sprintf("%s calls fsync every %v only", s.Where, s.Interval), Why: lazySync,
		Change: "jetstream { sync_interval: always } in its nats-server.conf, and start it again",
	}}
}
