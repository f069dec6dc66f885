package logs

import (
	"cmp"
	"path/filepath"
	"slices"

	"receiver/internal/audit/anchor"
	"receiver/internal/config"
	"receiver/internal/publish/anchorstream"
	"receiver/internal/publish/conn"
)

// openAnchors wires the configured anchors; witnesses come first, so that the others get
// their cosignatures.
func (k *Keepers) openAnchors(cfg *config.Config) ([]anchor.Place, error) {
	var all []anchor.Place
	origin := func(stream string) string { return Origin(cfg.Audit, stream) }
	configured := slices.SortedStableFunc(slices.Values(cfg.Audit.Anchors), func(a, b config.Anchor) int {
		return cmp.Compare(b.Witness, a.Witness) // those with one first
	})
	for _, a := range configured {
		switch {
		case a.Witness != "":
			witness, err := anchor.NewWitness(a.Witness, a.Key, nil)
			if err != nil {
				return nil, config.UseErrorf("audit.anchors: %w", err)
			}
			all = append(all, anchor.AtWitness(origin, a.Witness, witness))
		case len(a.NATS.URLs) > 0:
			account, err := anchorstream.Dial(AnchorOptions(cfg, a.NATS))
			if err != nil {
				return nil, config.UseErrorf("audit.anchors: %w", err)
			}
			k.accounts = append(k.accounts, account)
			all = append(all, anchor.InAccount(Place(cfg.Audit), account, Streams...))
		default:
			all = append(all, anchor.InDir(origin, anchor.Dir{Path: cfg.Abs(a.Directory)}, Streams...))
		}
	}
	return all, nil
}

// Near returns the anchors that are folders below that of the configuration.
func Near(cfg *config.Config) (near []string) {
	for _, a := range cfg.Audit.Anchors {
		path := cfg.Abs(a.Directory)
		if below, err := filepath.Rel(cfg.Dir, path); path != "" && err == nil && filepath.IsLocal(below) {
			near = append(near, path)
		}
	}
	return near
}

// Unanchored warns of logs that no place outside has a word on.
func Unanchored(cfg *config.Config) []string {
	if cfg.Audit.Key.Empty() || len(cfg.Audit.Anchors) > 0 {
		return nil
	}
	return []string{"audit.anchors: is empty: to put back the store and audit.checkpoint_file together leaves no trace, and needs no key"}
}

// AnchorOptions is how to connect to an anchor in another NATS account.
func AnchorOptions(cfg *config.Config, n config.AnchorNATS) anchorstream.Options {
	return anchorstream.Options{External: Client(cfg, n.URLs, n.CredentialsFile, n.TLS), Stream: n.Stream, Subject: n.Subject}
}

// Client is how to connect to a NATS server with files that the configuration names.
func Client(cfg *config.Config, urls []string, credentials config.Path, t config.TLS) conn.External {
	return conn.External{
		URLs: urls, CredentialsFile: cfg.Abs(credentials),
		CAFile: cfg.Abs(t.CAFile), CertFile: cfg.Abs(t.CertFile), KeyFile: cfg.Abs(t.KeyFile),
	}
}
