package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"receiver/internal/verify"
)

func newVerify(a *app) *cobra.Command {
	var keyFile string
	var signatures []string
	cmd := &cobra.Command{
		Use:   "verify --key-file FILE --signature 'sha256=…' [BODY-FILE|-]",
		Short: "Judge a signature as the receiver would; exit 0 if accepted, 1 if not",
		Long: `verify judges the value of an Elements-Webhook-Signature header over the exact bytes of a
file, or of standard input, with the same code that judges callbacks. Give --signature
twice to see what two headers give. The verdict goes to standard output.`,
		Example: "  receiver verify --key-file signature.key --signature 'sha256=jHdb…' body.json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			secret, err := keyFrom(keyFile)
			if err != nil {
				return err
			}
			key, err := verify.NewKey(keyFile, secret, verify.Window{})
			if err != nil {
				return usageError{err}
			}
			verifier, err := verify.New(key)
			if err != nil {
				return err
			}
			body, err := a.readBody(args)
			if err != nil {
				return err
			}
			return a.printVerdict(verifier.Verify(signatures, body))
		},
	}
	cmd.Flags().StringVar(&keyFile, "key-file", "", "file with the signature key (required)")
	cmd.Flags().StringArrayVar(&signatures, "signature", nil, "value of the signature header; none means that it is missing")
	required(cmd, "key-file")
	return cmd
}

func (a *app) printVerdict(v verify.Verdict) error {
	var err error
	if a.output == "json" {
		out := map[string]any{"accepted": v.Accepted()}
		if v.Accepted() {
			out["key"], out["fingerprint"] = v.Key.Name(), v.Key.Fingerprint()
		} else {
			out["reason"] = v.Reason
		}
		err = json.NewEncoder(a.out).Encode(out)
	} else {
		_, err = fmt.Fprintln(a.out, v)
	}
	if err == nil && !v.Accepted() {
		return silentError{}
	}
	return err
}
