package service

import (
	"context"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"receiver/api"
	"receiver/internal/callback"
	"receiver/internal/condition"
	"receiver/internal/config"
	"receiver/internal/doctor"
	"receiver/internal/keyusage"
	"receiver/internal/natsserver"
	"receiver/internal/page"
	"receiver/internal/publish/sender"
	"receiver/internal/service/deliveries"
	"receiver/internal/service/evidence"
	"receiver/internal/service/jobs"
	"receiver/internal/service/plans"
	"receiver/internal/service/records"
	"receiver/internal/service/status"
	"receiver/internal/service/traffic"
	"receiver/internal/verify"
	"receiver/internal/web"
	"receiver/internal/web/apiserver"
)

// answers sets what the API answers from beside the records, and the metrics of the same.
func (in *Instance) answers(a *apiserver.Server, retries *callback.RetryState) {
	asked := jobs.Platform{Clients: in.platforms.Client, Known: in.platforms.Known}
	a.Explainer = in.explainer.explain
	started := time.Now()
	a.Sources = apiserver.SourcesOf(in.receiver, retries, in.metrics.Source, started)
	a.Status = in.condition(started, retries).Status
	a.Platform = asked
	reader := jobs.Reader{Listed: in.list, Store: in.bus, Platform: asked, Schedule: in.platforms.Schedule}
	a.Jobs = reader
	a.Submissions = jobs.Submissions{Submitter: in.submitter, Platform: asked, Ready: in.platforms.Reachable, Count: in.metrics.Submission, Log: in.log}
	a.Actions = jobs.Actions{Reader: reader, Watcher: in.watcher, Record: in.recordAction}
	in.status = &deliveries.Status{Config: in.cfg, Store: in.bus, Record: in.recordAction}
	a.Forwarding = in.status
	a.Feed = jobs.NewEvents(in.bus, func() []string { return in.inForce().SourceNames() }, in.log)
	// The other half of the connections is for all else, monitoring among it.
	a.Readers = apiserver.NewReaders(max(connectionsOf(in.cfg).private/2, 1))
	in.metrics.ShowReaders(a.Readers)
	in.metrics.ShowJobs(in.list)
	in.bus.Measure(sender.Figures{Published: in.metrics.Published, Batch: in.metrics.Batch})
	a.Stopping = in.waits
	a.Streams, a.Keys, a.Doctor = in.streams, in.keys, in.doctor
	counter := traffic.New(in.bus, nil)
	a.Traffic = counter.Traffic
	in.background.Go(func() { counter.Run(in.waits) })
}

// page returns the handler of the private listener: the page, and the API behind it.
func (in *Instance) page(private web.Private) http.Handler {
	return page.New(page.Options{API: web.NewPrivate(private), Visit: web.Visit, Log: in.log})
}

// openEvidence opens what auditors ask.
func (in *Instance) openEvidence(ctx context.Context) (err error) {
	in.evidence, err = evidence.New(ctx, evidence.Options{
		Config: in.cfg, Bus: in.bus, Record: in.recordAction, Forked: in.sealing.forked, Ending: in.waits,
		Sources: func() (map[string]*verify.Verifier, error) { return Verifiers(in.inForce(), "") },
	})
	return err
}

// condition says how the receiver is.
func (in *Instance) condition(started time.Time, retries *callback.RetryState) *status.Receiver {
	r := &status.Receiver{
		Started: started, Ready: in.Ready, Store: in.storeState, Metrics: in.metrics, Sources: in.receiver, Retries: retries, Jobs: in.list,
		Keyless: in.figures == nil, Sinks: deliveries.Names(in.cfg), Edge: in.cfg.NATS.Mode == config.ModeEdge,
	}
	if in.figures != nil {
		r.Logs, r.Check = in.figures.Logs, func() api.Verification { return in.evidence.Checked() }
	}
	if in.server != nil {
		r.Disk = func() condition.Disk {
			now := in.server.Status()
			return condition.Disk{Free: now.Free, Refuses: now.Err}
		}
	}
	return r
}

// storeState is the state of the store in one word.
func (in *Instance) storeState() string {
	if bus := in.reached.Load(); bus != nil {
		return string(bus.State())
	}
	return string(natsserver.StateAway)
}

// inForce is the configuration in force.
func (in *Instance) inForce() *config.Config { return in.explainer.cfg.Load() }

// streams compares the streams with the configuration.
func (in *Instance) streams(ctx context.Context) (api.StreamsPlan, error) {
	survey, done, err := Opener{Config: in.cfg, Log: in.log, Say: func(string, ...any) {}}.Survey(ctx, false)
	if err != nil {
		return api.StreamsPlan{}, err
	}
	defer done()
	plan, err := survey.Plan(ctx)
	return plans.Shown(plan), err
}

// keys returns the use of all keys.
func (in *Instance) keys(ctx context.Context) ([]keyusage.Use, error) {
	configured, err := ConfiguredKeys(in.inForce())
	if err != nil {
		return nil, err
	}
	keys := keyusage.NewKeys(configured)
	reach, err := records.Arrivals(ctx, in.bus, keys.Add)
	if err != nil {
		return nil, err
	}
	return keys.ListRemovable(reach, time.Now()), nil
}

// doctorTimeout bounds all checks of one request.
const doctorTimeout = 10 * time.Second

// doctor looks for problems, with the configuration in force.
func (in *Instance) doctor(ctx context.Context) api.Diagnosis {
	cfg := in.inForce()
	return Diagnosis(cfg, Examine(ctx, Examination{Config: cfg, Log: in.log.Level(zerolog.ErrorLevel), Timeout: doctorTimeout}))
}

// Diagnosis returns findings as the API and the command show them.
func Diagnosis(cfg *config.Config, found []doctor.Finding) api.Diagnosis {
	d := api.Diagnosis{Worst: api.Severity(doctor.Worst(found).String()), Findings: []api.CheckFinding{}}
	for _, f := range found {
		d.Findings = append(d.Findings, checked(cfg, f))
	}
	return d
}

// checked is a finding as the API and the command show it.
func checked(cfg *config.Config, f doctor.Finding) api.CheckFinding {
	return api.CheckFinding{
		Check: f.Check, Severity: api.Severity(f.Severity.String()), What: f.What, Why: f.Why, Setting: f.Setting, Change: f.Change, Where: Where(cfg, f),
	}
}
