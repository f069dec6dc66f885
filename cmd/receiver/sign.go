package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/input"
	"receiver/internal/verify"
)

func newSign(a *app) *cobra.Command {
	var keyFile string
	cmd := &cobra.Command{
		Use:   "sign --key-file FILE [BODY-FILE|-]",
		Short: "Print the signature header that the platform would send for a body",
		Long: `sign prints the Elements-Webhook-Signature header for the exact bytes of a file or of standard
input. Use it to test a receiver: curl -H "$(receiver sign ...)" --data-binary @FILE URL.
One trailing newline of the key file is removed, as in the configuration.`,
		Example: "  receiver sign --key-file signature.key body.json\n" +
			"  printf '{\"id\":\"1\",\"status\":\"COMPLETED\"}' | receiver sign --key-file signature.key -",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := keyFrom(keyFile)
			if err != nil {
				return err
			}
			body, err := a.readBody(cmd.Context(), args)
			if err != nil {
				return err
			}
			// A tool for people; what is accepted is decided in internal/verify alone.
			mac := hmac.New(sha256.New, key)
			mac.Write(body)
			_, err = fmt.Fprintf(a.out, "%s: sha256=%s\n", verify.Header, base64.StdEncoding.EncodeToString(mac.Sum(nil)))
			return err
		},
	}
	cmd.Flags().StringVar(&keyFile, "key-file", "", "file with the signature key (required)")
	required(cmd, "key-file")
	return cmd
}

// keyFrom reads a key as the configuration would. With config.ErrFlawed the key is returned
// too.
func keyFrom(path string) ([]byte, error) {
	secret, err := config.ReadSecretFile(path)
	if err != nil {
		return secret.Bytes(), usagef("%w", err)
	}
	return secret.Bytes(), nil
}

// readBody reads the file that the argument names, or standard input.
func (a *app) readBody(ctx context.Context, args []string) ([]byte, error) {
	if len(args) == 0 || args[0] == "-" {
		body, err := io.ReadAll(a.in)
		if err != nil {
			return nil, fmt.Errorf("reading standard input: %w", err)
		}
		return body, nil
	}
	body, err := input.ReadAll(ctx, args[0])
	if err != nil {
		return nil, usagef("reading the input: %w", err)
	}
	return body, nil
}
