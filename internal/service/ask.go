package service

import (
	"context"
	"time"

	"receiver/api"
	"receiver/internal/config"
	"receiver/internal/service/reach"
)

// TokenUses returns when tokens were last used, by name, as the receiver that runs here says;
// empty without an answer.
func TokenUses(ctx context.Context, cfg *config.Config) map[string]time.Time {
	used := map[string]time.Time{}
	var answer api.Tokens
	if reach.Ask(ctx, cfg, "/v1/tokens", &answer) == nil {
		for _, t := range answer.Tokens {
			used[t.Name] = t.LastUsed
		}
	}
	return used
}
