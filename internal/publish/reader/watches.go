package reader

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"receiver/internal/job"
	"receiver/internal/publish/conn"
)

// A request names at most so many subjects, of so many bytes: a server answers about 1,024 of them,
// and takes no message that is larger than its max_payload.
const (
	watchesAtOnce = 512
	bytesAtOnce   = 64 << 10
)

// Watches returns the watches on subjects, by subject, without those that there are not. It asks
// any replica, for many at once: it is for people to look at, and nothing is to be decided by it.
// With an error, it returns what it has got.
func Watches(ctx context.Context, js jetstream.JetStream, subjects []string) (map[string]job.Watch, error) {
	all := make(map[string]job.Watch, len(subjects))
	for len(subjects) > 0 {
		n, bytes := 0, 0
		for n < min(len(subjects), watchesAtOnce) && (n == 0 || bytes+len(subjects[n]) <= bytesAtOnce) {
			bytes += len(subjects[n]) + len(`"",`)
			n++
		}
		err := LastOf(ctx, js, conn.WatchStream, subjects[:n], time.Time{}, func(m *nats.Msg) {
			subject := cutLast(m.Header, jetstream.SubjectHeader)
			if w, err := job.ParseWatch(subject, m.Data); err == nil { // another's message is no watch
				all[subject] = w
			}
		})
		if err != nil {
			return all, err
		}
		subjects = subjects[n:]
	}
	return all, nil
}
