package service

import (
	"math"

	"receiver/internal/config"
	"receiver/internal/doctor"
	"receiver/internal/service/memory"
)

// connections is how many connections the process has of each kind at most. With what is kept
// for the store and all else they are fewer than its file descriptors: a flood of connections
// must not keep the store from opening its next file.
type connections struct {
	files                          int // that may be open; zero if not known
	public, private, nats, reserve int
}

// Numbers of connections and files.
const (
	mostPublic  = 16384    // by default; each takes some 20 KiB
	publicBytes = 32 << 10 // of an eighth of the memory, by default
	mostPrivate = 512      // each may need another one to the platform
	mostNATS    = 1024
	mostReserve = 1024 // an eighth of all files, and no more
	leastEach   = 8
)

// connectionsOf shares out the file descriptors.
func connectionsOf(cfg *config.Config) connections {
	limit, err := doctor.MaxFiles()
	if err != nil {
		limit = 0
	}
	return share(cfg, int(min(limit, math.MaxInt32)), memory.Of(cfg).Total)
}

func share(cfg *config.Config, files int, memory int64) connections {
	c := connections{files: files, public: mostPublic, private: mostPrivate, nats: mostNATS, reserve: mostReserve}
	if files > 0 {
		c.reserve = max(min(files/4, mostReserve/4), min(files/8, mostReserve))
		c.private = min(mostPrivate, max(files/16, leastEach))
		c.nats = min(mostNATS, max(files/8, leastEach))
	}
	if !cfg.NATS.Embeds() {
		c.nats = 0
	}
	if memory > 0 {
		c.public = min(c.public, int(max(memory/8/publicBytes, leastEach)))
	}
	if wanted := cfg.Limits.Connections; wanted > 0 {
		c.public = wanted
	}
	if files > 0 {
		c.public = max(min(c.public, files-c.reserve-2*c.private-c.nats), leastEach)
	}
	return c
}
