package records

import (
	"context"
	"errors"
	"fmt"
	pathpkg "path"
	"path/filepath"
	"strings"
	"time"

	"receiver/internal/audit"
	"receiver/internal/audit/anchor"
	"receiver/internal/audit/archive"
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

// VerifyOptions are what logs are verified with. All but From must be set.
type VerifyOptions struct {
	Config *config.Config
	Keys   audit.Keys
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
	// Gone are the fingerprints of keys that signatures could not be checked with.
	Gone []string `json:"keys_gone"`
	// Mended counts callbacks that were refused and would be accepted now.
	Mended int `json:"refused_but_right_now"`
	// Hidden counts signatures that were not checked because the body is encrypted.
	Hidden int `json:"encrypted"`
	// Gaps are sequences between those of several archives that none of them holds.
	Gaps []string `json:"gaps,omitempty"`
}

// verification is one run.
type verification struct {
	VerifyOptions
	checker *auditlog.Checker
	result  Verified
}

func newVerification(o VerifyOptions, body func(audit.Record) ([]byte, error)) *verification {
	v := &verification{
		VerifyOptions: o, checker: auditlog.NewChecker(o.Sources, body),
		result: Verified{Logs: []audit.Report{}, Faults: []audit.Fault{}},
	}
	v.checker.Every(o.Every)
	return v
}

// VerifyStore verifies the logs of a store. An unreadable record is a fault: nothing may pass
// without a check.
func VerifyStore(ctx context.Context, s Store, o VerifyOptions) (Verified, error) {
	v := newVerification(o, storedBody(ctx, s.Bus))
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
	v.result.Faults = append(v.result.Faults, kept.Faults...)
	for _, stream := range logs.Streams {
		if err := v.stream(ctx, s, stream, kept); err != nil {
			if ctx.Err() != nil {
				return Verified{}, err
			}
			v.fault(stream, err)
		}
	}
	return v.done(), nil
}

// VerifyArchive verifies an export folder, or all that are in a folder, or all archives in one,
// each with the newest checkpoints of the others.
func VerifyArchive(ctx context.Context, path string, c *encryption.Cipher, o VerifyOptions) (Verified, error) {
	v := newVerification(o, BodyAlone(c))
	archives, err := archive.OpenAll(path, logs.Streams)
	if err != nil {
		return Verified{}, err
	}
	earlier := archive.Earlier(archives)
	for _, a := range archives {
		for _, origin := range archive.Absent(filepath.Join(path, a.Name), a.Folders, o.Keys) {
			v.result.Faults = append(v.result.Faults, audit.Fault{Stream: pathpkg.Join(a.Name, origin), Kind: audit.Missing, Detail: "the archive has no folder for it"})
		}
		for _, folder := range a.Folders {
			name := pathpkg.Join(a.Name, folder.Origin())
			err := v.log(name, audit.VerifyOptions{Kept: earlier[folder]}, func(o audit.VerifyOptions) (audit.Report, error) {
				report, err := folder.Verify(ctx, v.Keys, o)
				report.Archive = a.Name
				return report, err
			})
			if err != nil {
				v.fault(name, err)
			}
		}
	}
	for _, gap := range archive.Gaps(archives) {
		v.result.Gaps = append(v.result.Gaps, fmt.Sprintf("%s %d to %d", gap.Origin, gap.From, gap.To))
	}
	return v.done(), ctx.Err()
}

// fault notes what cannot be read.
func (v *verification) fault(where string, err error) {
	v.result.Faults = append(v.result.Faults, audit.Fault{Stream: where, Kind: audit.Unreadable, Detail: err.Error()})
}

// stream verifies the log of one stream of a store.
func (v *verification) stream(ctx context.Context, s Store, stream string, kept *anchor.Collection) error {
	log, err := logs.Open(ctx, s.Bus, v.Config.Audit.Name, stream, v.Keys)
	if err != nil {
		return err
	}
	extent, err := s.Bus.Extent(ctx, stream)
	if err != nil {
		return err
	}
	origin := audit.Origin(v.Config.Audit.Name, stream)
	o := audit.VerifyOptions{Kept: kept.Of(origin), From: v.From[stream]}
	if o.From == 0 {
		expected := func(e publish.Extent) uint64 {
			sealedBefore := func(t time.Time) int64 { return kept.SealedBefore(origin, t) }
			return Limits(v.Config, stream).ExpectedFrom(e.First, e.Bytes, sealedBefore, time.Now())
		}
		o.From = expected(extent)
		o.Pushed = func(ctx context.Context) (uint64, error) {
			extent, err := s.Bus.Extent(ctx, stream)
			return expected(extent), err
		}
	}
	if s.Live { // it is being sealed meanwhile
		o.SealedBy = time.Now().Add(-2*v.Config.Audit.Interval - sealGrace)
	}
	return v.log(stream, o, func(o audit.VerifyOptions) (audit.Report, error) { return log.Verify(ctx, o) })
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

// log verifies one log.
func (v *verification) log(name string, o audit.VerifyOptions, verify func(audit.VerifyOptions) (audit.Report, error)) error {
	show, finish := v.Progress("verifying " + name)
	o.Reverify, o.Progress = v.checker.Check, show
	report, err := verify(o)
	finish()
	if err == nil {
		v.result.Logs = append(v.result.Logs, report)
	}
	return err
}

// done completes the result.
func (v *verification) done() Verified {
	r := v.result
	r.OK = len(r.Faults) == 0 && len(r.Logs) > 0
	for _, log := range r.Logs {
		r.OK = r.OK && log.OK()
	}
	r.Gone, r.Mended, r.Hidden = v.checker.Gone(), v.checker.Mended(), v.checker.Hidden()
	return r
}
