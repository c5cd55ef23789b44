package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"midden/internal/config"
	"midden/internal/cowrie"
	"midden/internal/enrich"
	"midden/internal/enrich/abusech"
	"midden/internal/enrich/hashlookup"
	"midden/internal/enrich/source"
	"midden/internal/enrich/virustotal"
	"midden/internal/secret"
)

// keptForNew is the share of a day's requests that is left for files that were
// never asked about.
const keptForNew = 0.2

// Requests a minute to sources that ask for fair use and tell no limit.
const fairUse = 60

// sourceTitles are what people call the sources.
var sourceTitles = map[string]string{
	cowrie.SourceVirusTotal:    "VirusTotal",
	cowrie.SourceHashlookup:    "hashlookup",
	cowrie.SourceMalwareBazaar: "MalwareBazaar",
	cowrie.SourceURLhaus:       "URLhaus",
}

// errNoKey says how to give the key.
var errNoKey = errors.New(`there is no key of VirusTotal: set VT_API_KEY, or virustotal.key in the configuration to a reference such as "file:/etc/midden/virustotal.key"; see docs/configuration.md`)

// askings are the sources that the configuration names, and how they are asked:
// as the options say, where these do not differ.
func (a *app) askings(ctx context.Context, o enrich.Options) (list []enrich.Asking, err error) {
	if o.Ignore, err = a.ignored(); err != nil {
		return nil, err
	}
	if c := a.limits(); c.Minute < 0 || c.Day < 0 || c.Month < 0 {
		return nil, usage("%s: virustotal: a number of requests cannot be negative", a.config.Path)
	}
	o.Log, o.Now = a.log, time.Now
	add := func(s enrich.Source, o enrich.Options) { list = append(list, enrich.Asking{Source: s, Options: o}) }

	if c := a.config.Hashlookup; c.Use {
		client, err := hashlookup.NewClient(a.sourceOptions(c.BaseURL, secret.Secret{}))
		if err != nil {
			return nil, usage("%w", err)
		}
		o := o
		o.Account, o.Policy, o.Limits = client.Name(), enrich.ListPolicy(), fairLimits(c.PerMinute)
		o.Spares = []string{cowrie.SourceVirusTotal}
		add(client, o)
	}
	for _, s := range []struct {
		setting string
		config  config.Abusech
		client  func(source.Options) (enrich.Source, error)
	}{
		{"malwarebazaar.key", a.config.MalwareBazaar, func(o source.Options) (enrich.Source, error) { return abusech.NewMalwareBazaar(o) }},
		{"urlhaus.key", a.config.URLhaus, func(o source.Options) (enrich.Source, error) { return abusech.NewURLhaus(o) }},
	} {
		if s.config.Key == "" {
			continue
		}
		key, err := a.secret(ctx, s.setting, s.config.Key, false)
		if err != nil {
			return nil, err
		}
		client, err := s.client(a.sourceOptions(s.config.BaseURL, key))
		if err != nil {
			return nil, usage("%w", err)
		}
		o := o
		o.Account, o.Policy, o.Limits = client.Name()+" "+key.Fingerprint(), enrich.DefaultPolicy(), fairLimits(s.config.PerMinute)
		add(client, o)
	}
	client, account, err := a.virusTotal(ctx)
	if errors.Is(err, errNoKey) && len(list) > 0 {
		return list, nil
	}
	if err != nil {
		return nil, err
	}
	o.Account, o.Policy, o.Limits, o.KeptForNew = account, a.policy(), a.limits(), keptForNew
	add(client, o)
	return list, nil
}

// fairLimits are what a source is asked at the most that tells no limit.
func fairLimits(perMinute int64) cowrie.Limits {
	if perMinute <= 0 {
		perMinute = fairUse
	}
	return cowrie.Limits{Minute: perMinute}
}

// virusTotal returns who is asked, and what names the key in the ledger.
func (a *app) virusTotal(ctx context.Context) (client *virustotal.Client, account string, err error) {
	reference, from, plain := a.config.VirusTotal.Key, "virustotal.key", false
	if variable := os.Getenv("VT_API_KEY"); variable != "" {
		reference, from, plain = variable, "VT_API_KEY", true
	}
	if reference == "" {
		return nil, "", &exit{exitUsage, errNoKey}
	}
	key, err := a.secret(ctx, from, reference, plain)
	if err != nil {
		return nil, "", err
	}
	client, err = virustotal.NewClient(a.sourceOptions(a.config.VirusTotal.BaseURL, key))
	if err != nil {
		return nil, "", usage("%w", err)
	}
	return client, "virustotal " + key.Fingerprint(), nil
}

// secret returns what a reference stands for. from is the setting or the variable
// that has it; plain allows the secret itself.
func (a *app) secret(ctx context.Context, from, reference string, plain bool) (secret.Secret, error) {
	o := secret.Options{Getenv: os.Getenv, Note: func(text string) { a.log.Warn(text) }, AllowPlain: plain}
	if !plain && a.config.Path != "" {
		o.Dir = filepath.Dir(a.config.Path)
	}
	key, err := secret.Resolve(ctx, reference, o)
	if err != nil {
		return key, usage("%s: %w", from, err)
	}
	return source.NewKey(key.Reveal()), nil
}

func (a *app) sourceOptions(baseURL string, key secret.Secret) source.Options {
	return source.Options{BaseURL: baseURL, Key: key, UserAgent: "midden/" + Version}
}

// limits are those that the configuration asks for.
func (a *app) limits() cowrie.Limits {
	c := a.config.VirusTotal
	return cowrie.Limits{Minute: c.PerMinute, Day: c.PerDay, Month: c.PerMonth}
}

// policy is how long answers count: as the configuration says, or by default.
func (a *app) policy() enrich.Policy {
	p, c := enrich.DefaultPolicy(), a.config.VirusTotal.AskAgain
	for _, s := range []struct {
		of  *time.Duration
		say config.Span
	}{{&p.Young, c.Young}, {&p.YoungFor, c.YoungFor}, {&p.Malicious, c.Malicious}, {&p.MaliciousLater, c.MaliciousLater},
		{&p.LaterAfter, c.LaterAfter}, {&p.Other, c.Other}} {
		if s.say.Duration != 0 {
			*s.of = s.say.Duration
		}
	}
	if len(c.Unknown) > 0 {
		p.Unknown = nil
		for _, s := range c.Unknown {
			p.Unknown = append(p.Unknown, s.Duration)
		}
	}
	return p
}

func (a *app) ignored() (func(string) bool, error) {
	list := map[string]bool{}
	for _, text := range a.config.VirusTotal.Ignore {
		shasum, ok := cowrie.Shasum([]byte(text))
		if !ok {
			return nil, usage("%s: virustotal.ignore: %q is no SHA-256", a.config.Path, text)
		}
		list[shasum] = true
	}
	return func(shasum string) bool { return list[shasum] }, nil
}
