package storefolder

import (
	"fmt"
	"os"
	"slices"
	"time"

	"receiver/internal/natsserver/blockfile"
	"receiver/internal/publish/conn"
)

// lostSequences finds losses that a server, running or killed, cannot have caused: the end of any
// stream, and in append-only streams the middle, and the beginning if no limit explains it.
func (h expected) lostSequences(stream string, noted streamNote) (found []string, err error) {
	want := max(noted.Last, h.sealed[stream].Size)
	evidence := stream == conn.CheckpointsStream && h.kept != ""
	if want == 0 && !evidence {
		return nil, nil
	}
	now, err := h.msgs(stream).Walk(false)
	if err != nil || now.Compressed {
		return nil, err
	}
	switch {
	case evidence && now.First() == 0 && want == 0:
		return []string{"it has no checkpoint, but some are kept in " + h.kept}, nil
	case now.Last < want:
		found = append(found, h.lostTail(stream, now.Last))
	}
	if end := max(want, now.Last); h.note == nil {
		noted = streamNote{First: 1, Last: end, Messages: end}
	}
	if noted.Messages == 0 || !slices.Contains(appendOnly, stream) {
		return found, nil
	}
	if gone := now.First(); gone > noted.First || gone == 0 && now.Last >= want {
		trimmed, err := h.mayTrim(stream, noted, now)
		if err != nil {
			return nil, err
		}
		if !trimmed {
			if gone == 0 {
				gone = want + 1
			}
			found = append(found, fmt.Sprintf("its beginning is missing, with %s, and no limit of the stream explains that", blockfile.Span{First: noted.First, Last: gone - 1}))
		}
	}
	if holes, n := now.Holes(); n > noted.deleted() {
		for _, s := range holes[:min(len(holes), maxNamed)] {
			found = append(found, fmt.Sprintf("a part of its middle is missing, with %s", s))
		}
	}
	return found, nil
}

// mayTrim reports whether the oldest messages may have been removed by the stream's own limits, or
// through the server by a client that may do so.
func (h expected) mayTrim(stream string, noted streamNote, now blockfile.Content) (bool, error) {
	limits, created, err := limitsOf(h.path(stream))
	if err != nil {
		return false, err
	}
	switch {
	case limits.MaxMsgs > 0, stream == conn.JobsStream && limits.MaxAge == 0:
		return true, nil // an edge removes records that its hub has
	case h.note == nil && (limits.MaxAge > 0 && time.Since(created) > limits.MaxAge || limits.MaxBytes > 0):
		return true, nil // how old or how many the oldest were is not known
	case h.note != nil && limits != noted.streamLimits:
		return true, nil
	case now.First() == 0:
		return len(now.Removed) > 0, nil
	}
	var freed int64
	ends := noted.ends()
	for i, f := range noted.Files {
		if f.First >= now.First() {
			break
		}
		_, err := os.Stat(h.msgs(stream).File(f.Index))
		if err == nil && f.First > 0 && ends[i] >= now.First() {
			return true, nil // the server itself cut the file
		}
		if err != nil && limits.MaxAge > 0 && f.First > 0 && time.Since(f.Time) > limits.MaxAge {
			return true, nil
		}
		freed += f.Size
	}
	if limits.MaxBytes == 0 {
		return false, nil
	}
	size, err := h.msgs(stream).Size()
	return size+freed+limits.MaxBytes/8 > limits.MaxBytes, err
}
