package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"receiver/internal/cli"
	"receiver/internal/config"
	"receiver/internal/diagnose"
	"receiver/internal/publish"
	"receiver/internal/service"
	"receiver/internal/service/records"
	"receiver/internal/verify"
)

// verifyCommand is the flags of verify.
type verifyCommand struct {
	keyFile, source  string
	signatures       []string
	explain, history bool
}

func newVerify(a *app) *cobra.Command {
	var v verifyCommand
	cmd := &cobra.Command{
		Use:   "verify {--key-file FILE | --source NAME} --signature 'sha256=…' [BODY-FILE|-]",
		Short: "Verify a signature as the receiver would",
		Long: `verify checks the value of an Elements-Webhook-Signature header against the exact bytes of a file
or of standard input, with the code that verifies callbacks. It prints the verdict. The keys are
those of --source in the configuration, or the key in --key-file. Give --signature twice to test
a request with two signature headers.

With --explain it says why a signature is refused: it searches for common mistakes with encoding,
hash, key and body, alone or in pairs, that produce exactly this signature. With --source it also
tries the configured keys of all sources, and with --history it compares the newest callbacks in
the streams. The verdict and the exit code stay the same. Keys and correct signatures are never
printed.

Exit codes: 0 accepted; 1 refused; 2 wrong usage or configuration; 3 not known.`,
		Example: "  receiver verify --key-file signature.key --signature 'sha256=jHdb…' body.json\n" +
			"  receiver verify --explain --source crm --history --signature 'sha256=jHdb…' body.json",
		Args:        cobra.MaximumNArgs(1),
		Annotations: map[string]string{cli.Question: "yes"},
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			return v.check(cmd)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return v.run(cmd.Context(), a, args)
		},
	}
	cmd.Flags().StringVar(&v.keyFile, "key-file", "", "file with the signature key")
	cmd.Flags().StringVar(&v.source, "source", "", "configured source with the keys; with --key-file,\nonly --explain uses them")
	cmd.Flags().StringArrayVar(&v.signatures, "signature", nil, "value of the signature header (default: no header)")
	cmd.Flags().BoolVar(&v.explain, "explain", false, "say why the signature is refused")
	cmd.Flags().BoolVar(&v.history, "history", false, "compare with the newest callbacks of --source in the streams")
	return cmd
}

func (v *verifyCommand) check(cmd *cobra.Command) error {
	switch {
	case v.keyFile == "" && v.source == "":
		return usagef("--key-file or --source is required; see `%s --help`", cmd.CommandPath())
	case v.history && (!v.explain || v.source == ""):
		return usagef("--history needs --explain and --source; see `%s --help`", cmd.CommandPath())
	case v.keyFile != "" && v.source != "" && !v.explain:
		return usagef("--key-file and --source can be combined only with --explain; see `%s --help`", cmd.CommandPath())
	}
	return nil
}

func (v *verifyCommand) run(ctx context.Context, a *app, args []string) error {
	q := diagnose.Question{Values: v.signatures}
	var judge *verify.Verifier
	var cfg *config.Config
	var err error
	if v.source != "" {
		if cfg, judge, err = v.bySource(a, &q); err != nil {
			return err
		}
	}
	if v.keyFile != "" {
		if judge, err = v.byFile(a, &q); err != nil {
			return err
		}
	}
	if q.Body, err = a.readBody(ctx, args); err != nil {
		return err
	}
	verdict := judge.Verify(q.Values, q.Body)
	var found []diagnose.Finding
	if v.history {
		if err := a.openStore(ctx, cfg, service.Opener.Read, func(store *publish.Store) (err error) {
			q.Earlier, err = records.Earlier(ctx, store, v.source)
			return err
		}); err != nil {
			return err
		}
	}
	if v.explain {
		found = diagnose.Explain(q)
	}
	if err := a.show().Verdict(verdict, found); err != nil || verdict.Accepted() {
		return err
	}
	return silentError{}
}

// bySource takes the keys from the configuration.
func (v *verifyCommand) bySource(a *app, q *diagnose.Question) (*config.Config, *verify.Verifier, error) {
	cfg, err := a.load()
	if err != nil {
		return nil, nil, err
	}
	name, s, err := source(cfg, v.source)
	if err != nil {
		return nil, nil, err
	}
	q.Keys, q.Others = service.KeyCandidates(cfg, name)
	judge, err := service.Verifier(s)
	return cfg, judge, err
}

// byFile takes the key from a file; what was configured are others then.
func (v *verifyCommand) byFile(a *app, q *diagnose.Question) (*verify.Verifier, error) {
	secret, err := keyFrom(v.keyFile)
	if v.explain && errors.Is(err, config.ErrFlawed) {
		a.say("warning: %v", err) // what that makes of a signature is what is asked for
		err = nil
	}
	if err != nil {
		return nil, err
	}
	key, err := verify.NewKey(v.keyFile, secret, verify.Window{})
	if err != nil {
		return nil, usagef("%w", err)
	}
	q.Others = append(q.Keys, q.Others...)
	q.Keys = []diagnose.Candidate{diagnose.NewCandidate("", v.keyFile, secret)}
	return verify.New(key)
}
