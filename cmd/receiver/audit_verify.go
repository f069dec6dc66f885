package main

import (
	"context"
	"errors"
	"io/fs"
	"runtime/debug"

	"github.com/spf13/cobra"

	"receiver/internal/cli"
	"receiver/internal/config"
	"receiver/internal/service"
	"receiver/internal/service/logs"
	"receiver/internal/service/records"
)

// verifyFlags are the flags of audit verify.
type verifyFlags struct {
	archiveFlags
	from     []string
	keyFiles []string // with signature keys, for an archive
}

// trustFlags say which keys of logs are believed.
type trustFlags struct {
	keys   []string
	config bool // the configured ones, too
}

func (f *trustFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.keys, "log-key", nil, "public `key` of a log to trust in place of the configured ones\n(repeatable)")
	cmd.Flags().BoolVar(&f.config, "trust-config", false, "trust the configured keys besides those of --log-key")
}

func newAuditVerify(a *app) *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Verify that no record was changed or removed",
		Long: `verify reads every record and compares it with the sealed logs. It verifies the tiles, compares
each checkpoint with all others, including those in the local file and at anchors, and verifies
each signature whose key is still configured. It names each wrong record and the error.

It reads through the running receiver. Without one it reads a private copy of the streams, and
changes nothing in the store's folder. With --export it needs no receiver, and with --log-key no
configuration; --signature-key-file has the signatures of all sources verified with these keys.
Of a folder with several archives each is verified, and compared with the others.

Records that a stream has removed by age or size are not reported, unless --from says that they
must be there. Records that were removed in any other way are reported, and so is every log over
these streams that a trusted key signed under another name and that was not continued.

With --log-key only the keys given are trusted, and a configured key that signed the logs and is not
among them is reported. Give the keys that you were handed before there was a dispute.

Exit codes: 0 nothing was changed; 1 something was changed; 2 wrong usage or configuration; 3 not
known, because the records could not be read.`,
		Example: "  receiver audit verify\n" +
			"  receiver audit verify --from JOBS/120000 -o json\n" +
			"  receiver audit verify --export archive/2026-11 \\\n" +
			"    --log-key receiver/eu-1/JOBS+b3caf33f+AQAB…",
		Args:        cobra.NoArgs,
		Annotations: map[string]string{cli.Question: "yes"},
		RunE:        func(cmd *cobra.Command, _ []string) error { return a.auditVerify(cmd.Context(), f) },
	}
	a.identityFlag(cmd)
	f.flags(cmd)
	everyFlag(cmd, &f.keyFiles)
	cmd.Flags().StringArrayVar(&f.from, "from", nil, "first `record` of a stream that must exist, such as JOBS/120000\n(repeatable)")
	return cmd
}

func (a *app) auditVerify(ctx context.Context, f verifyFlags) error {
	from := make(map[string]uint64)
	for _, text := range f.from {
		stream, seq, err := records.ParseID(text)
		if err != nil {
			return usagef("--from: %w", err)
		}
		from[stream] = seq
	}
	every, err := a.every(f.archiveFlags, f.keyFiles)
	if err != nil {
		return err
	}
	cfg, distrusted, err := a.believed(f.export, f.trustFlags)
	if err != nil {
		return err
	}
	sources, err := service.Verifiers(cfg, "")
	if err != nil {
		return err
	}
	// Records live for a moment only: collecting them less often is a quarter of the time.
	defer debug.SetGCPercent(debug.SetGCPercent(verifyGCPercent))
	o := records.VerifyOptions{Config: cfg, Distrusted: distrusted, From: from, Sources: sources, Every: every, Progress: a.show().Records}
	if f.export != "" {
		cipher, err := service.CipherOf(cfg)
		if err != nil {
			return err
		}
		found, err := records.VerifyArchive(ctx, f.export, cipher, o)
		return a.printVerified(found, err)
	}
	r, done, err := a.opener(cfg).Reading(ctx)
	if usage := new(usageError); errors.As(err, usage) || ctx.Err() != nil {
		return err
	}
	if err == nil {
		defer done()
	}
	found, err := records.VerifyStore(ctx, records.Store{Bus: r.Store, Live: r.Live, Damage: r.Damage, Err: err}, o)
	return a.printVerified(found, err)
}

const verifyGCPercent = 400

// believed returns the configuration with the keys that are believed, and its audit section as it
// was if they are not its own. An archive and its keys are enough on a machine without a receiver.
func (a *app) believed(export string, f trustFlags) (*config.Config, *config.Audit, error) {
	cfg, err := a.load()
	if errors.Is(err, fs.ErrNotExist) && a.config == "" && export != "" {
		none := config.Default()
		cfg, err = &none, a.useIdentity(&none)
	}
	if err != nil {
		return nil, nil, err
	}
	distrusted := logs.Believe(&cfg.Audit, f.keys, f.config)
	keys, err := logs.Given(cfg.Audit)
	if err == nil && len(keys.Log) == 0 {
		err = errNoLogKey
	}
	return cfg, distrusted, err
}

// printVerified prints what was found; anything wrong is the answer no.
func (a *app) printVerified(v records.Verified, err error) error {
	if err != nil {
		return err
	}
	if err := a.show().Verified(v); err != nil {
		return err
	}
	if !v.OK {
		return silentError{}
	}
	return nil
}
