package condition

import (
	"net/http"
	"time"

	"receiver/internal/words"
)

// The limits of deploy/alerts.yaml.
const (
	lowDisk        = 1 << 30
	fewRetries     = 3
	quiet          = 15 * time.Minute // in which nothing was accepted
	unavailableFor = 5 * time.Minute
	lostFor        = 6 * time.Hour
	unsealedFor    = 10 * time.Minute
	suspectFor     = 24 * time.Hour
	anchorBehind   = time.Hour
	anchorNever    = 15 * time.Minute // after the start
	expires        = 14 * 24 * time.Hour
	expired        = 24 * time.Hour
	sinkFailing    = time.Hour
	hubBehind      = 15 * time.Minute
)

// within reports whether a time was less than d before now.
func (f Facts) within(d time.Duration, t time.Time) bool { return !t.IsZero() && f.Now.Sub(t) < d }

func ofStore(f Facts) (all []Condition) {
	switch {
	case f.Disk != nil && f.Disk.Refuses != nil:
		all = append(all, of("ReceiverStoreFull", Error, "%v", f.Disk.Refuses))
	case f.Store != "ok" && f.NotReady != nil:
		all = append(all, of("ReceiverStoreNotOK", Error, "%s: %v", f.Store, f.NotReady))
	case f.Store != "ok":
		all = append(all, of("ReceiverStoreNotOK", Error, "%s", f.Store))
	case f.NotReady != nil:
		all = append(all, of("ReceiverCallbacksUnavailable", Error, "%v", f.NotReady))
	}
	switch d := f.Disk; {
	case d == nil || d.Refuses != nil:
	case d.Free < 0:
		all = append(all, of("ReceiverDiskSpace", Warning, "the free space is not known"))
	case d.Free < lowDisk:
		all = append(all, of("ReceiverDiskSpace", Warning, "%s free", words.Bytes(d.Free)))
	}
	return all
}

func ofSources(f Facts) (all []Condition) {
	for _, s := range f.Sources {
		var found []Condition
		p := s.Standing
		if p.GivenUp > 0 {
			found = append(found, of("ReceiverCallbacksGivenUp", Error, "source %s, %s", s.Name, words.Count(p.GivenUp, "callback")))
		}
		switch {
		case p.AttemptsLeft < fewRetries && p.AttemptsLeft > 0:
			found = append(found, of("ReceiverRetriesLeft", Error, "source %s, %d left, the next %s", s.Name, p.AttemptsLeft, due(f.Now, p.NextRetry)))
		case p.Failing > 0:
			found = append(found, of("ReceiverCallbacksFailing", Warning, "source %s, %s, reason %s", s.Name, words.Count(p.Failing, "callback"), p.Reason))
		}
		switch {
		case (p.Reason == "unavailable" || p.Reason == http.StatusText(http.StatusServiceUnavailable)) && f.within(unavailableFor, p.Refused):
			found = append(found, of("ReceiverCallbacksUnavailable", Error, "source %s, %s", s.Name, ago(f.Now, p.Refused)))
		case p.InARow > 0 && f.within(quiet, p.Refused) && !f.within(quiet, p.Accepted):
			found = append(found, of("ReceiverNothingAccepted", Warning, "source %s, %d in a row, reason %s", s.Name, p.InARow, p.Reason))
		}
		for _, c := range found {
			all = append(all, c.by(s.Name))
		}
	}
	return all
}

// due says when something comes.
func due(now, t time.Time) string {
	if !t.After(now) {
		return "now"
	}
	return "in " + words.Length(t.Sub(now))
}

func ofLogs(f Facts) (all []Condition) {
	if f.Unsealed {
		return []Condition{of("ReceiverNotSealed", Warning, "audit.key is not set")}
	}
	for _, l := range f.Logs {
		switch {
		case l.Fork:
			all = append(all, of("ReceiverLogFork", Error, "stream %s", l.Stream))
			continue
		case l.Seen.IsZero():
			all = append(all, of("ReceiverUnsealedGrowing", Warning, "stream %s was not checked since the start", l.Stream))
		case l.Unsealed > 0 && f.Now.Sub(l.Since) > unsealedFor:
			all = append(all, of("ReceiverUnsealedGrowing", Warning, "stream %s, %s since %s", l.Stream, words.Count(l.Unsealed, "record"), ago(f.Now, l.Since)).at(l.Since))
		case l.Failed && f.Now.Sub(l.Seen) > unsealedFor:
			all = append(all, of("ReceiverUnsealedGrowing", Warning, "stream %s fails since %s", l.Stream, ago(f.Now, l.Seen)).at(l.Seen))
		case f.Now.Sub(l.Seen) > unsealedFor: // a look that does not end
			all = append(all, of("ReceiverUnsealedGrowing", Warning, "stream %s was last checked %s", l.Stream, ago(f.Now, l.Seen)).at(l.Seen))
		}
		if f.within(suspectFor, l.Suspect) {
			all = append(all, of("ReceiverSuspectRecords", Error, "stream %s, the last %s", l.Stream, ago(f.Now, l.Suspect)).at(l.Suspect))
		}
		if l.Faults > 0 {
			all = append(all, of("ReceiverSuspectRecords", Error, "stream %s, the check %s found %s", l.Stream, ago(f.Now, l.Checked), words.Count(l.Faults, "fault")).at(l.Checked))
		}
		for _, a := range l.Anchors {
			behind := f.Now.Sub(a.At) > anchorBehind
			if a.At.IsZero() {
				behind = f.Now.Sub(f.Started) > anchorNever
			}
			if behind && a.Records < l.Sealed {
				all = append(all, of("ReceiverAnchorBehind", Warning, "anchor %s, stream %s, %s missing", a.Name, l.Stream, words.Count(l.Sealed-a.Records, "record")).at(a.At))
			}
		}
	}
	return all
}

func ofCertificates(f Facts) (all []Condition) {
	for _, c := range f.Certificates {
		left := c.Ends.Sub(f.Now)
		switch {
		case c.Ends.Unix() <= 0:
			all = append(all, of("ReceiverCertificateExpired", Error, "the %s listener has none yet", c.Listener))
		case left <= 0:
			all = append(all, of("ReceiverCertificateExpired", Error, "%s listener, it ended %s", c.Listener, ago(f.Now, c.Ends)).at(c.Ends))
		case left < expired:
			all = append(all, of("ReceiverCertificateExpired", Error, "%s listener, %s left", c.Listener, words.Length(left)))
		case left < expires:
			all = append(all, of("ReceiverCertificateExpires", Warning, "%s listener, %s left", c.Listener, words.Length(left)))
		}
	}
	return all
}

func ofSinks(f Facts) (all []Condition) {
	for _, s := range f.Sinks {
		if s.Unknown != nil {
			all = append(all, of("ReceiverSinkFailing", Warning, "sink %s is not known: %v", s.Name, s.Unknown))
			continue
		}
		if s.GivenUp > 0 {
			all = append(all, of("ReceiverSinkGivenUp", Error, "sink %s, %s", s.Name, words.Count(s.GivenUp, "event")))
		}
		// A process that is younger than the limit does not know since when.
		long := !f.within(sinkFailing, s.Failing) || f.within(sinkFailing, f.Started)
		if !s.Failing.IsZero() && f.within(sinkFailing, s.Failed) && long && s.Retrying > 0 {
			all = append(all, of("ReceiverSinkFailing", Warning, "sink %s, %s posted again", s.Name, words.Count(s.Retrying, "job")).at(s.Failing))
		}
	}
	return all
}

func ofEdge(f Facts) (all []Condition) {
	switch e := f.Edge; {
	case e == nil:
	case e.Unknown != nil:
		all = append(all, of("ReceiverEdgeLinkDown", Warning, "not known: %v", e.Unknown))
	default:
		if !e.Up {
			all = append(all, of("ReceiverEdgeLinkDown", Warning, "the link is down"))
		}
		for _, b := range e.Behind {
			if !b.Oldest.IsZero() && f.Now.Sub(b.Oldest) > hubBehind {
				all = append(all, of("ReceiverEdgeBehind", Warning, "stream %s, %s, the oldest %s", b.Stream, words.Count(b.Records, "record"), ago(f.Now, b.Oldest)).at(b.Oldest))
			}
		}
	}
	return all
}

func ofJobs(f Facts) (all []Condition) {
	if f.JobsUnknown {
		return []Condition{of("ReceiverJobsOverdue", Warning, "not known, the list of jobs is being read")}
	}
	for _, s := range f.Sources {
		if s.Overdue > 0 {
			all = append(all, of("ReceiverJobsOverdue", Warning, "source %s, %s", s.Name, words.Count(s.Overdue, "job")).by(s.Name))
		}
		if f.within(lostFor, s.Lost) {
			all = append(all, of("ReceiverJobsLost", Warning, "source %s, the last %s", s.Name, ago(f.Now, s.Lost)).by(s.Name).at(s.Lost))
		}
	}
	return all
}
