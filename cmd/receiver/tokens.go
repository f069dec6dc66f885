package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/access"
	"receiver/internal/service"
)

func newTokens(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tokens",
		Short: "Manage the bearer tokens of the private listener",
		Long: `The file private.tokens_file holds the name, the scopes, the expiry and the SHA-256 of each token,
never a token itself. A running receiver reads the file within three seconds of a change, and
records in the stream ACTIONS which tokens were added and removed. Each of several receivers
reads its own copy: distribute the file as you do the configuration.

No scope includes another:
  submit  submits and cancels jobs, and has them polled
  read    all GET operations but those of audit and admin
  audit   /v1/callbacks, /v1/log and the paths below them
  admin   /v1/verify/explain, /v1/tokens, release and replay
docs/api.md lists all operations.

The token in private.token has all scopes and the name config.`,
		Example: "  receiver tokens add prometheus --scope read\n  receiver tokens list\n  receiver tokens remove prometheus",
	}
	cmd.AddCommand(newTokensAdd(a), newTokensList(a), newTokensRemove(a))
	return cmd
}

// tokensFlags name the file.
type tokensFlags struct{ file string }

func (f *tokensFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "file", "", "token file, if the configuration is not valid yet\n(default: private.tokens_file)")
}

func (f *tokensFlags) path(a *app) (string, error) {
	if f.file != "" {
		return f.file, nil
	}
	cfg, err := a.load()
	if err != nil {
		return "", err
	}
	return cfg.Abs(cfg.Private.TokensFile), nil
}

func newTokensAdd(a *app) *cobra.Command {
	var f tokensFlags
	var scopes []string
	var expires string
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Make a token and print it once",
		Long: `add makes a token of 256 random bits, writes its SHA-256 to the token file, and prints the
token. It cannot be printed again. As soon as there is a token, the private listener requires
one from every client, on loopback too.`,
		Example: "  receiver tokens add prometheus --scope read\n  receiver tokens add audit-team --scope read,audit --expires 90d",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			now := time.Now().UTC().Truncate(time.Second)
			end, err := access.Expiry(expires, now)
			if err != nil {
				return usagef("--expires %w", err)
			}
			var of []access.Scope
			for _, s := range scopes {
				of = append(of, access.Scope(s))
			}
			secret, token, err := access.New(args[0], of, now, end)
			if err != nil {
				return usagef("%w", err)
			}
			path, err := f.path(a)
			if err != nil {
				return err
			}
			if err := access.Add(path, token); err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(a.out, struct {
					access.Token
					Secret string `json:"token"`
				}{token, secret})
			}
			a.say("written to %s; the token is not shown again. Send it as Authorization: Bearer …", path)
			_, err = fmt.Fprintln(a.out, secret)
			return err
		},
	}
	f.flags(cmd)
	cmd.Flags().StringSliceVar(&scopes, "scope", nil, "scopes, separated by commas: read, audit, admin, submit")
	cmd.Flags().StringVar(&expires, "expires", "", "validity, such as 12h or 90d (default: no expiry)")
	return cmd
}

func newTokensList(a *app) *cobra.Command {
	var f tokensFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the tokens without their secrets",
		Long: `list shows the entries of the token file. LAST USED counts from the start of the receiver that
holds the store's folder on this machine. With nats.mode: external, or without a running
receiver, it is unknown; each receiver has it as a metric:
receiver_private_token_last_used_timestamp_seconds.`,
		Example: "  receiver tokens list\n  receiver tokens list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := f.path(a)
			if err != nil {
				return err
			}
			all, _, err := access.ReadFile(path)
			if err != nil {
				return err
			}
			var used map[string]time.Time
			if cfg, err := a.load(); err == nil && f.file == "" {
				used = service.TokenUses(cmd.Context(), cfg)
			}
			return a.show().Tokens(all, used)
		},
	}
	f.flags(cmd)
	return cmd
}

func newTokensRemove(a *app) *cobra.Command {
	var f tokensFlags
	cmd := &cobra.Command{
		Use:     "remove NAME",
		Aliases: []string{"revoke"},
		Short:   "Remove a token, so that it is refused",
		Long: `remove deletes a token from the token file. Each receiver with this file refuses the token within
three seconds, even if it cannot reach NATS. After the last token is removed, the private listener
still requires one. To open it on loopback again, delete the file and restart the receiver.`,
		Example: "  receiver tokens remove prometheus",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := f.path(a)
			if err != nil {
				return err
			}
			if err := access.Remove(path, args[0]); err != nil {
				return err
			}
			a.say("removed from %s; receivers that have this file refuse it within three seconds", path)
			return nil
		},
	}
	f.flags(cmd)
	return cmd
}
