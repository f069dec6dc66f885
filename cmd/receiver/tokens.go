package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/access"
	"receiver/internal/web"
)

func newTokens(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tokens",
		Short: "Make and remove the bearer tokens of the private listener",
		Long: `tokens keeps the file private.tokens_file: the name, the scopes, the end and the SHA-256 of
each token, never a token itself. A receiver that runs reads it again within three seconds
of a change, and records in ACTIONS what was added and removed. With several receivers,
each reads its own copy: bring the file to all of them as you do the configuration.

Scopes stand side by side; none includes another:
  read    /readyz, /metrics, /v1/sources
  audit   /v1/callbacks, /v1/log and what is beneath them
  admin   /v1/verify/explain, /v1/tokens
  submit  nothing so far

private.token opens all of it, under the name config.`,
		Example: "  receiver tokens add prometheus --scope read\n  receiver tokens list\n  receiver tokens remove prometheus",
	}
	cmd.AddCommand(newTokensAdd(a), newTokensList(a), newTokensRemove(a))
	return cmd
}

// tokensFlags name the file.
type tokensFlags struct{ file string }

func (f *tokensFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "file", "", "the file of tokens, for a configuration that is not valid yet (default private.tokens_file)")
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
		Short: "Make a token, and print it this once",
		Long: `add makes a token of 256 random bits, writes its SHA-256 into the file of tokens, and
prints the token. It cannot be printed again. From the first one on, the private listener
asks everybody for a token, also on loopback.`,
		Example: "  receiver tokens add prometheus --scope read\n  receiver tokens add audit-team --scope read,audit --expires 90d",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			now := time.Now().UTC().Truncate(time.Second)
			end, err := expiry(expires, now)
			if err != nil {
				return err
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
			err = access.Change(path, func(all []access.Token) ([]access.Token, error) {
				if slices.ContainsFunc(all, func(t access.Token) bool { return t.Name == token.Name }) {
					return nil, fmt.Errorf("there is a token %q already; `receiver tokens remove %s` first, or take another name", token.Name, token.Name)
				}
				return append(all, token), nil
			})
			if err != nil {
				return err
			}
			if a.output == "json" {
				return printJSON(a.out, struct {
					access.Token
					Secret string `json:"token"`
				}{token, secret})
			}
			a.say("written to %s; this is the only time that the token is shown. Send it as Authorization: Bearer …", path)
			_, err = fmt.Fprintln(a.out, secret)
			return err
		},
	}
	f.flags(cmd)
	cmd.Flags().StringSliceVar(&scopes, "scope", nil, "what it opens: submit (nothing so far), read, audit, admin; several with commas")
	cmd.Flags().StringVar(&expires, "expires", "", "how long it is valid, such as 12h or 90d (default for ever)")
	return cmd
}

// expiry is when a token made now ends.
func expiry(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		d = time.Duration(min(n, 36500)) * 24 * time.Hour
	}
	if err != nil || d < time.Second {
		return time.Time{}, usagef("--expires %q is no time from now, such as 12h or 90d", text)
	}
	return now.Add(d), nil
}

func newTokensList(a *app) *cobra.Command {
	var f tokensFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the tokens, without the tokens themselves",
		Long: `list shows what the file of tokens holds. LAST USED is since the receiver that holds the
store's folder here started; with nats.mode: external, or where none runs, it is not known:
ask each receiver's metric receiver_private_token_last_used_timestamp_seconds.`,
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
			return a.printTokens(all, a.tokenUses(cmd.Context(), f.file))
		},
	}
	f.flags(cmd)
	return cmd
}

// tokenUses asks the receiver that runs here when tokens were used. Without an answer, or
// for a file that is named by hand, none was.
func (a *app) tokenUses(ctx context.Context, file string) map[string]time.Time {
	used := map[string]time.Time{}
	if file != "" {
		return used
	}
	cfg, err := a.load()
	if err != nil {
		return used
	}
	ctx, cancel := context.WithTimeout(ctx, listenerTimeout)
	defer cancel()
	var said web.TokensAnswer
	if askPrivate(ctx, cfg, "/v1/tokens", &said) == nil {
		for _, t := range said.Tokens {
			used[t.Name] = t.LastUsed
		}
	}
	return used
}

// tokenRow is a token as list shows it.
type tokenRow struct {
	Name     string         `json:"name"`
	Scopes   []access.Scope `json:"scopes"`
	Made     time.Time      `json:"made,omitzero"`
	Expires  time.Time      `json:"expires,omitzero"`
	Expired  bool           `json:"expired"`
	LastUsed time.Time      `json:"lastUsed,omitzero"`
}

func (a *app) printTokens(all []access.Token, used map[string]time.Time) error {
	shown, rows := []tokenRow{}, [][]string{}
	for _, t := range all {
		r := tokenRow{t.Name, t.Scopes, t.Made, t.Expires, t.Expired(time.Now()), used[t.Name]}
		shown = append(shown, r)
		end := moment(t.Expires)
		if r.Expired {
			end += " (expired)"
		}
		rows = append(rows, []string{t.Name, strings.Trim(fmt.Sprint(t.Scopes), "[]"), moment(t.Made), end, moment(r.LastUsed)})
	}
	if a.output == "json" {
		return printJSON(a.out, shown)
	}
	return table(a.out, []string{"NAME", "SCOPES", "MADE", "EXPIRES", "LAST USED"}, rows)
}

func newTokensRemove(a *app) *cobra.Command {
	var f tokensFlags
	cmd := &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a token, so that it is refused",
		Long: `remove takes a token out of the file of tokens. Every receiver that has this file refuses
the token within three seconds, whether NATS is reached or not. When the last one is gone
the private listener still asks for a token; to have it open on loopback again, remove the
file and start the receiver again.`,
		Example: "  receiver tokens remove prometheus",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := f.path(a)
			if err != nil {
				return err
			}
			err = access.Change(path, func(all []access.Token) ([]access.Token, error) {
				var there []string
				for _, t := range all {
					there = append(there, t.Name)
				}
				if !slices.Contains(there, args[0]) {
					return nil, fmt.Errorf("there is no token %q in %s; there is: %s", args[0], path, strings.Join(there, ", "))
				}
				return slices.DeleteFunc(all, func(t access.Token) bool { return t.Name == args[0] }), nil
			})
			if err == nil {
				a.say("removed from %s; receivers that have this file refuse it within three seconds", path)
			}
			return err
		},
	}
	f.flags(cmd)
	return cmd
}
