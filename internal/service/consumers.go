package service

import (
	"cmp"
	"context"
	"errors"
	"net"
	"time"

	"receiver/internal/certs"
	"receiver/internal/config"
	"receiver/internal/consumers"
	"receiver/internal/job"
	"receiver/internal/publish"
	"receiver/internal/publish/durables"
	"receiver/internal/service/records"
)

// Admission is a consumer that is to be added to a store.
type Admission struct {
	Name string
	// Durables that are there already are taken over; they keep their settings and position.
	Durables []string
	// Filters are the subjects that it gets; empty means every finished event.
	Filters []string
	// From is all, or new for the events from now on.
	From string
	// Credentials is the file to write its credentials to.
	Credentials string
}

// Admit adds the consumer to the store in folder, and records it as the action.
func (c Admission) Admit(ctx context.Context, cfg *config.Config, bus *publish.Store, folder string, action job.Action) (consumers.Consumer, error) {
	for _, subject := range c.Filters {
		if err := errors.Join(records.CheckSubject(subject, false), records.CheckSource(ctx, bus, subject, cfg.SourceNames())); err != nil {
			return consumers.Consumer{}, config.UseErrorf("the filter %w", err)
		}
	}
	return consumers.Admission{
		Name: c.Name, Durables: c.Durables, Credentials: c.Credentials, Remove: bus.RemoveDurable,
		Make: func(ctx context.Context, name string) (bool, error) { return c.durable(ctx, bus, name) },
		Record: func(ctx context.Context) error {
			return RecordAction(ctx, bus, action, map[string]any{"consumer": c.Name, "durables": c.Durables, "filters": c.Filters, "from": c.From})
		},
	}.Admit(ctx, folder)
}

// durable makes a durable, or takes one over.
func (c Admission) durable(ctx context.Context, bus *publish.Store, name string) (existed bool, err error) {
	d := durables.Durable{Name: name, Filters: c.Filters, New: c.From == "new"}
	_, err = bus.Durable(ctx, name)
	switch {
	case err == nil && d.New:
		return true, config.UseErrorf("durable %s exists, and keeps its position; omit --from, or give another name", name)
	case errors.Is(err, durables.ErrNoDurable) && len(d.Filters) == 0:
		d.Filters = []string{job.Pattern("", "", job.Finished)}
	}
	return bus.AddDurable(ctx, d)
}

// ConsumerDurable is a durable of a consumer, and the position of it.
type ConsumerDurable struct {
	Consumer string    `json:"consumer"`
	Key      string    `json:"key"`
	Made     time.Time `json:"made"`
	Durable  string    `json:"durable"`
	Missing  bool      `json:"missing,omitempty"`
	durables.Progress
}

// ConsumerDurables returns the durables of consumers.
func ConsumerDurables(ctx context.Context, bus *publish.Store, all []consumers.Consumer) (rows []ConsumerDurable, err error) {
	for _, c := range all {
		for _, d := range c.Durables {
			row := ConsumerDurable{Consumer: c.Name, Key: c.Key, Made: c.Made, Durable: d}
			row.Progress, err = bus.Durable(ctx, d)
			row.Missing = errors.Is(err, durables.ErrNoDurable)
			if err != nil && !row.Missing {
				return nil, err
			}
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// RemoveDurables removes the durables of a consumer, and calls removed with what each still held.
func RemoveDurables(ctx context.Context, bus *publish.Store, c consumers.Consumer, removed func(durable string, held durables.Progress)) error {
	for _, d := range c.Durables {
		held, err := bus.Durable(ctx, d)
		if errors.Is(err, durables.ErrNoDurable) {
			continue
		}
		if err := errors.Join(err, bus.RemoveDurable(ctx, d)); err != nil {
			return err
		}
		removed(d, held)
	}
	return nil
}

// ConsumerURL is where consumers connect, by a name that is in the certificate if there is one.
func ConsumerURL(cfg *config.Config) string {
	e := cfg.NATS.Embedded
	host, port, _ := net.SplitHostPort(e.Address) // which is checked
	scheme := "nats://"
	if e.TLS.On() {
		scheme = "tls://"
		if pair, err := certs.Load(cfg.Abs(e.TLS.CertFile), cfg.Abs(e.TLS.KeyFile)); err == nil {
			host = pair.Host(host)
		}
	}
	if port == "0" {
		port = "PORT" // another one at each start
	}
	return scheme + net.JoinHostPort(cmp.Or(host, "HOST"), port)
}
