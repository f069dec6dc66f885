package main

import (
	"fmt"

	"receiver/internal/config"
	"receiver/internal/submit"
)

// platform returns the client for a source.
func platform(name string, s config.Source) (*submit.Client, error) {
	version, _ := build()
	client, err := submit.New(submit.Options{
		Source: name, BaseURL: s.BaseURL, Hub: s.Hub,
		Element: s.ElementToken.Reveal(), User: s.UserSecret.Reveal(), Organization: s.OrganizationSecret.Reveal(),
		Timeout: s.Timeouts.Request, UploadTimeout: s.Timeouts.Upload, UserAgent: "receiver/" + version,
	})
	if err != nil {
		return nil, usagef("source %s: %w", name, err)
	}
	return client, nil
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

// callbackURL is the address given to the platform for the callbacks of a source.
func callbackURL(name string, s config.Source) (string, error) {
	if s.CallbackBaseURL == "" {
		return "", usagef("source %s has no callback_base_url: without it the platform cannot call back", name)
	}
	return fmt.Sprintf("%s/callbacks/%s", s.CallbackBaseURL, name), nil
}
