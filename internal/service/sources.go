package service

import (
	"context"
	"fmt"

	"receiver/internal/callback"
	"receiver/internal/config"
	"receiver/internal/poll"
)

// sources makes what callbacks are judged by out of the configuration, but for the tokens,
// which are those of the start.
func (in *Instance) sources(cfg *config.Config) ([]callback.Source, error) {
	all := make([]callback.Source, 0, len(cfg.Sources))
	for name, s := range cfg.Sources {
		v, err := Verifier(s)
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", name, err)
		}
		if s.CallbackToken == config.TokenRequired && in.tokens == nil {
			return nil, fmt.Errorf("source %s: callback_token: required needs the new token_secret; restart the receiver", name)
		}
		source := callback.Source{
			Name: name, Verifier: v, TokenRequired: s.CallbackToken == config.TokenRequired,
			Username: s.BasicAuth.Username.Reveal(), Password: s.BasicAuth.Password.Reveal(),
			Expected: in.watcher.Expected(name), Quarantine: s.UnexpectedJobs == config.UnexpectedQuarantine,
			Confirm: in.watcher.Confirm(name, poll.Confirm(s.Confirm)),
			Submission: func(ctx context.Context, id string) (string, bool, error) {
				return in.bus.Submission(ctx, name, id)
			},
		}
		if s.CallbackToken != config.TokenOff {
			source.Tokens = in.tokens
		}
		all = append(all, source)
	}
	return all, nil
}
