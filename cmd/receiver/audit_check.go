package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/audit"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/trail"
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
		Short: "Check a bundle offline; exit 0 if it proves what it says, 1 if not",
		Long: `check needs nothing but the bundle and the public key of the log: no receiver, no network,
no configuration. It proves that the records stood in the log when the checkpoint was
signed. With the signature key it proves their origin too: that whoever sent the
callback had that key. Without it, origin is the receiver's word. A body that is encrypted
has to be decrypted for that, with --identity-file.`,
		Example: "  receiver audit check bundle.json --log-key receiver/eu-1/JOBS+b3caf33f+AQAB…\n" +
			"  receiver audit check bundle.json --log-key receiver/eu-1/JOBS+b3caf33f+AQAB… --signature-key-file crm.key",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.auditCheck(args[0], f) },
	}
	cmd.Flags().StringArrayVar(&f.logKeys, "log-key", nil, "public key of the log, as audit keys prints it (required, repeatable)")
	cmd.Flags().StringArrayVar(&f.witnessKeys, "witness-key", nil, "verifier key of a witness whose cosignature is verified (repeatable)")
	a.identityFlag(cmd)
	cmd.Flags().StringArrayVar(&f.keyFiles, "signature-key-file", nil, "file with a signature key that the callbacks were signed with (repeatable)")
	required(cmd, "log-key")
	return cmd
}

func (a *app) auditCheck(path string, f checkFlags) error {
	keys, err := audit.ParseKeys(f.logKeys, f.witnessKeys)
	if err != nil {
		return usageError{err}
	}
	data, err := a.readBundle(path)
	if err != nil {
		return err
	}
	o, err := a.origin(f.keyFiles)
	if err != nil {
		return err
	}
	bundle, err := audit.ParseBundle(data)
	if err != nil {
		return a.notProved(err)
	}
	checked, err := bundle.Check(keys, o.reverify())
	if err != nil {
		return a.notProved(err)
	}
	return a.printChecked(bundle, checked, o)
}

func (a *app) readBundle(path string) ([]byte, error) {
	if path == "-" {
		data, err := io.ReadAll(a.in)
		if err != nil {
			return nil, fmt.Errorf("reading standard input: %w", err)
		}
		return data, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, usagef("reading the bundle: %w", err)
	}
	return data, nil
}

// notProved is the answer no.
func (a *app) notProved(why error) error {
	var err error
	if a.output == "json" {
		err = printJSON(a.out, map[string]any{"proved": false, "why": why.Error()})
	} else {
		_, err = fmt.Fprintf(a.out, "NOT PROVED: %s\n", printable(why.Error()))
	}
	return errors.Join(err, silentError{})
}

// origin is what proves who made the bodies of a bundle: signature keys, and what decrypts.
type origin struct {
	verifier *verify.Verifier // nil without a key
	body     func(audit.Record) ([]byte, error)
	hidden   int // signatures not checked because the body is encrypted
}

func (a *app) origin(keyFiles []string) (*origin, error) {
	none := config.Default()
	if err := a.useIdentity(&none); err != nil {
		return nil, err
	}
	v, err := veilOf(&none)
	if err != nil || len(keyFiles) == 0 {
		return &origin{}, err
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
	return &origin{verifier: verifier, body: bodyOf(v)}, err
}

// reverify returns what checks that every signature that is said to be right was made with
// one of the keys; nil without a key.
func (o *origin) reverify() func(audit.Record) error {
	if o.verifier == nil {
		return nil
	}
	return func(r audit.Record) error {
		claim, err := job.ReadClaim(r.Subject, r.Header)
		if err != nil || claim.Fingerprint == "" {
			return audit.ErrNotChecked // nothing says that a key made a signature
		}
		checker := trail.NewChecker(map[string]*verify.Verifier{claim.Source: o.verifier}, o.body)
		err = checker.Check(r)
		o.hidden += checker.Hidden()
		if errors.Is(err, audit.ErrNotChecked) && len(checker.Gone()) > 0 {
			return fmt.Errorf("it names key %s, which is not among those given", claim.Fingerprint)
		}
		return err
	}
}

// text says how the origin of so many records stands, c of which were checked.
func (o *origin) text(records int, c audit.Checked) string {
	if o.verifier == nil {
		return "not checked: give --signature-key-file"
	}
	text := fmt.Sprintf("%s signed with the given key, %d that nobody says to be signed", counted(c.Reverified, "record"), records-c.Reverified-o.hidden)
	if o.hidden > 0 {
		text += fmt.Sprintf(", %d not checked: the body is encrypted, give --identity-file with a key for it", o.hidden)
	}
	return text
}

func (a *app) printChecked(b audit.Bundle, c audit.Checked, o *origin) error {
	records := make([]trail.Entry, 0, len(b.Entries))
	for _, e := range b.Entries {
		entry, ok := trail.Read(e.Record)
		if !ok {
			entry = trail.Entry{ID: fmt.Sprintf("%s/%d", e.Stream, e.Seq), Stream: e.Stream, Sequence: e.Seq, Stored: e.Time.UTC()}
		}
		records = append(records, entry)
	}
	if a.output == "json" {
		return printJSON(a.out, map[string]any{
			"proved": true, "checkpoint": checkpointJSON(c.Checkpoint), "records": records,
			"origin_proved": c.Reverified, "origin_not_checked": len(b.Entries) - c.Reverified, "encrypted": o.hidden,
		})
	}
	rows := make([][]string, 0, len(records))
	for _, e := range records {
		rows = append(rows, entryRow(e))
	}
	fmt.Fprintf(a.out, "PROVED: %s stood in %s when its checkpoint of size %d was signed\n",
		counted(len(records), "record"), printable(c.Checkpoint.Origin), c.Checkpoint.Tree.N)
	for _, s := range c.Checkpoint.Cosignatures {
		fmt.Fprintf(a.out, "cosigned by %s at %s\n", printable(s.Witness), s.Time.UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(a.out, "origin: %s\n\n", o.text(len(records), c))
	return table(a.out, []string{"ID", "RECEIVED", "SOURCE", "VERDICT", "REASON", "JOB", "REMOTE", "KEY", "BODY"}, rows)
}
