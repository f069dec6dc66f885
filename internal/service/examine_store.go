package service

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
	"receiver/internal/natsserver"
	"receiver/internal/natsserver/storefolder"
	"receiver/internal/publish/conn"
	"receiver/internal/publish/edge"
	"receiver/internal/publish/schema"
)

// nats looks at the NATS server, or at what its folder tells when it does not run.
func (x examiner) nats(ctx context.Context) []doctor.Finding {
	if !x.embedded() {
		return x.cluster(ctx)
	}
	folder := x.cfg.Abs(x.cfg.NATS.Embedded.Folder)
	at, err := natsserver.Running(folder)
	if errors.Is(err, storefolder.ErrNotRunning) {
		return x.folder(folder)
	}
	var survey *schema.Survey
	if err == nil {
		survey, err = schema.SurveyEndpoint(ctx, at, storeOptions(x.cfg, x.log))
	}
	if err != nil {
		return []doctor.Finding{{
			Severity: doctor.Error, What: fmt.Sprintf("the NATS server that runs on %s does not answer: %v", folder, err),
			Why: "only serve itself reaches the streams", Setting: "nats.embedded.address", Change: "address: 127.0.0.1:4222, and check that no firewall blocks it",
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
		Change: "see the logs of the NATS servers; `nats server report jetstream` shows the leaders",
	}
}

// cluster checks an external NATS cluster.
func (x examiner) cluster(ctx context.Context) []doctor.Finding {
	found := x.clusterSync(ctx)
	survey, err := schema.SurveyCluster(ctx, external(x.cfg), storeOptions(x.cfg, x.log))
	if err != nil {
		return append(found, doctor.Finding{
			Severity: doctor.Error, What: err.Error(), Why: "without NATS every callback is answered 503, and the platform gives up after some hours",
			Setting: "nats.urls", Change: "urls: addresses of running servers, with their credentials_file and tls",
		})
	}
	defer survey.Close()
	for _, u := range external(x.cfg).Unreached(ctx) {
		found = append(found, doctor.Finding{
			Severity: doctor.Warning, What: u.Error(), Why: "if another server fails, this one cannot take over",
			Setting: "nats.urls", Change: "urls: addresses of running servers, with their credentials_file and tls",
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
func (x examiner) clusterSync(ctx context.Context) []doctor.Finding {
	if len(x.monitors) == 0 {
		return named("sync", doctor.Sync{Where: "the NATS cluster", Unknown: "--nats-monitor is not given"}.Findings())
	}
	var found []doctor.Finding
	for _, address := range x.monitors {
		s := doctor.Sync{Where: address}
		if sync, err := natsserver.MonitoredSync(ctx, address); err != nil {
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
func (x examiner) server(f schema.Facts) []doctor.Finding {
	found := doctor.Server{
		URL: f.URL, Version: f.Version, APILevel: f.APILevel, StoreUsed: f.StoreUsed, StoreLimit: f.StoreLimit,
	}.Findings()
	found = append(found, named("payload", doctor.Payload(f.MaxPayload, int64(x.cfg.Limits.Body), x.embedded()))...)
	return append(found, named("streams", doctor.Streams(f.Streams, f.Cluster != "", !x.embedded()))...)
}

// folder judges a store that no process has open.
func (x examiner) folder(folder string) []doctor.Finding {
	found := append(doctor.Server{Version: natsserver.EmbeddedVersion}.Findings(), x.room(nil)...)
	facts, err := schema.ConfigFacts(storeOptions(x.cfg, x.log).Streams, natsserver.FolderConfigs(folder))
	if format := storefolder.CheckFormat(folder); format != nil {
		err = format
	}
	switch {
	case errors.Is(err, natsserver.ErrNoStore):
		return append(found, doctor.Unseen("no receiver runs on "+folder+", and it stores nothing yet")...)
	case err != nil:
		return append(found, doctor.Finding{
			Severity: doctor.Error, What: err.Error(), Why: "a receiver cannot use it either", Change: "restore the folder from a backup",
		})
	}
	found = append(found, doctor.Unseen("no receiver runs on "+folder+": only the settings of its streams were read, not their messages")...)
	return append(found, named("streams", doctor.Streams(facts, false, false))...)
}

// named gives findings the name of their check.
func named(check string, found []doctor.Finding) []doctor.Finding {
	for i := range found {
		found[i].Check = check
	}
	return found
}

func (x examiner) sync(context.Context) []doctor.Finding {
	return doctor.Sync{Always: x.cfg.NATS.Sync == config.SyncAlways, Interval: lazySync}.Findings()
}

// lazySync is NATS's own interval, which nats.sync: interval leaves as it is.
const lazySync = 2 * time.Minute

// fsync times the disk of the store.
func (x examiner) fsync(ctx context.Context) []doctor.Finding {
	if !x.embedded() {
		return doctor.Unseen("the disks belong to the NATS servers")
	}
	folder := x.place()
	measured, err := doctor.MeasureFsync(ctx, folder)
	if err != nil {
		return []doctor.Finding{{
			Severity: doctor.Error, What: err.Error(), Why: "`receiver serve` keeps its streams there and would not start",
			Setting: "nats.embedded.folder", Change: "folder: a folder that this user can write to",
		}}
	}
	measured.Staged = natsserver.StagesInMemory(folder)
	return append(measured.Findings(x.cfg.NATS.Sync == config.SyncAlways), named("clock", measured.Clock.Findings())...)
}

// disk looks at the room for the store, not knowing what is in it.
func (x examiner) disk(context.Context) []doctor.Finding { return x.space(doctor.Growth{}) }

// room judges whether what the streams may grow to fits on the disk.
func (x examiner) room(facts []schema.StreamFacts) []doctor.Finding {
	growth := doctor.Growth{AttemptsMax: int64(x.cfg.NATS.AttemptsMaxBytes)}
	for _, f := range facts {
		switch f.Name {
		case conn.JobsStream:
			growth.Events, growth.Over, growth.EventsAge = int64(f.Bytes), f.Last.Sub(f.First), f.MaxAge
			if x.cfg.NATS.Mode == config.ModeEdge {
				growth.EventsAge = x.cfg.NATS.JobsMaxAge // the stream has no limit; what forwards it keeps to this one
			}
		case conn.AttemptsStream:
			growth.Attempts = int64(f.Bytes)
		}
	}
	return named("disk", x.space(growth))
}

func (x examiner) space(growth doctor.Growth) []doctor.Finding {
	disk, err := doctor.MeasureDisk(x.place())
	if err != nil {
		return doctor.Unseen(err.Error())
	}
	return disk.Findings(growth)
}

// place is the store's folder, or the nearest one above it while it is not there.
func (x examiner) place() string {
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

// edge looks at the line to the hub, through the receiver that runs.
func (x examiner) edge(ctx context.Context) []doctor.Finding {
	folder := x.cfg.Abs(x.cfg.NATS.Embedded.Folder)
	at, err := natsserver.Running(folder)
	var facts edge.Facts
	if err == nil {
		facts, err = edge.Survey(ctx, at, folder, conn.Options{Domain: x.cfg.NATS.Domain, Streams: hubStreams(x.cfg), Log: x.log})
	}
	switch {
	case errors.Is(err, storefolder.ErrNotRunning):
		return doctor.Edge{Stopped: true}.Findings(time.Now())
	case err != nil:
		return doctor.Unseen(err.Error())
	}
	e := doctor.Edge{Err: facts.Err, Hub: facts.Hub}
	for _, s := range facts.Streams {
		e.Behind = append(e.Behind, doctor.Behind{Stream: s.Stream, Records: s.Behind, Oldest: s.Oldest})
	}
	return e.Findings(time.Now())
}
