package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"receiver/internal/callback"
	"receiver/internal/config"
	"receiver/internal/job"
	"receiver/internal/local"
	"receiver/internal/track"
	"receiver/internal/web"
)

func newSources(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "sources",
		Short:   "See how the configured sources stand with the platform",
		Example: "  receiver sources status",
	}
	cmd.AddCommand(newSourcesStatus(a))
	return cmd
}

func newSourcesStatus(a *app) *cobra.Command {
	var streams bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what the platform's patience with each source is at",
		Long: `status shows for each source when a callback was last answered 2xx, how many were not
since, when the platform should call again, and how often it still will before it gives
a callback up and may stop calling.

It asks the receiver that holds the store's folder, by a socket in that folder: no token
is sent, and nobody else can answer. With nats.mode: external it asks at private.address,
unless a token is needed there, for none is sent. Without an answer, or with --streams, it works that out from JOBS and ATTEMPTS: over all replicas, with the reasons
of refusals, but without what was answered 503 or 413, which no stream holds.`,
		Example: "  receiver sources status\n  receiver sources status --streams -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if !streams {
				report, err := askListener(cmd.Context(), cfg)
				if err == nil {
					return a.printSources(report)
				}
				if !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, fs.ErrNotExist) {
					a.say("the private listener did not answer: %v", err)
				}
				a.say("no receiver is asked: this is what the streams know")
			}
			report, err := a.readSources(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			return a.printSources(report)
		},
	}
	cmd.Flags().BoolVar(&streams, "streams", false, "read the streams, whether or not a receiver runs")
	return cmd
}

// sourcesReport is how the sources stand, and who says so.
type sourcesReport struct {
	// From is "listener" or "streams".
	From string `json:"from"`
	// Since is when the listener's process began to count.
	Since   time.Time      `json:"since,omitzero"`
	Sources []sourceReport `json:"sources"`
}

type sourceReport struct {
	web.SourceStatus
	// Refused counts refusals since the last 2xx by reason; only streams know.
	Refused map[string]int `json:"refusedSince,omitempty"`
}

const listenerTimeout = 3 * time.Second

// askListener asks the receiver that this configuration is of.
func askListener(ctx context.Context, cfg *config.Config) (sourcesReport, error) {
	ctx, cancel := context.WithTimeout(ctx, listenerTimeout)
	defer cancel()
	var said web.SourcesAnswer
	err := askPrivate(ctx, cfg, "/v1/sources", &said)
	if err != nil {
		return sourcesReport{}, err
	}
	if said.Since.IsZero() {
		return sourcesReport{}, errors.New("GET /v1/sources: the answer is not that of a receiver")
	}
	report := sourcesReport{From: "listener", Since: said.Since, Sources: []sourceReport{}}
	for _, s := range said.Sources {
		report.Sources = append(report.Sources, sourceReport{SourceStatus: s})
	}
	return report, nil
}

// askPrivate has the private listener of the receiver that this configuration is of answer a
// question. With a store of its own it is asked by the socket in the store's folder, which only
// who holds that can listen on. At an address nobody proves who they are, so no token goes there.
func askPrivate(ctx context.Context, cfg *config.Config, path string, answer any) error {
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
		return errors.New("it asks for a token, and none is sent to an address that cannot prove whose it is")
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

// reachable is a listener's address as this machine reaches it.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}

// readSources works out how the sources stand from the streams.
func (a *app) readSources(ctx context.Context, cfg *config.Config) (sourcesReport, error) {
	bus, done, err := a.read(ctx, cfg)
	if err != nil {
		return sourcesReport{}, err
	}
	defer done()
	receptions, patience := track.Receptions{}, callback.NewPatience()
	err = arrivalsByTime(ctx, bus, func(arrived job.Arrival) {
		receptions.Add(arrived)
		if arrived.Accepted() {
			patience.Answered(arrived.Source, []byte(arrived.Body), arrived.Received)
		} else if callback.TriesPatience(arrived.Verdict) {
			patience.Failed(arrived.Source, []byte(arrived.Body), arrived.Verdict, arrived.Received)
		}
	})
	report := sourcesReport{From: "streams", Sources: []sourceReport{}}
	for _, name := range names(cfg) {
		s := sourceReport{SourceStatus: web.SourceStatus{Name: name, Standing: patience.Standing(name, time.Now())}}
		for _, k := range cfg.Sources[name].SignatureKeys {
			s.Keys = append(s.Keys, web.KeyStatus{Name: k.Name, Fingerprint: k.Value.Fingerprint(), NotBefore: k.NotBefore, NotAfter: k.NotAfter})
		}
		if r := receptions[name]; r != nil {
			s.Refused = r.Refused
		}
		report.Sources = append(report.Sources, s)
	}
	return report, err
}

func (a *app) printSources(r sourcesReport) error {
	if a.output == "json" {
		return printJSON(a.out, r)
	}
	if !r.Since.IsZero() {
		a.say("counted by this receiver since %s; other replicas count their own", moment(r.Since))
	}
	rows := make([][]string, 0, len(r.Sources))
	for _, s := range r.Sources {
		rows = append(rows, []string{
			s.Name, moment(s.Accepted), fmt.Sprint(s.InARow), s.lastReason(), fmt.Sprint(s.Failing), moment(s.NextRetry),
			fmt.Sprint(s.AttemptsLeft), fmt.Sprint(s.GivenUp), s.refused(),
		})
	}
	return table(a.out, []string{
		"SOURCE", "LAST 2XX", "NOT 2XX SINCE", "REASON", "FAILING", "NEXT RETRY", "ATTEMPTS LEFT", "GIVEN UP", "REFUSED SINCE",
	}, rows)
}

func (s sourceReport) lastReason() string {
	if s.InARow == 0 {
		return "-"
	}
	return s.Reason
}

func (s sourceReport) refused() string {
	var parts []string
	for _, reason := range slices.Sorted(maps.Keys(s.Refused)) {
		parts = append(parts, fmt.Sprintf("%s %d", reason, s.Refused[reason]))
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}
