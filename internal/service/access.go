package service

import (
	"context"
	"fmt"
	std "log"
	"reflect"
	"runtime"
	"slices"
	"time"

	"receiver/internal/access"
	"receiver/internal/config"
	"receiver/internal/doctor"
	"receiver/internal/job"
	"receiver/internal/local"
	"receiver/internal/service/logs"
	"receiver/internal/watchfiles"
	"receiver/internal/web"
)

// openAccess reads the tokens of the private listener, and goes on reading them until ctx is
// done. A file with faults is one of the start.
func (in *Instance) openAccess(ctx context.Context) error {
	tokens, found, err := access.ReadFile(in.cfg.Abs(in.cfg.Private.TokensFile))
	if err != nil {
		return config.UseErrorf("private.tokens_file: %w; repair the file, or make a new one with `receiver tokens add`", err)
	}
	in.access = access.NewSet(in.cfg.Private.Token.Reveal(), in.cfg.Private.Rate, time.Now)
	in.access.Replace(tokens, found)
	in.tokensWatched = make(chan struct{})
	w := &tokenWatch{in: in, recorded: tokens}
	go func() {
		defer close(in.tokensWatched)
		w.run(ctx)
	}()
	return nil
}

// awaitTokens waits for the end of the reading, which a file system may hold up.
func (in *Instance) awaitTokens() {
	if in.tokensWatched == nil {
		return
	}
	select {
	case <-in.tokensWatched:
	case <-time.After(lastLook):
	}
}

// tokenWatch puts changes of the file of tokens into force, whatever the rest of the
// configuration is like.
type tokenWatch struct {
	in       *Instance
	recorded []access.Token // as ACTIONS knows them
	said     string         // what kept the last try from being done
}

func (w *tokenWatch) run(ctx context.Context) {
	path := w.in.cfg.Abs(w.in.cfg.Private.TokensFile)
	watchfiles.Watch(ctx, watchfiles.Watching{
		Files: []string{path},
		Changed: func(bool) ([]string, bool) {
			err := w.reread(ctx, path)
			if err == nil {
				w.said = ""
			} else if ctx.Err() == nil && err.Error() != w.said {
				w.said = err.Error()
				w.in.log.Error().Err(err).Msg("applying the tokens of the private listener failed and is tried again")
			}
			return []string{path}, err == nil
		},
	})
}

// reread puts what was taken away into force at once, and what was added when it is recorded.
func (w *tokenWatch) reread(ctx context.Context, path string) error {
	tokens, found, err := access.ReadFile(path)
	if err != nil {
		return err
	}
	set := w.in.access
	kept := without(tokens, without(tokens, set.Tokens()))
	set.Replace(kept, found)
	removed, added := without(w.recorded, tokens), without(tokens, w.recorded)
	if len(removed) > 0 || len(added) > 0 {
		bus := w.in.reached.Load()
		if bus == nil {
			return fmt.Errorf("NATS is not reached, so added tokens (%d) cannot be recorded and are not accepted yet; removed tokens are refused", len(added))
		}
		ctx, cancel := context.WithTimeout(ctx, w.in.cfg.Limits.PublishTimeout)
		defer cancel()
		if err := RecordAction(ctx, bus, job.Action{What: job.ActionTokens}, map[string]any{"added": describe(added), "removed": describe(removed)}); err != nil {
			return err
		}
		w.recorded = tokens
		w.in.log.Info().Int("tokens", len(tokens)).Strs("added", describe(added)).Strs("removed", describe(removed)).
			Msg("tokens of the private listener reloaded")
	}
	set.Replace(tokens, found)
	return nil
}

// without returns the tokens that are not among others exactly as they are.
func without(tokens, others []access.Token) []access.Token {
	return slices.DeleteFunc(slices.Clone(tokens), func(t access.Token) bool {
		return slices.ContainsFunc(others, func(o access.Token) bool { return reflect.DeepEqual(t, o) })
	})
}

// describe names tokens, with their scopes and the beginning of their digest.
func describe(tokens []access.Token) []string {
	all := []string{}
	for _, t := range tokens {
		all = append(all, fmt.Sprintf("%s %v sha256:%.8s", t.Name, t.Scopes, t.SHA256))
	}
	return all
}

// recordUse records what a token is used for.
func (in *Instance) recordUse(ctx context.Context, u web.Use) (uint64, error) {
	details := map[string]any{"token": u.Token, "remote": u.Remote, "route": u.Route, "request": u.Request}
	if u.Status != 0 {
		details["status"], details["of"] = u.Status, u.Of
	}
	ctx, cancel := context.WithTimeout(ctx, in.cfg.Limits.PublishTimeout)
	defer cancel()
	return actAt(ctx, in.bus, job.Action{What: job.ActionUse, Operator: "token " + u.Token}, details)
}

// openFolder opens the private listener to commands of the store's owner, by a socket in the
// store's folder. Without one they read the streams instead.
func (in *Instance) openFolder(private *openListener, errorLog *std.Logger) *openListener {
	if in.server == nil {
		return nil
	}
	ln, err := local.Listen(in.cfg.Abs(in.cfg.NATS.Embedded.Folder))
	if err != nil {
		in.log.Warn().Err(err).Msg("opening the socket for commands failed; commands on this machine read the streams instead")
		return nil
	}
	return serveListener(ln, nil, web.FromFolder(private.server.Handler), in.cfg.Limits, web.Bound{Most: connectionsOf(in.cfg).private}, errorLog)
}

// Odd says what is odd about the file of tokens and the anchors; what is wrong with it is an error.
func Odd(cfg *config.Config) (odd []string, err error) {
	odd = logs.Unanchored(cfg)
	path := cfg.Abs(cfg.Private.TokensFile)
	tokens, found, err := access.ReadFile(path)
	if err != nil {
		return nil, config.UseErrorf("private.tokens_file: %w", err)
	}
	if f := doctor.Stat(path, "the token file", true); found && f.Exposed() && runtime.GOOS != "windows" {
		odd = append(odd, fmt.Sprintf("private.tokens_file: %s can be read or written by users other than its owner (%v): set its mode with chmod 600", path, f.Mode.Perm()))
	}
	for _, name := range expired(tokens) {
		odd = append(odd, fmt.Sprintf("private.tokens_file: the token %s has expired; remove it with `receiver tokens remove %s`", name, name))
	}
	return odd, nil
}

// expired names the tokens that have ended.
func expired(tokens []access.Token) (names []string) {
	for _, t := range tokens {
		if t.Expired(time.Now()) {
			names = append(names, t.Name)
		}
	}
	return names
}

// tokensFound says whether there is a file of tokens.
func tokensFound(path string) bool {
	_, found, _ := access.ReadFile(path)
	return found
}
