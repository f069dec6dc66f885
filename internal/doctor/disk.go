package doctor

import (
	"fmt"
	"time"
)

// Disk is the file system that the store is on.
type Disk struct {
	// Folder is where it was looked at.
	Folder string
	// Free is what may still be written, in bytes.
	Free int64
	// Kind is what kind of file system it is where that matters: memory, network, layer or
	// nothing.
	Kind string
}

// The kinds of file systems that are distinguished.
const (
	inMemory  = "memory"
	onNetwork = "network"
	inLayer   = "layer"
)

// Growth is what the store takes and may take.
type Growth struct {
	// AttemptsMax bounds the stream of attempts and Attempts is its size, in bytes.
	AttemptsMax, Attempts int64
	// Events is the size of the stream of events in bytes, collected over Over; EventsAge
	// is how long events are kept. Zero is not known.
	Events          int64
	Over, EventsAge time.Duration
}

const (
	// leastFree is what must be free whatever grows.
	leastFree = 256 << 20
	// leastOver is from when on a stream's growth foretells anything.
	leastOver = 24 * time.Hour
)

// Findings judges the kind of the file system and the room on it.
func (d Disk) Findings(g Growth) []Finding {
	return append(d.kind(), d.room(g))
}

func (d Disk) kind() []Finding {
	f := Finding{Setting: "nats.embedded.folder", Change: "folder: /var/lib/receiver, on a disk of this machine"}
	switch d.Kind {
	case inMemory:
		f.Severity, f.What = Error, "the store is in memory: "+d.Folder
		f.Why = "every event is lost when the machine restarts, although its callback was answered 200"
	case inLayer:
		f.Severity, f.What = Warning, "the store is in the writable layer of a container: "+d.Folder
		f.Why, f.Change = "it is deleted with the container", "folder: a path on a volume"
	case onNetwork:
		f.Severity, f.What = Warning, "the store is on a network file system: "+d.Folder
		f.Why = "file locks and fsync are less reliable there: two receivers might open the store at once, and an acknowledged event may not be on disk"
	default:
		return nil
	}
	return []Finding{f}
}

func (d Disk) room(g Growth) Finding {
	attempts := max(g.AttemptsMax-g.Attempts, 0)
	events := g.growth()
	f := Finding{
		What:   fmt.Sprintf("%s of disk space are free for the store in %s", size(d.Free), d.Folder),
		Why:    "when the disk is full, every callback is answered 503, and the platform gives up after some hours",
		Change: "free disk space, or keep less: nats.jobs_max_age, nats.attempts_max_bytes",
	}
	switch {
	case d.Free < leastFree:
		f.Severity = Error
	case d.Free < attempts+leastFree:
		f.Severity = Warning
		f.What += fmt.Sprintf(", and records of refused callbacks may take %s more", size(attempts))
	case events > 0 && d.Free < events+attempts+leastFree:
		f.Severity = Warning
		f.What += fmt.Sprintf(", and at the current rate events will take %s more", size(events))
	default:
		f.Why, f.Change = "", ""
	}
	return f
}

// growth is how many bytes more the events will take until the oldest begin to go.
func (g Growth) growth() int64 {
	if g.Over < leastOver || g.EventsAge <= g.Over {
		return 0
	}
	return int64(float64(g.Events) * (g.EventsAge.Hours()/g.Over.Hours() - 1))
}
