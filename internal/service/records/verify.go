package records

import (
	"context"
	"errors"
	"fmt"
	pathpkg "path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/audit/archive"
	"receiver/internal/audit/verification"
	"receiver/internal/auditlog"
	"receiver/internal/config"
	"receiver/internal/encryption"
	"receiver/internal/publish"
	"receiver/internal/publish/conn"
	"receiver/internal/service/logs"
	"receiver/internal/verify"
)

// Progress shows how far work on something is: show is called now and then, finish at its end.
type Progress func(what string) (show func(done, total int64), finish func())

// VerifyOptions are what logs are verified with. All but From and Distrusted must be set.
type VerifyOptions struct {
	// Config names the keys that are believed, and no others, as those of the log and earlier ones.
	Config *config.Config
	// Distrusted is the configuration's audit section, if keys were given in place of its own.
	Distrusted *config.Audit
	// From are the first records that must be there, by stream; without one, the first that
	// neither age nor size has pushed out.
	From map[string]uint64
	// Sources are the signature keys of each source.
	Sources map[string]*verify.Verifier
	// Every, unless nil, has the signature keys of all sources instead.
	Every    *verify.Verifier
	Progress Progress
}

// Store is an opened store.
type Store struct {
	Bus    *publish.Store
	Live   bool     // others may be writing to it
	Damage []string // streams of a private copy that could not be read, and why
	Err    error    // why there is no Bus
}

// Verified is what a verification found, as machines get it.
type Verified struct {
	OK   bool           `json:"ok"`
	Logs []audit.Report `json:"logs"`
	// Faults are those that belong to no log: of the places that checkpoints are kept in,
	// and of a store that cannot be read.
	Faults []audit.Fault `json:"faults"`
	// Places are those whose checkpoints were compared.
	Places []anchor.Compared `json:"places"`
	// Outside is true if a place out of the receiver's own store and file has a signed checkpoint.
	// Without one, a rollback of both cannot be found.
	Outside bool `json:"outside"`
	// Gone are the fingerprints of keys that signatures could not be checked with.
	Gone []string `json:"keys_gone"`
	// Mended counts callbacks that were refused and would be accepted now.
	Mended int `json:"refused_but_right_now"`
	// Elsewhere counts signatures that were not checked because the body is kept outside of its
	// message and is not in the archive, Hidden those whose body is encrypted.
	Elsewhere int `json:"bodies_elsewhere"`
	Hidden    int `json:"encrypted"`
	// Gaps are sequences between those of several archives that none of them holds.
	Gaps []string `json:"gaps,omitempty"`
}

// verifying is one run.
type verifying struct {
	VerifyOptions
	checker *auditlog.Checker
	dates   *auditlog.Dates
	result  Verified
}

func newVerifying(o VerifyOptions, body func(audit.Record) ([]byte, error)) *verifying {
	v := &verifying{
		VerifyOptions: o, checker: auditlog.NewChecker(o.Sources, body), dates: logs.Dates(o.Config),
		result: Verified{Logs: []audit.Report{}, Faults: []audit.Fault{}, Places: []anchor.Compared{}},
	}
	v.checker.Every(o.Every)
	return v
}

// VerifyStore verifies the logs of a store. An unreadable record is a fault: nothing may pass
// without a check.
func VerifyStore(ctx context.Context, s Store, o VerifyOptions) (Verified, error) {
	v := newVerifying(o, storedBody(ctx, s.Bus))
	for _, place := range s.Damage {
		stream, what, _ := strings.Cut(place, ": ")
		v.fault(stream, errors.New(what))
	}
	if s.Err != nil {
		v.fault("store", s.Err)
		return v.done(), nil
	}
	kept, err := logs.Collect(ctx, o.Config, s.Bus)
	if err != nil {
		return Verified{}, err
	}
	v.trust(kept)
	lineage, err := logs.Trace(ctx, o.Config.Audit, s.Bus, kept)
	if err != nil {
		v.fault(conn.ActionsStream, err)
	}
	for _, stream := range logs.Streams {
		v.gone(s, stream, v.stream(ctx, s, o.Config.Audit, stream, kept, lineage.Earlier[stream]))
	}
	for _, l := range lineage.Apart {
		origin := logs.Origin(l.Config, l.Stream)
		if l.Abandoned != "" {
			v.result.Faults = append(v.result.Faults, audit.Fault{Stream: origin, Kind: audit.Abandoned, Detail: l.Abandoned})
		}
		v.gone(s, origin, v.stream(ctx, s, l.Config, l.Stream, kept, nil))
	}
	v.result.Faults = append(v.result.Faults, kept.Faults...)
	v.result.Places = kept.Places()
	return v.done(), ctx.Err()
}

// trust notes the keys that are believed and signed nothing, and those that are not and did.
func (v *verifying) trust(kept *anchor.Collection) {
	for _, origin := range logs.Idle(v.Config.Audit, kept) {
		v.result.Faults = append(v.result.Faults, audit.Fault{Stream: origin, Kind: audit.Missing, Detail: "no checkpoint of it by the key that was given is kept anywhere"})
	}
	if v.Distrusted == nil {
		return
	}
	for _, key := range logs.Strange(*v.Distrusted, v.Config.Audit, kept) {
		v.result.Faults = append(v.result.Faults, audit.Fault{
			Stream: key.Origin, Kind: audit.BadNote, Detail: key.Text + ", a key of the configuration, signed it, and is not among the keys given",
		})
	}
}

// VerifyArchive verifies an export folder, or all that are in a folder, or all archives in one,
// each with the newest checkpoints of the others.
func VerifyArchive(ctx context.Context, path string, c *encryption.Cipher, o VerifyOptions) (Verified, error) {
	given, err := logs.Given(o.Config.Audit)
	if err != nil {
		return Verified{}, err
	}
	archives, err := archive.OpenAll(path, logs.Streams)
	if err != nil {
		return Verified{}, err
	}
	var body func(audit.Record) ([]byte, error) // of a record of the archive that is verified
	v := newVerifying(o, func(r audit.Record) ([]byte, error) { return body(r) })
	v.dates.NoHub(false) // it may be of a hub
	earlier := archive.Earlier(archives)
	for _, a := range archives {
		bodies, err := archive.BodiesOf(a.Folders)
		if err != nil {
			return Verified{}, err
		}
		missing := auditlog.ErrElsewhere
		if bodies != nil { // then all were exported
			missing = errors.New("its body is not among those of the archive")
		}
		body = BodyAlone(c, bodies, missing)
		for _, origin := range archive.Absent(filepath.Join(path, a.Name), a.Folders, given) {
			v.result.Faults = append(v.result.Faults, audit.Fault{Stream: pathpkg.Join(a.Name, origin), Kind: audit.Missing, Detail: "the archive has no folder for it"})
		}
		for _, folder := range a.Folders {
			name := pathpkg.Join(a.Name, folder.Origin())
			drops := verification.Drops{Unknown: !strings.HasSuffix(folder.Origin(), "/"+conn.ActionsStream), Size: strings.HasSuffix(folder.Origin(), "/"+conn.AttemptsStream)}
			err := v.log(name, verification.Options{Kept: earlier[folder], Drops: &drops}, func(o verification.Options) (audit.Report, error) {
				keys, err := logs.ArchiveKeys(v.Config.Audit, v.Distrusted != nil, folder.Origin())
				if err != nil {
					return audit.Report{}, err
				}
				report, err := folder.Verify(ctx, keys, o)
				report.Archive = a.Name
				return report, err
			})
			if err != nil {
				v.fault(name, err)
			}
		}
	}
	for _, stream := range logs.Streams {
		if v.From[stream] == 0 {
			continue
		}
		for _, gap := range archive.Lacking(archives, stream, v.From[stream]) {
			v.result.Faults = append(v.result.Faults, audit.Fault{Stream: stream, Seq: gap.From, Kind: audit.Missing, Detail: fmt.Sprintf(
				"no archive says that it has the records from %d to %d, and from %d on they must be there", gap.From, gap.To, v.From[stream])})
		}
	}
	for _, gap := range archive.Gaps(archives) {
		v.result.Gaps = append(v.result.Gaps, fmt.Sprintf("%s %d to %d", gap.Origin, gap.From, gap.To))
	}
	return v.done(), ctx.Err()
}

// fault notes what cannot be read.
func (v *verifying) fault(where string, err error) {
	v.result.Faults = append(v.result.Faults, audit.Fault{Stream: where, Kind: audit.Unreadable, Detail: err.Error()})
}

// gone notes that a log could not be verified, or its stream is not there. That of a stream that is
// left out because it is damaged is noted already.
func (v *verifying) gone(s Store, where string, err error) {
	damaged := slices.ContainsFunc(s.Damage, func(place string) bool { return strings.HasPrefix(place, pathpkg.Base(where)+": ") })
	switch {
	case errors.Is(err, conn.ErrMissing) && !damaged:
		v.result.Faults = append(v.result.Faults, audit.Fault{Stream: where, Kind: audit.Missing, Detail: "the stream was removed, with all its records"})
	case err != nil && !damaged:
		v.fault(where, err)
	}
}

// stream verifies a log over one stream of a store: that of the configuration, which had earlier
// origins, or one that has ended.
func (v *verifying) stream(ctx context.Context, s Store, c config.Audit, stream string, kept *anchor.Collection, earlier []string) error {
	keys, err := logs.Keys(c, earlier...)
	if err != nil {
		return err
	}
	log, err := logs.Open(ctx, s.Bus, c, stream, keys)
	if err != nil {
		return err
	}
	contradictions := kept.Ask(ctx, "audit.anchors", log)
	extent, err := s.Bus.Extent(ctx, stream)
	if err != nil {
		return err
	}
	origin := logs.Origin(c, stream)
	o := verification.Options{Kept: kept.Of(origin), Earlier: earlier, Present: true, From: v.From[stream]}
	for _, origin := range earlier {
		o.Kept = append(slices.Clip(o.Kept), kept.Of(origin)...)
	}
	o.Sealings = kept.Sealings()
	o.Told = kept.Told(append(slices.Clip(earlier), origin)...)
	if o.From == 0 {
		expected := func(e publish.Extent) uint64 {
			sealedBefore := func(t time.Time) (size int64) {
				for _, origin := range append(slices.Clip(earlier), origin) {
					size = max(size, kept.SealedBefore(origin, t))
				}
				return size
			}
			return Limits(v.Config, stream).ExpectedFrom(e.First, e.Bytes, sealedBefore, time.Now())
		}
		o.From = expected(extent)
		o.Pushed = func(ctx context.Context) (uint64, error) {
			extent, err := s.Bus.Extent(ctx, stream)
			return expected(extent), err
		}
	}
	if stream == conn.AttemptsStream && extent.First <= 1 {
		v.dates.Whole()
	}
	o.Drops = drops(v.Config, stream, extent, v.From[stream])
	if s.Live { // it is being sealed meanwhile
		o.SealedBy = time.Now().Add(-2*v.Config.Audit.Interval - sealGrace)
	}
	if ended := logs.Base(c) != logs.Base(v.Config.Audit); ended { // what came later is in another log
		o.SealedBy = time.Unix(1, 0)
	}
	return v.log(stream, o, func(o verification.Options) (audit.Report, error) {
		r, err := verification.Verify(ctx, log, o)
		r.Faults = append(r.Faults, contradictions...)
		if first := v.From[stream]; first > max(extent.Last, uint64(r.Size)) && logs.Base(c) == logs.Base(v.Config.Audit) {
			r.Add(audit.Fault{Stream: stream, Seq: first, Kind: audit.Missing, Detail: "from it on records must be there, and the stream ends before"})
		}
		return r, err
	})
}

// sealGrace is how long a receiver that runs may take to seal a record beyond its interval:
// while callbacks come quickly it seals them half a minute behind, or a little more.
const sealGrace = 2 * time.Minute

// Limits are what the configuration lets push the oldest records out of a stream.
func Limits(cfg *config.Config, stream string) auditlog.Limits {
	switch stream {
	case conn.JobsStream:
		return auditlog.Limits{MaxAge: cfg.NATS.JobsMaxAge}
	case conn.AttemptsStream:
		return auditlog.Limits{MaxAge: cfg.NATS.AttemptsMaxAge, MaxBytes: uint64(cfg.NATS.AttemptsMaxBytes)}
	}
	return auditlog.Limits{}
}

// drops is what may have removed records of a stream before they were sealed.
func drops(cfg *config.Config, stream string, e publish.Extent, from uint64) *verification.Drops {
	l := Limits(cfg, stream)
	d := &verification.Drops{MaxAge: l.MaxAge, Size: l.Full(e.Bytes), Before: from}
	// A stream that was copied is younger than its records.
	if e.Oldest.IsZero() || !e.Oldest.Before(e.Created) {
		d.Created = e.Created
	}
	return d
}

// log verifies one log.
func (v *verifying) log(name string, o verification.Options, verify func(verification.Options) (audit.Report, error)) error {
	show, finish := v.Progress("verifying " + name)
	o.Reverify, o.Inspect, o.Progress = v.checker.Check, v.dates.Check, show
	report, err := verify(o)
	finish()
	if err == nil {
		report.Keys = logs.Texts(v.Config.Audit, report.Keys)
		v.result.Logs = append(v.result.Logs, report)
		if report.Size == 0 && strings.HasSuffix(report.Origin, "/"+conn.AttemptsStream) {
			v.dates.Whole()
		}
	}
	return err
}

// done completes the result.
func (v *verifying) done() Verified {
	r := v.result
	v.addLate(r.Logs)
	r.OK = len(r.Faults) == 0 && len(r.Logs) > 0
	for _, log := range r.Logs {
		r.OK = r.OK && log.OK()
	}
	r.Outside = slices.ContainsFunc(r.Places, func(p anchor.Compared) bool { return p.Outside() && len(p.Logs) > 0 })
	r.Gone, r.Mended, r.Hidden, r.Elsewhere = v.checker.Gone(), v.checker.Mended(), v.checker.Hidden(), v.checker.Elsewhere()
	return r
}

// addLate adds the events that arrived long before they were stored to the reports of their logs.
func (v *verifying) addLate(reports []audit.Report) {
	for _, f := range v.dates.Faults() {
		for i := range reports {
			if strings.HasSuffix(reports[i].Origin, "/"+f.Stream) {
				reports[i].Add(f)
			}
		}
	}
}
