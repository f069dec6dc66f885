package main

import (
	"receiver/internal/callback"
	"receiver/internal/config"
	"receiver/internal/submit"
)

// platform returns the client for a source.
func platform(name string, s config.Source) (*submit.Client, error) {
	client, err := submit.New(platformOptions(name, s))
	if err != nil {
		return nil, usagef("source %s: %w", name, err)
	}
	return client, nil
}

func platformOptions(name string, s config.Source) submit.Options {
	version, _ := build()
	return submit.Options{
		Source: name, BaseURL: s.BaseURL, Hub: s.Hub, Authorities: s.TLS.Authorities,
		Element: s.ElementToken.Reveal(), User: s.UserSecret.Reveal(), Organization: s.OrganizationSecret.Reveal(),
		Timeout: s.Timeouts.Request, UploadTimeout: s.Timeouts.Upload, UserAgent: "receiver/" + version,
	}
}

// client returns the client for the source that a command names.
func (a *app) client(sourceName string) (*submit.Client, string, *config.Config, error) {
	cfg, err := a.load()
	if err != nil {
		return nil, "", nil, err
	}
	name, s, err := source(cfg, sourceName)
	if err != nil {
		return nil, "", nil, err
	}
	client, err := platform(name, s)
	return client, name, cfg, err
}

// callbackURL is the address given to the platform for the callbacks of one
// submission. It ends in a token if there is a secret to make one with.
func callbackURL(cfg *config.Config, name, object, submission string) (string, error) {
	s := cfg.Sources[name]
	if s.CallbackBaseURL == "" {
		return "", usagef("source %s has no callback_base_url: without it the platform cannot call back", name)
	}
	address := s.CallbackBaseURL + "/callbacks/" + name
	maker, err := tokens(cfg)
	if err != nil || maker == nil || s.CallbackToken == config.TokenOff {
		return address, err
	}
	return address + "/" + maker.Make(callback.Grant{Source: name, Object: object, Submission: submission}), nil
}
