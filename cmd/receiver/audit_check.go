package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"receiver/internal/audit"
	"receiver/internal/audit/bundle"
	"receiver/internal/auditlog"
	"receiver/internal/config"
	"receiver/internal/plain"
	"receiver/internal/service"
	"receiver/internal/service/records"
	"receiver/internal/verify"
)

// checkFlags are the flags of audit check.
type checkFlags struct {
	logKeys, witnessKeys []string
	keyFiles             []string
}

func newAuditCheck(a *app) *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check BUNDLE|-",
		Short: "Check a bundle of records offline",
		Long: `check needs only the bundle and the public key of the log: no receiver, no network and no
configuration. It proves that the records were in the log when the checkpoint was signed.

With --signature-key-file it also proves their origin: the sender of the callback had that key.
Without it, the origin is only asserted by the receiver. An encrypted body must be decrypted for
that: give --identity-file.

Exit codes: 0 the bundle is proved; 1 it is not; 2 wrong usage; 3 not known.`,
		Example: "  receiver audit check bundle.json --log-key receiver/eu-1/JOBS+b3caf33f+AQAB…\n" +
			"  receiver audit check bundle.json --log-key receiver/eu-1/JOBS+b3caf33f+AQAB… \\\n" +
			"    --signature-key-file crm.key",
		Args:        cobra.ExactArgs(1),
		Annotations: map[string]string{question: "yes"},
		RunE:        func(cmd *cobra.Command, args []string) error { return a.auditCheck(cmd.Context(), args, f) },
	}
	cmd.Flags().StringArrayVar(&f.logKeys, "log-key", nil, "public `key` of the log, from audit keys (required, repeatable)")
	cmd.Flags().StringArrayVar(&f.witnessKeys, "witness-key", nil, "public `key` of a witness whose cosignature to verify\n(repeatable)")
	a.identityFlag(cmd)
	cmd.Flags().StringArrayVar(&f.keyFiles, "signature-key-file", nil, "`file` with a key that signed the callbacks (repeatable)")
	required(cmd, "log-key")
	return cmd
}

func (a *app) auditCheck(ctx context.Context, args []string, f checkFlags) error {
	keys, err := audit.ParseKeys(f.logKeys, f.witnessKeys)
	if err != nil {
		return usageError{err}
	}
	data, err := a.readBody(ctx, args)
	if err != nil {
		return err
	}
	o, err := a.origin(f.keyFiles)
	if err != nil {
		return err
	}
	proof, err := bundle.Parse(data)
	if err != nil {
		return a.notProved(err)
	}
	checked, err := proof.Check(keys, o.Reverify())
	if err != nil {
		return a.notProved(err)
	}
	return a.show().Checked(proof, checked, o)
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
func (a *app) origin(keyFiles []string) (*auditlog.Origin, error) {
	none := config.Default()
	if err := a.useIdentity(&none); err != nil {
		return nil, err
	}
	v, err := service.CipherOf(&none)
	if err != nil || len(keyFiles) == 0 {
		return &auditlog.Origin{}, err
	}
	keys := make([]*verify.Key, 0, len(keyFiles))
	for _, file := range keyFiles {
		secret, err := keyFrom(file)
		if err != nil {
			return nil, err
		}
		key, err := verify.NewKey(file, secret, verify.Window{})
		if err != nil {
			return nil, usageError{err}
		}
		keys = append(keys, key)
	}
	verifier, err := verify.New(keys...)
	return &auditlog.Origin{Verifier: verifier, Body: records.BodyAlone(v)}, err
}
