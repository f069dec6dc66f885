package records

import (
	"bytes"
	"context"
	"errors"
	"strconv"
	"time"

	"receiver/api"
	"receiver/internal/auditlog"
	"receiver/internal/callback"
	"receiver/internal/job"
	"receiver/internal/joblist"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service/logs"
)

// The attempts of a page of GET …/jobs/{job}/attempts, and how many records are read for one: so
// that a flood of refused callbacks makes more pages, and none of them slow.
const (
	attemptsSize    = 100
	attemptsMaximum = 1000
	attemptsRead    = 5_000
)

// Attempts implements apiserver.Trail. It looks where attempts of the job can be: from its
// submission until the platform has given up the last of its callbacks.
func (a *API) Attempts(ctx context.Context, source, id string, p api.ListJobAttemptsParams) (api.JobAttempts, error) {
	page := api.JobAttempts{Attempts: []api.JobAttempt{}}
	limit := attemptsSize
	if p.Limit != nil {
		limit = *p.Limit
	}
	if limit < 1 || limit > attemptsMaximum {
		return page, api.BadRequest.Problem("limit is not 1 to %d", attemptsMaximum)
	}
	if !job.ValidSource(source) {
		return page, nil
	}
	events, err := a.bus.Job(ctx, source, id)
	if err != nil {
		return page, err
	}
	from, to, err := a.attemptsOf(ctx, joblist.Fold(events), time.Now())
	if p.After != "" && err == nil {
		if from, err = strconv.ParseUint(p.After, 10, 64); err != nil {
			return page, api.BadRequest.Problem("after %q is not the value of next of another page", p.After)
		}
		from++
	}
	if err != nil || from > to {
		return page, err
	}
	last := min(to, from+attemptsRead-1)
	about := aboutJob{source, id, digests(events)}
	err = a.bus.Range(ctx, conn.AttemptsStream, from, last, func(m publish.Message) error {
		by, unread := about.tells(m)
		if unread {
			page.Unread++
		}
		if e, ok := auditlog.Read(logs.Record(conn.AttemptsStream, m)); ok && by != "" {
			page.Attempts = append(page.Attempts, api.JobAttempt{By: by, Callback: e})
		}
		if len(page.Attempts) == limit {
			last = m.Sequence
			return errFull
		}
		return nil
	})
	if errors.Is(err, errFull) {
		err = nil
	}
	if last < to {
		page.Next = strconv.FormatUint(last, 10)
	}
	return page, err
}

var errFull = errors.New("the page is full")

// attemptsOf returns the first and the last sequence between which attempts about a job can be.
func (a *API) attemptsOf(ctx context.Context, j joblist.Job, now time.Time) (from, to uint64, err error) {
	retries := time.Minute // two clocks differ by that
	for _, pause := range callback.Spacing() {
		retries += pause
	}
	since, until := now.Add(-job.Retention), time.Time{}
	if len(j.History) > 0 {
		since = j.History[0].Time.Add(-retries)
	}
	if j.Expected {
		since = j.SubmittedAt.Add(-time.Minute)
	}
	if j.Ended() {
		until = j.History[len(j.History)-1].Time.Add(retries)
	}
	extent, err := a.bus.Extent(ctx, conn.AttemptsStream)
	if err != nil {
		return 0, 0, err
	}
	if from, err = firstSince(ctx, a.bus, conn.AttemptsStream, since, extent); err != nil || until.IsZero() || until.After(now) {
		return from, extent.Last, err
	}
	to, err = firstSince(ctx, a.bus, conn.AttemptsStream, until, extent)
	return from, to - 1, err
}

// aboutJob tells which attempts are about a job.
type aboutJob struct {
	source, id string
	digests    map[string]bool
}

// digests are those of the callbacks among events.
func digests(events []job.Stored) map[string]bool {
	all := map[string]bool{}
	for _, e := range events {
		if e.Receipt != nil {
			all[e.Digest()] = true
		}
	}
	return all
}

// tells says by what an attempt is about the job, or reports that its body would tell and cannot be
// read.
func (j aboutJob) tells(m publish.Message) (by api.JobAttemptBy, unread bool) {
	a, ok := job.ReadArrival(m.Subject, m.Header)
	switch {
	case !ok || a.Source != j.source || a.Job != "" && a.Job != j.id:
		return "", false
	case a.Job != "":
		return api.JobAttemptByEvent, false
	case j.digests[a.Body]:
		return api.JobAttemptByDigest, false
	case publish.Refers(m.Header) || job.Encrypted(m.Header) || len(m.Data) == 0:
		return "", true
	case !bytes.Contains(m.Data, []byte(j.id)) && !bytes.ContainsRune(m.Data, '\\'): // most are not worth reading
		return "", false
	}
	if v, err := job.Read(m.Data); err != nil || v.ID != j.id {
		return "", false
	}
	return api.JobAttemptByBody, false
}
