package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/config"
	"receiver/internal/track"
)

// longestRetry is when the platform's last retry comes, by the page that has it latest.
//
// OC: section 6.4.
const longestRetry = 73 * time.Hour

func newKeysRetire(a *app) *cobra.Command {
	var sourceName string
	var span time.Duration
	cmd := &cobra.Command{
		Use:   "retire KEY",
		Short: "Say whether a signature key can be removed; exit 1 if not",
		Long: `retire says whether a key, given by name or fingerprint, can be taken out of the
configuration without refusing a callback. It changes nothing.

It can if the key verified nothing for --when-unused, another key of the source did
since, and the streams reach back that far. The platform's last retry of a callback
comes up to 73 hours after the first attempt (9.5 in a newer page of its manual), and
whether it signs retries anew is not documented: the default is that and a day.`,
		Example: "  receiver keys retire key-2025\n" +
			"  receiver keys retire --source crm --when-unused 120h sha256:fdef0e6f",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if span <= 0 {
				return usagef("--when-unused %v is not above 0", span)
			}
			cfg, err := a.load()
			if err != nil {
				return err
			}
			key, err := findKey(cfg, sourceName, args[0])
			if err != nil {
				return err
			}
			if span < longestRetry {
				a.say("note: the platform may repeat a callback for up to %v; --when-unused %v does not wait for that", longestRetry, span)
			}
			keys, reach, err := a.keyUse(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			answer, err := keys.Retire(key.Source, key.Fingerprint, span, reach, time.Now())
			if err != nil {
				return err
			}
			return a.printRetirement(cfg, answer)
		},
	}
	cmd.Flags().StringVar(&sourceName, "source", "", "configured source (may be left out if the key is of one only)")
	cmd.Flags().DurationVar(&span, "when-unused", track.RetrySpan, "how long it must have verified nothing")
	return cmd
}

// findKey returns the one configured key of that name or fingerprint.
func findKey(cfg *config.Config, source, key string) (track.Key, error) {
	var found, all []string
	var one track.Key
	for _, k := range configuredKeys(cfg) {
		if source != "" && k.Source != source {
			continue
		}
		full := k.Source + "/" + k.Name
		all = append(all, full)
		if key == k.Name || key == k.Fingerprint || key == full {
			found, one = append(found, full), k
		}
	}
	switch {
	case len(found) == 1:
		return one, nil
	case len(found) > 1:
		return one, usagef("%q is one of %s; which?", key, strings.Join(found, ", "))
	case len(all) > 0:
		return one, usagef("%s configures no key %q; there is: %s", cfg.File, key, strings.Join(all, ", "))
	case source != "":
		return one, usagef("%s configures no source %q", cfg.File, source)
	}
	return one, usagef("%s configures no source", cfg.File)
}

func (a *app) printRetirement(cfg *config.Config, r track.Retirement) error {
	place := ""
	if r.Safe {
		place = keyPlace(cfg, r.Source, r.Name)
	}
	if a.output == "json" {
		if err := printJSON(a.out, struct {
			track.Retirement
			Remove string `json:"remove,omitempty"`
		}{r, place}); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(a.out, "%s/%s %s: %s; %s\n", r.Source, r.Name, r.Fingerprint, printable(r.Why), advice(r, place))
	}
	if !r.Safe {
		return silentError{}
	}
	return nil
}

func advice(r track.Retirement, place string) string {
	switch {
	case r.Safe:
		return "safe to remove: " + place
	case r.SafeAt.IsZero():
		return "not safe to remove"
	}
	return "safe not before " + moment(r.SafeAt)
}
