package reach

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"receiver/internal/config"
)

// Health returns how the receiver of a configuration serves on this machine, or why it does not:
// a listener does not answer /healthz, or, if ready is asked, /readyz is not 200. A listener at
// systemd:name is left out, because only systemd knows its address.
//
// If /readyz requires a token, and there is no folder of a store by which to ask without, the
// answers to /healthz decide.
func Health(ctx context.Context, cfg *config.Config, ready bool) (string, error) {
	var said struct {
		Message string `json:"message"`
	}
	text, names := "", []string{"public", "private"}
	for i, l := range []Listener{Public(cfg), Private(cfg)} {
		if strings.HasPrefix(l.Address, config.SystemdPrefix) {
			continue
		}
		if err := l.ask(ctx, "/healthz", &said); err != nil {
			return "", fmt.Errorf("the %s listener at %s does not answer: %w", names[i], l.Address, err)
		}
		text = "it answers"
	}
	if !ready && text != "" {
		return text, nil
	}
	err := Ask(ctx, cfg, "/readyz", &said)
	switch {
	case err == nil:
		return said.Message, nil
	case errors.Is(err, errToken) && text != "":
		return text + "; it is unknown whether it is ready, because /readyz requires a token", nil
	}
	return "", fmt.Errorf("the receiver is not ready, or does not answer: %w", err)
}
