package durables

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/reader"
)

// Durable is a consumer of the stream JOBS whose position the server keeps, from which another
// program takes events: by pulling, each to be acknowledged.
type Durable struct {
	Name string
	// Filters are the subjects that it gets events of; none means all.
	Filters []string
	// New leaves out what is on JOBS already.
	New bool
	// AckWait is after what time an event that was not acknowledged is handed out again.
	AckWait time.Duration
	// MaxDeliver is how often it is at most; -1 means for ever.
	MaxDeliver int
	// MaxAckPending is how many may be handed out and not acknowledged.
	MaxAckPending int
}

// Progress is how far a durable has come.
type Progress struct {
	// Pending are the events that it has not been handed, Unacknowledged those that it has.
	Pending        uint64 `json:"pending"`
	Unacknowledged int    `json:"unacknowledged"`
	// Waiting is how many requests for events are open: above 0, a program is waiting for events.
	Waiting int `json:"waiting"`
	// Last is when it took or acknowledged one last; nil if it never did.
	Last *time.Time `json:"last,omitempty"`
}

// ErrNoDurable means that there is no such consumer of JOBS.
var ErrNoDurable = errors.New("JOBS has no such durable")

// AddDurable makes a durable, or leaves one as it is that does what is asked for; then existed
// is true. One of that name that is pushed, or needs no acknowledgement, or has other filters
// than those asked for, is an error, as is one of our own.
func (s *Set) AddDurable(ctx context.Context, d Durable) (existed bool, err error) {
	if err := d.check(); err != nil {
		return false, err
	}
	want := jetstream.ConsumerConfig{
		Durable: d.Name, FilterSubjects: d.Filters, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: d.AckWait, MaxDeliver: d.MaxDeliver, MaxAckPending: d.MaxAckPending,
	}
	if d.New {
		want.DeliverPolicy = jetstream.DeliverNewPolicy
	}
	there, err := s.js.Consumer(ctx, conn.JobsStream, d.Name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		if _, err = s.createFirst(ctx, s.js.CreateConsumer, conn.JobsStream, want); err != nil {
			return false, fmt.Errorf("making durable %s of JOBS: %w", d.Name, err)
		}
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for durable %s of JOBS: %w", d.Name, err)
	}
	has := there.CachedInfo().Config
	filters := has.FilterSubjects
	if has.FilterSubject != "" {
		filters = []string{has.FilterSubject}
	}
	switch {
	case has.DeliverSubject != "" || has.AckPolicy != jetstream.AckExplicitPolicy:
		return true, fmt.Errorf("durable %s of JOBS exists, but is not a pull consumer with explicit acknowledgements; give another name", d.Name)
	case len(d.Filters) > 0 && !slices.Equal(sorted(filters), sorted(d.Filters)):
		return true, fmt.Errorf("durable %s of JOBS exists with other subjects: %s; omit --filter to use it unchanged, or give another name", d.Name, strings.Join(filters, ", "))
	}
	return true, nil
}

// check refuses what is our own, and subjects that JOBS does not have.
func (d Durable) check() error {
	if strings.HasPrefix(d.Name, "receiver-") {
		return fmt.Errorf("%s is reserved for the durables of the receiver; give another name", d.Name)
	}
	for _, f := range d.Filters {
		if !strings.HasPrefix(f, job.JobsPrefix) {
			return fmt.Errorf("%q is not a subject of JOBS; they begin with jobs., such as jobs.*.*.finished", f)
		}
	}
	return nil
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

// Durable returns how far a durable has come, or ErrNoDurable.
func (s *Set) Durable(ctx context.Context, name string) (Progress, error) {
	c, err := s.js.Consumer(ctx, conn.JobsStream, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return Progress{}, fmt.Errorf("%s: %w", name, ErrNoDurable)
	}
	if err != nil {
		return Progress{}, fmt.Errorf("reading durable %s of JOBS: %w", name, err)
	}
	info := c.CachedInfo()
	p := Progress{Pending: info.NumPending, Unacknowledged: info.NumAckPending, Waiting: info.NumWaiting}
	for _, t := range []*time.Time{info.Delivered.Last, info.AckFloor.Last} {
		if t != nil && (p.Last == nil || t.After(*p.Last)) {
			p.Last = t
		}
	}
	return p, nil
}

// Oldest returns when the oldest event was stored that a durable has not acknowledged, or the event
// of the sequence open, if that is older; zero if there is none. An open of 0 is none.
func (s *Set) Oldest(ctx context.Context, name string, open uint64) (oldest time.Time, err error) {
	ctx, cancel := s.bound(ctx)
	defer cancel()
	c, err := s.js.Consumer(ctx, conn.JobsStream, name)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return oldest, fmt.Errorf("%w: reading durable %s of JOBS: %v", conn.ErrUnavailable, name, err)
	}
	var subjects []string
	from := open
	if err == nil {
		info := c.CachedInfo()
		if next := info.AckFloor.Stream + 1; info.NumPending+uint64(max(info.NumAckPending, 0)) > 0 && (open == 0 || next < open) {
			subjects, from = filters(info.Config), next
		}
	}
	if from == 0 {
		return oldest, nil
	}
	if len(subjects) == 0 {
		subjects = []string{job.AllJobs}
	}
	for _, subject := range subjects {
		first, err := reader.AskLeader(ctx, s.js, conn.JobsStream, reader.Ask{Seq: from, Next: subject})
		if err != nil {
			return oldest, fmt.Errorf("%w: reading JOBS from %d on: %v", conn.ErrUnavailable, from, err)
		}
		if first != nil && (oldest.IsZero() || first.Time.Before(oldest)) {
			oldest = first.Time
		}
	}
	return oldest, nil
}

// RemoveDurable removes a durable and with it the place that it had come to. One that is not
// there is none to remove.
func (s *Set) RemoveDurable(ctx context.Context, name string) error {
	if err := s.remove(ctx, conn.JobsStream, name); err != nil {
		return fmt.Errorf("removing durable %s of JOBS: %w", name, err)
	}
	return nil
}
