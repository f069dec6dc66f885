package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"receiver/api"
	"receiver/internal/config"
	"receiver/internal/local"
)

// listenerTimeout bounds how long an answer of a listener is waited for.
const listenerTimeout = 3 * time.Second

// askPrivate has the private listener of the receiver that this configuration is of answer a
// question. With a store of its own it is asked by the socket in the store's folder, which only
// who holds that can listen on. At an address nobody proves who they are, so no token goes there.
func askPrivate(ctx context.Context, cfg *config.Config, path string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, listenerTimeout)
	defer cancel()
	var client *http.Client
	var base string
	var err error
	switch {
	case cfg.NATS.Embeds():
		base = "http://folder"
		client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return local.Dial(ctx, cfg.Abs(cfg.NATS.Embedded.Folder))
		}}}
	case tokenNeeded(cfg):
		return errors.New("it requires a token, and no token is sent to an address that cannot prove its identity")
	default:
		if client, base, err = privateEntrance(cfg).client(); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return err
	}
	got, err := client.Do(request)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	if got.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, got.Status)
	}
	if err := json.NewDecoder(io.LimitReader(got.Body, 8<<20)).Decode(answer); err != nil {
		return fmt.Errorf("GET %s: the answer is not that of a receiver: %w", path, err)
	}
	return nil
}

// tokenNeeded says whether the private listener asks for a token.
func tokenNeeded(cfg *config.Config) bool {
	return tokensFound(cfg.Abs(cfg.Private.TokensFile)) || !cfg.Private.Token.Empty()
}

// TokenUses returns when tokens were last used, by name, as the receiver that runs here says;
// empty without an answer.
func TokenUses(ctx context.Context, cfg *config.Config) map[string]time.Time {
	used := map[string]time.Time{}
	var answer api.Tokens
	if askPrivate(ctx, cfg, "/v1/tokens", &answer) == nil {
		for _, t := range answer.Tokens {
			used[t.Name] = t.LastUsed
		}
	}
	return used
}
