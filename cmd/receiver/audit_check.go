package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"receiver/internal/audit"
	"receiver/internal/audit/archive"
	"receiver/internal/audit/bundle"
	"receiver/internal/auditlog"
	"receiver/internal/cli"
	"receiver/internal/config"
	"receiver/internal/plain"
	"receiver/internal/service"
	"receiver/internal/service/records"
	"receiver/internal/verify"
)

// checkFlags are the flags of audit check.
type checkFlags struct {
	logKeys, witnessKeys []string
	witnesses            int // that must have cosigned; 0 for all
	keyFiles, bodies     []string
}

func newAuditCheck(a *app) *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check BUNDLE|-",
		Short: "Check a bundle of records offline",
		Long: `check needs only the bundle and the public key of the log: no receiver, no network and no
configuration. It proves that the records were in the log when the checkpoint was signed.

With --signature-key-file it also proves their origin: the sender of the callback had that key.
Without it, the origin is only asserted by the receiver. Each record gets one conclusion, which
docs/evidence.md explains ("Check 7"). An encrypted body must be decrypted for that: give
--identity-file. A body that the bundle does not contain must be given with --body. All witnesses of
--witness-key must have cosigned, or --witnesses many.

Exit codes: 0 the bundle is proved; 1 it is not; 2 wrong usage; 3 it is in the log, but the origin
of a record is not known, because its body is encrypted or not in the bundle.`,
		Example: "  receiver audit check bundle.json --log-key receiver/eu-1/JOBS+b3caf33f+AQAB…\n" +
			"  receiver audit check bundle.json --log-key receiver/eu-1/JOBS+b3caf33f+AQAB… \\\n" +
			"    --signature-key-file crm.key",
		Args:        cobra.ExactArgs(1),
		Annotations: map[string]string{cli.Question: "yes"},
		RunE:        func(cmd *cobra.Command, args []string) error { return a.auditCheck(cmd.Context(), args, f) },
	}
	cmd.Flags().StringArrayVar(&f.logKeys, "log-key", nil, "public `key` of the log, from audit keys (required, repeatable)")
	cmd.Flags().StringArrayVar(&f.witnessKeys, "witness-key", nil, "public `key` of a witness that must have cosigned (repeatable)")
	cmd.Flags().IntVar(&f.witnesses, "witnesses", 0, "least `number` of them that must have cosigned (default all)")
	a.identityFlag(cmd)
	cmd.Flags().StringArrayVar(&f.keyFiles, "signature-key-file", nil, "`file` with a key that signed the callbacks (repeatable)")
	cmd.Flags().StringArrayVar(&f.bodies, "body", nil, "`file` with a body that is not in the bundle, or a folder of\nthem from audit prove --bodies (repeatable)")
	required(cmd, "log-key")
	return cmd
}

func (a *app) auditCheck(ctx context.Context, args []string, f checkFlags) error {
	keys, err := audit.ParseKeys(f.logKeys, f.witnessKeys)
	if err != nil {
		return usagef("%w", err)
	}
	if f.witnesses < 0 || f.witnesses > len(f.witnessKeys) {
		return usagef("--witnesses %d: give as many witnesses with --witness-key", f.witnesses)
	}
	data, err := a.readBody(ctx, args)
	if err != nil {
		return err
	}
	bodies, err := archive.OpenBodies(f.bodies...)
	if err != nil {
		return usagef("--body: %w", err)
	}
	o, err := a.origin(f.keyFiles, bodies)
	if err != nil {
		return err
	}
	proof, err := bundle.Parse(data)
	if err != nil {
		return a.notProved(err)
	}
	checked, err := proof.Check(keys, o.Reverify())
	if err == nil {
		err = checked.Checkpoint.Witnessed(keys.Witnesses, f.witnesses)
	}
	if err != nil {
		return a.notProved(err)
	}
	if unused := bodies.Unused(); len(unused) > 0 {
		return a.notProved(fmt.Errorf("%s is not a body that a record of the bundle names", unused[0]))
	}
	if err := a.show().Checked(proof, checked, o); err != nil {
		return err
	}
	if err := o.Unknown(); err != nil {
		return unknownf("%w", err)
	}
	return nil
}

// notProved is the answer no.
func (a *app) notProved(why error) error {
	var err error
	if a.output == "json" {
		err = printJSON(a.out, map[string]any{"proved": false, "why": why.Error()})
	} else {
		err = plain.Paint(a.out, plain.Red, "NOT PROVED")
		fmt.Fprintf(a.out, ": %s\n", printable(why.Error()))
	}
	return errors.Join(err, silentError{})
}

// origin is what proves who made the bodies of a bundle: signature keys, and what decrypts.
func (a *app) origin(keyFiles []string, bodies *archive.Bodies) (*auditlog.Origin, error) {
	none := config.Default()
	if err := a.useIdentity(&none); err != nil {
		return nil, err
	}
	v, err := service.CipherOf(&none)
	o := &auditlog.Origin{Body: records.BodyAlone(v, bodies, auditlog.ErrElsewhere)}
	if err != nil || len(keyFiles) == 0 {
		return o, err
	}
	keys := make([]*verify.Key, 0, len(keyFiles))
	for _, file := range keyFiles {
		secret, err := keyFrom(file)
		if err != nil {
			return nil, err
		}
		key, err := verify.NewKey(file, secret, verify.Window{})
		if err != nil {
			return nil, usagef("%w", err)
		}
		keys = append(keys, key)
	}
	o.Verifier, err = verify.New(keys...)
	return o, err
}

func everyFlag(cmd *cobra.Command, files *[]string) {
	cmd.Flags().StringArrayVar(files, "signature-key-file", nil, "with --export: `file` with a key that signed the callbacks\n(repeatable)")
}

// every are the keys that all sources of an archive are checked with; nil if none is given.
func (a *app) every(f archiveFlags, keyFiles []string) (*verify.Verifier, error) {
	if f.export == "" && len(keyFiles) > 0 {
		return nil, usagef("--signature-key-file needs --export; the streams are verified with the keys of the configuration")
	}
	o, err := a.origin(keyFiles, nil)
	if err != nil {
		return nil, err
	}
	return o.Verifier, nil
}
