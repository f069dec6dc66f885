package doctor

import (
	"fmt"
	"strconv"
	"strings"
)

// Server is what a NATS server says of itself.
type Server struct {
	// URL is where it was reached; empty if it does not run.
	URL string
	// Version is its version, such as 2.12.1.
	Version string
	// APILevel is the level of its JetStream API; 0 if it does not run.
	APILevel int
	// StoreUsed and StoreLimit are bytes on disk of our account; a limit that is not
	// positive is none.
	StoreUsed, StoreLimit int64
}

// atomicLevel is the level that atomic batches came with, in 2.12.
const atomicLevel = 2

// Findings judges the version, its features and the room that is left.
func (s Server) Findings() []Finding {
	if s.URL == "" {
		return []Finding{{What: "this program runs NATS " + s.Version}}
	}
	found := []Finding{s.version()}
	if f, ok := s.room(); ok {
		found = append(found, f)
	}
	return found
}

func (s Server) version() Finding {
	switch {
	case before(s.Version, 2, 10, 23):
		return Finding{
			Severity: Error, What: fmt.Sprintf("NATS %s at %s can lose a stream when its process is killed", s.Version, s.URL),
			Why:    "in tests by Jepsen, 2.10.22 lost whole streams when only processes crashed; 2.10.23 has the fix",
			Change: "update nats-server to 2.12 or newer, one server after the other",
		}
	case s.APILevel < atomicLevel:
		return Finding{
			Severity: Note, What: fmt.Sprintf("NATS %s at %s does not support atomic batches", s.Version, s.URL),
			Why:    "concurrent callbacks are stored one by one, each with its own fsync",
			Change: "update nats-server to 2.12 or newer, then `receiver streams apply`",
		}
	}
	return Finding{What: fmt.Sprintf("NATS %s at %s, with atomic batches", s.Version, s.URL)}
}

// Shares of the account's limit from which it is a warning and an error.
const (
	storeTight = 0.80
	storeFull  = 0.95
)

func (s Server) room() (Finding, bool) {
	if s.StoreLimit <= 0 {
		return Finding{}, false
	}
	share := float64(s.StoreUsed) / float64(s.StoreLimit)
	f := Finding{
		What:   fmt.Sprintf("the NATS account uses %s of its limit of %s on disk", size(s.StoreUsed), size(s.StoreLimit)),
		Why:    "when it is full, every callback is answered 503, and the platform gives up after some hours",
		Change: "raise max_file of the account's JetStream limits, or keep less: nats.jobs_max_age, nats.attempts_max_bytes",
	}
	switch {
	case share >= storeFull:
		f.Severity = Error
	case share >= storeTight:
		f.Severity = Warning
	default:
		f.Why, f.Change = "", ""
	}
	return f, true
}

// before reports whether a version is an earlier one; what is no version is not.
func before(version string, than ...int) bool {
	version, _, _ = strings.Cut(strings.TrimPrefix(version, "v"), "-")
	parts := strings.Split(version, ".")
	if len(parts) != len(than) {
		return false
	}
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || n > than[i] {
			return false
		}
		if n < than[i] {
			return true
		}
	}
	return false
}

// headerRoom is what an event's headers may need in a message beside its body.
const headerRoom = 64 << 10

// Payload judges whether the largest body fits into a message of the server, both in bytes. A body
// that does not fit goes to the object store.
func Payload(maxPayload, body int64, embedded bool) []Finding {
	switch {
	case maxPayload < headerRoom:
		return []Finding{{
			Severity: Error, What: fmt.Sprintf("NATS accepts messages of at most %s", size(maxPayload)),
			Why:    "the headers of an event alone may need " + size(headerRoom) + "; its callback would always be answered 503",
			Change: fmt.Sprintf("max_payload: %d in nats-server.conf", body+headerRoom),
		}}
	case maxPayload < body+headerRoom && !embedded:
		return []Finding{{
			Severity: Note, What: fmt.Sprintf("NATS accepts messages of %s, but callbacks may have %s", size(maxPayload), size(body)),
			Why:    "larger bodies are stored in the object store PAYLOADS: no data is lost, but consumers must fetch them from there",
			Change: fmt.Sprintf("max_payload: %d in nats-server.conf", body+headerRoom),
		}}
	}
	return []Finding{{What: fmt.Sprintf("messages may have %s, and bodies %s", size(maxPayload), size(body))}}
}

// size shows bytes as a person reads them.
func size(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	f, unit := float64(n), 0
	for f >= 1024 && unit < len(units)-1 {
		f, unit = f/1024, unit+1
	}
	if unit == 0 || f >= 10 || f == float64(int64(f)) {
		return fmt.Sprintf("%.0f %s", f, units[unit])
	}
	return fmt.Sprintf("%.1f %s", f, units[unit])
}
