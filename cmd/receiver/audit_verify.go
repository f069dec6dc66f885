package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/trail"
)

// verifyFlags are the flags of audit verify.
type verifyFlags struct {
	export  string
	logKeys []string
	from    []string
}

func newAuditVerify(a *app) *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Find out whether anything was changed; exit 0 if not, 1 if so",
		Long: `verify reads every record and compares it with what was sealed; it proves the tiles,
checks every checkpoint there is against all others, those in the local file and at
anchors included, and every signature whose key is still configured. It names each
record that is wrong, and how.

It goes through the receiver that runs. When none does it reads a private copy of its
streams, and changes nothing in the folder. With --export it needs no receiver at all.
What age or size have pushed out of a stream is not missed; what was removed otherwise
is, unless --from says from where on records must be there.`,
		Example: "  receiver audit verify\n" +
			"  receiver audit verify --from JOBS/120000 -o json\n" +
			"  receiver audit verify --export archive/2026-11 --log-key receiver/eu-1/JOBS+b3caf33f+AQAB…",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.auditVerify(cmd.Context(), f) },
	}
	a.identityFlag(cmd)
	cmd.Flags().StringVar(&f.export, "export", "", "verify this folder, which audit export wrote, instead of the streams")
	cmd.Flags().StringArrayVar(&f.logKeys, "log-key", nil, "public key of a log that is believed besides the configured ones (repeatable)")
	cmd.Flags().StringArrayVar(&f.from, "from", nil, "first record of a stream that must be there, such as JOBS/120000 (repeatable)")
	return cmd
}

func (a *app) auditVerify(ctx context.Context, f verifyFlags) error {
	from, err := fromFlags(f.from)
	if err != nil {
		return err
	}
	cfg, keys, err := a.believed(f.export, f.logKeys)
	if err != nil {
		return err
	}
	// Records live for a moment only: collecting them less often is a quarter of the time.
	defer debug.SetGCPercent(debug.SetGCPercent(verifyGCPercent))
	v := &verification{app: a, cfg: cfg, keys: keys, from: from, result: verified{Logs: []audit.Report{}, Faults: []audit.Fault{}}}
	if f.export != "" {
		err = v.exported(ctx, f.export)
	} else {
		err = v.streams(ctx)
	}
	if err != nil {
		return err
	}
	return v.tell()
}

const verifyGCPercent = 400

// believed returns the configuration and the keys that are believed: those in it and those
// given. An archive and its keys are enough on a machine that knows no receiver.
func (a *app) believed(export string, logKeys []string) (*config.Config, audit.Keys, error) {
	cfg, err := a.load()
	if errors.Is(err, fs.ErrNotExist) && a.config == "" && export != "" && len(logKeys) > 0 {
		none := config.Default()
		cfg, err = &none, a.useIdentity(&none)
	}
	if err != nil {
		return nil, audit.Keys{}, err
	}
	cfg.Audit.VerifierKeys = append(cfg.Audit.VerifierKeys, logKeys...)
	keys, err := auditKeys(cfg.Audit)
	if err == nil && len(keys.Log) == 0 {
		err = errNoLogKey
	}
	return cfg, keys, err
}

// verification is one run of audit verify.
type verification struct {
	*app
	cfg     *config.Config
	keys    audit.Keys
	from    map[string]uint64
	checker *trail.Checker
	result  verified
}

// verified is what a run found, as machines get it.
type verified struct {
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
}

func (v *verification) fault(where string, kind audit.Kind, err error) {
	v.result.Faults = append(v.result.Faults, audit.Fault{Stream: where, Kind: kind, Detail: err.Error()})
}

// streams verifies the logs of the store. What cannot be read is a fault: nothing that was
// not looked at may pass.
func (v *verification) streams(ctx context.Context) error {
	r, done, err := v.reading(ctx, v.cfg)
	for _, place := range r.damage {
		stream, what, _ := strings.Cut(place, ": ")
		v.fault(stream, audit.Unreadable, errors.New(what))
	}
	if usage := new(usageError); errors.As(err, usage) || ctx.Err() != nil {
		return err
	}
	if err != nil {
		v.fault("store", audit.Unreadable, err)
		return nil
	}
	defer done()
	if v.checker, err = newChecker(v.cfg, bodies(ctx, r.bus)); err != nil {
		return err
	}
	kept, err := gatherKept(ctx, v.cfg, r.bus)
	if err != nil {
		return err
	}
	v.result.Faults = append(v.result.Faults, kept.faults...)
	for _, stream := range sealedStreams {
		if err := v.stream(ctx, r, stream, kept); err != nil {
			if ctx.Err() != nil {
				return err
			}
			v.fault(stream, audit.Unreadable, err)
		}
	}
	return nil
}

func (v *verification) stream(ctx context.Context, r reading, stream string, kept *keptCheckpoints) error {
	log, err := openLog(ctx, r.bus, v.cfg.Audit.Name, stream, v.keys)
	if err != nil {
		return err
	}
	extent, err := r.bus.Extent(ctx, stream)
	if err != nil {
		return err
	}
	o := audit.VerifyOptions{
		Kept: kept.kept[audit.Origin(v.cfg.Audit.Name, stream)], From: v.from[stream], Reverify: v.checker.Check,
	}
	if o.From == 0 {
		o.From = expectedFrom(v.cfg, stream, extent, kept, time.Now())
		o.Pushed = func(ctx context.Context) (uint64, error) {
			extent, err := r.bus.Extent(ctx, stream)
			return expectedFrom(v.cfg, stream, extent, kept, time.Now()), err
		}
	}
	if r.live { // it is being sealed while we look
		o.SealedBy = time.Now().Add(-2*v.cfg.Audit.Interval - sealGrace)
	}
	return v.verify(stream, &o, func() (audit.Report, error) { return log.Verify(ctx, o) })
}

// sealGrace is how long a receiver that runs may take to seal a record beyond its interval:
// while callbacks come quickly it seals them half a minute behind, or a little more.
const sealGrace = 2 * time.Minute

// verify runs one verification with a progress bar.
func (v *verification) verify(name string, o *audit.VerifyOptions, run func() (audit.Report, error)) error {
	bar := v.counter("verifying "+name, "records")
	o.Progress = func(done, total int64) {
		bar.ChangeMax64(max(total, 1))
		_ = bar.Set64(done)
	}
	report, err := run()
	_ = bar.Finish()
	if err != nil {
		return err
	}
	v.result.Logs = append(v.result.Logs, report)
	return nil
}

// exported verifies an export folder, or all that are in a folder.
func (v *verification) exported(ctx context.Context, path string) (err error) {
	hidden, err := veilOf(v.cfg)
	if err != nil {
		return err
	}
	if v.checker, err = newChecker(v.cfg, bodyOf(hidden)); err != nil {
		return err
	}
	folders, err := exportFolders(path)
	if err != nil {
		return err
	}
	for _, origin := range absentLogs(path, folders, v.keys) {
		v.fault(origin, audit.Missing, errors.New("the archive has no folder of it"))
	}
	for _, folder := range folders {
		o := audit.VerifyOptions{Reverify: v.checker.Check}
		err := v.verify(folder.Origin(), &o, func() (audit.Report, error) { return folder.Verify(ctx, v.keys, o) })
		if err != nil {
			v.fault(folder.Origin(), audit.Unreadable, err)
		}
	}
	return ctx.Err()
}

// tell prints what was found; anything wrong is the answer no.
func (v *verification) tell() error {
	v.result.OK = len(v.result.Faults) == 0 && len(v.result.Logs) > 0
	for _, r := range v.result.Logs {
		v.result.OK = v.result.OK && r.OK()
	}
	if v.checker != nil {
		v.result.Gone, v.result.Mended, v.result.Hidden = v.checker.Gone(), v.checker.Mended(), v.checker.Hidden()
	}
	print := v.table
	if v.output == "json" {
		print = func() error { return printJSON(v.out, v.result) }
	}
	if err := print(); err != nil {
		return err
	}
	v.hint()
	if !v.result.OK {
		return silentError{}
	}
	return nil
}

func (v *verification) table() error {
	rows := make([][]string, 0, len(v.result.Logs))
	for _, r := range v.result.Logs {
		verdict := "intact"
		if n := len(r.Faults) + r.Omitted; !r.OK() {
			verdict = counted(n, "fault")
		}
		rows = append(rows, []string{
			r.Origin, verdict, fmt.Sprint(r.From), fmt.Sprint(r.To), fmt.Sprint(r.Size), fmt.Sprint(r.Records), fmt.Sprint(r.Absent), fmt.Sprint(r.Outside), fmt.Sprint(r.Unsealed),
			fmt.Sprint(r.Reverified), fmt.Sprint(r.NotChecked), fmt.Sprint(r.Checkpoints),
		})
	}
	head := []string{"LOG", "VERDICT", "FROM", "TO", "LEAVES", "RECORDS", "ABSENT", "OUTSIDE", "UNSEALED", "SIGNATURES", "UNCHECKED", "CHECKPOINTS"}
	if len(rows) > 0 {
		if err := table(v.out, head, rows); err != nil {
			return err
		}
	}
	for _, f := range v.result.Faults {
		fmt.Fprintln(v.out, printable(f.String()))
	}
	for _, r := range v.result.Logs {
		for _, f := range r.Faults {
			fmt.Fprintln(v.out, printable(f.String()))
		}
		if r.Omitted > 0 {
			fmt.Fprintf(v.out, "%s: and %d more\n", r.Origin, r.Omitted)
		}
	}
	return nil
}

// hint says what the figures do not.
func (v *verification) hint() {
	if len(v.result.Gone) > 0 {
		v.say("signatures by keys that are no longer configured were not checked: %s", printable(strings.Join(v.result.Gone, ", ")))
	}
	if v.result.Hidden > 0 {
		v.say("%d signatures were not checked, because the bodies are encrypted and there is no identity for them; "+
			"give --identity-file, or set encryption.identity", v.result.Hidden)
	}
	if v.result.Mended > 0 {
		v.say("%d refused callbacks are right by a key that is configured now; see `receiver audit reverify`", v.result.Mended)
	}
	if !v.result.OK {
		v.say("docs/evidence.md tells what each fault means and what to do")
	}
}
