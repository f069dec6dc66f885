package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"receiver/internal/config"
	"receiver/internal/doctor"
	"receiver/internal/publish"
)

// nats looks at the NATS server, or at what its folder tells when it does not run.
func (x examination) nats(ctx context.Context) []doctor.Finding {
	if !x.embedded() {
		return x.cluster(ctx)
	}
	folder := x.cfg.Abs(x.cfg.NATS.Embedded.Folder)
	survey, err := publish.SurveyFolder(ctx, folder, busOptions(x.cfg, x.log))
	if errors.Is(err, publish.ErrNotRunning) {
		return x.folder(folder)
	}
	if err != nil {
		return []doctor.Finding{{
			Severity: doctor.Error, What: fmt.Sprintf("the NATS server that runs on %s cannot be asked: %v", folder, err),
			Why: "no command but serve itself reaches the streams", Setting: "nats.embedded.address", Change: "address: 127.0.0.1:4222, and see that nothing stands between",
		}}
	}
	defer survey.Close()
	facts, err := survey.Facts(ctx)
	found := x.server(facts)
	if err != nil {
		found = append(found, unanswered(err))
	}
	return append(found, x.room(facts.Streams)...)
}

func unanswered(err error) doctor.Finding {
	return doctor.Finding{
		Severity: doctor.Error, What: err.Error(), Why: "while NATS does not answer, every callback is answered 503",
		Change: "see the log of the NATS servers: `nats server report jetstream` shows who leads",
	}
}

// cluster looks at a NATS that somebody else runs.
func (x examination) cluster(ctx context.Context) []doctor.Finding {
	found := x.clusterSync(ctx)
	survey, err := publish.SurveyCluster(ctx, external(x.cfg), busOptions(x.cfg, x.log))
	if err != nil {
		return append(found, doctor.Finding{
			Severity: doctor.Error, What: err.Error(), Why: "without NATS every callback is answered 503, and the platform gives up after some hours",
			Setting: "nats.urls", Change: "urls: those of servers that run, with credentials_file and tls as they ask for",
		})
	}
	defer survey.Close()
	for _, u := range external(x.cfg).Unreached(ctx) {
		found = append(found, doctor.Finding{
			Severity: doctor.Warning, What: u.Error(), Why: "it is one server less to go to when another one fails",
			Setting: "nats.urls", Change: "urls: those of servers that run, with credentials_file and tls as they ask for",
		})
	}
	facts, err := survey.Facts(ctx)
	found = append(found, x.server(facts)...)
	if err != nil {
		return append(found, unanswered(err))
	}
	clock := doctor.Clock{Whose: "the NATS server", Theirs: facts.Clock, Before: facts.Asked, After: facts.Answered}
	return append(found, named("clock", clock.Findings())...)
}

// clusterSync asks the monitoring ports when the servers call fsync, and for their clocks.
func (x examination) clusterSync(ctx context.Context) []doctor.Finding {
	if len(x.monitors) == 0 {
		return named("sync", doctor.Sync{Where: "the NATS cluster", Unknown: "no monitoring port was named"}.Findings())
	}
	var found []doctor.Finding
	for _, address := range x.monitors {
		s := doctor.Sync{Where: address}
		if sync, err := publish.MonitoredSync(ctx, address); err != nil {
			s.Unknown = err.Error()
		} else {
			s.Always, s.Interval = sync.Always, sync.Interval
			clock := doctor.Clock{Whose: address, Theirs: sync.Clock, Before: sync.Asked, After: sync.Answered}
			found = append(found, named("clock", clock.Findings())...)
		}
		found = append(found, named("sync", s.Findings())...)
	}
	return found
}

// server judges what a server that runs says.
func (x examination) server(f publish.Facts) []doctor.Finding {
	found := doctor.Server{
		URL: f.URL, Version: f.Version, APILevel: f.APILevel, StoreUsed: f.StoreUsed, StoreLimit: f.StoreLimit,
	}.Findings()
	found = append(found, named("payload", doctor.Payload(f.MaxPayload, int64(x.cfg.Limits.Body), x.embedded()))...)
	return append(found, named("streams", doctor.Streams(streams(f.Streams), f.Cluster != "", !x.embedded()))...)
}

// folder judges what a store tells that nobody has open.
func (x examination) folder(folder string) []doctor.Finding {
	found := append(doctor.Server{Version: publish.EmbeddedVersion}.Findings(), x.room(nil)...)
	facts, err := publish.FolderFacts(folder, busOptions(x.cfg, x.log).Streams)
	switch {
	case errors.Is(err, publish.ErrNoStore):
		return append(found, doctor.Unseen("no receiver runs on "+folder+", and nothing is stored there yet")...)
	case err != nil:
		return append(found, doctor.Finding{
			Severity: doctor.Error, What: err.Error(), Why: "a receiver could not use it either", Change: "restore the folder from a backup",
		})
	}
	found = append(found, doctor.Unseen("no receiver runs on "+folder+": how its streams are configured was read there, not what they hold")...)
	return append(found, named("streams", doctor.Streams(streams(facts), false, false))...)
}

func streams(facts []publish.StreamFacts) []doctor.Stream {
	all := make([]doctor.Stream, 0, len(facts))
	for _, f := range facts {
		all = append(all, doctor.Stream{
			Name: f.Name, Events: f.Name == publish.JobsStream, Missing: f.Missing, Memory: f.Memory, DiscardNew: f.DiscardNew,
			Replicas: f.Replicas, MaxAge: f.MaxAge, Messages: f.Messages, Bytes: f.Bytes, Lost: f.Lost,
			Offline: f.Offline, Behind: f.Behind, Breaking: f.Breaking, Other: f.Other,
		})
	}
	return all
}

// named gives findings the name of their check.
func named(check string, found []doctor.Finding) []doctor.Finding {
	for i := range found {
		found[i].Check = check
	}
	return found
}

func (x examination) sync(context.Context) []doctor.Finding {
	return doctor.Sync{Always: x.cfg.NATS.Sync == config.SyncAlways, Interval: lazySync}.Findings()
}

// lazySync is NATS's own interval, which nats.sync: interval leaves as it is.
const lazySync = 2 * time.Minute

// fsync times the disk of the store.
func (x examination) fsync(ctx context.Context) []doctor.Finding {
	if !x.embedded() {
		return doctor.Unseen("the disks are those of the NATS servers")
	}
	folder := x.place()
	measured, err := doctor.MeasureFsync(ctx, folder)
	if err != nil {
		return []doctor.Finding{{
			Severity: doctor.Error, What: err.Error(), Why: "`receiver serve` keeps its streams there, and would not start",
			Setting: "nats.embedded.folder", Change: "folder: one that this user may write",
		}}
	}
	measured.Staged = publish.StagesInMemory(folder)
	return append(measured.Findings(x.cfg.NATS.Sync == config.SyncAlways), named("clock", measured.Clock.Findings())...)
}

// disk looks at the room for the store, not knowing what is in it.
func (x examination) disk(context.Context) []doctor.Finding { return x.space(doctor.Growth{}) }

// room judges whether what the streams may grow to fits on the disk.
func (x examination) room(facts []publish.StreamFacts) []doctor.Finding {
	growth := doctor.Growth{AttemptsMax: int64(x.cfg.NATS.AttemptsMaxBytes)}
	for _, f := range facts {
		switch f.Name {
		case publish.JobsStream:
			growth.Events, growth.Over, growth.EventsAge = int64(f.Bytes), f.Last.Sub(f.First), f.MaxAge
			if x.cfg.NATS.Mode == config.ModeEdge {
				growth.EventsAge = x.cfg.NATS.JobsMaxAge // the stream has no limit; what forwards it keeps to this one
			}
		case publish.AttemptsStream:
			growth.Attempts = int64(f.Bytes)
		}
	}
	return named("disk", x.space(growth))
}

func (x examination) space(growth doctor.Growth) []doctor.Finding {
	disk, err := doctor.MeasureDisk(x.place())
	if err != nil {
		return doctor.Unseen(err.Error())
	}
	return disk.Findings(growth)
}

// place is the store's folder, or the nearest one above it while it is not there.
func (x examination) place() string {
	folder := x.cfg.Abs(x.cfg.NATS.Embedded.Folder)
	for {
		_, err := os.Stat(folder)
		if above := filepath.Dir(folder); errors.Is(err, fs.ErrNotExist) && above != folder {
			folder = above
			continue
		}
		return folder
	}
}
