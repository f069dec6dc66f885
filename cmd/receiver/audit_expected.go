package main

import (
	"strconv"
	"strings"
	"time"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/publish"
)

// expiryGrace is how much earlier than their age says records may be gone: clocks differ,
// and a checkpoint is a moment younger than what it seals.
const expiryGrace = time.Minute

// roomToSpare is how much less than its bound a stream may take that has dropped its
// oldest records for it: that of one large message.
const roomToSpare = 16 << 20

// expectedFrom returns the first sequence whose record must be there, by the limits that
// the configuration gives the stream: what its age or the stream's size has pushed out is
// not missed. Both push out the oldest only, so whatever is behind the first record that is
// there has not gone by them. Anything else that is gone was removed by somebody.
func expectedFrom(cfg *config.Config, stream string, extent publish.Extent, kept *keptCheckpoints, now time.Time) uint64 {
	younger := func(age time.Duration) uint64 {
		return uint64(kept.sealedBefore(audit.Origin(cfg.Audit.Name, stream), now.Add(expiryGrace-age))) + 1
	}
	from := uint64(1)
	switch stream {
	case publish.JobsStream:
		from = younger(cfg.NATS.JobsMaxAge)
	case publish.AttemptsStream:
		if cfg.NATS.AttemptsMaxAge > 0 {
			from = younger(cfg.NATS.AttemptsMaxAge)
		}
		if extent.Bytes+roomToSpare > uint64(cfg.NATS.AttemptsMaxBytes) {
			from = max(from, extent.First)
		}
	}
	return min(from, extent.First)
}

// fromFlags reads --from STREAM/SEQUENCE, as often as it is given.
func fromFlags(given []string) (map[string]uint64, error) {
	from := make(map[string]uint64)
	for _, text := range given {
		stream, seq, err := recordID(text)
		if err != nil {
			return nil, usagef("--from: %w", err)
		}
		from[stream] = seq
	}
	return from, nil
}

// recordID reads the name of a record, STREAM/SEQUENCE.
func recordID(text string) (stream string, seq uint64, err error) {
	name, number, _ := strings.Cut(text, "/")
	seq, err = strconv.ParseUint(number, 10, 64)
	for _, s := range sealedStreams {
		if strings.EqualFold(s, name) && err == nil && seq > 0 {
			return s, seq, nil
		}
	}
	return "", 0, usagef("%q names no record; say for example JOBS/12 (there are %s)", text, strings.Join(sealedStreams, ", "))
}
