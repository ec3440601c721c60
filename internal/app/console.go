package app

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/handlers"
	"kycbridge/internal/archive"
	"kycbridge/internal/console"
	"kycbridge/internal/rest"
	"kycbridge/publisher"
)

// newConsole creates the operators' console.
func (a *App) newConsole() *console.Console {
	return console.New(console.Options{
		Tokens:   func() []kycbridge.AdminToken { return a.holders().Tokens },
		Access:   accessLog{a},
		Accounts: a.consoleAccounts,
		Archive:  a.openArchive,
		Listener: listening{a.system},
		Day:      a.day,
		Version:  a.version,
		Logger:   a.log,

		ObserveStranger: func() { a.metrics.stranger(strangerAtConsole) },
	})
}

// openArchive returns the stored-payload tool, or ErrUnavailable until the bus is connected.
func (a *App) openArchive() (*archive.Archive, error) {
	if a.bus.Load() == nil {
		return nil, fmt.Errorf("read what is stored: %w: the bus has not been reached yet", kycbridge.ErrUnavailable)
	}
	return a.Archive(), nil
}

// consoleAccounts are the accounts in use without their secrets.
func (a *App) consoleAccounts() []console.Account {
	var all []console.Account
	for _, c := range a.live.Load().config.Accounts {
		key := kycbridge.AccountKey{Provider: c.Provider, Account: c.Name}
		all = append(all, console.Account{
			Provider:    c.Provider,
			Name:        c.Name,
			Environment: c.Environment,
			Address:     a.callbackURL(key),
			Credentials: c.Auth.credentialNames(),
			API:         len(c.API) > 0,
			Limit:       c.Limits.words(),
		})
	}
	return all
}

// callbackURL is the address for a provider's callbacks; without public_url only the path is known.
func (a *App) callbackURL(key kycbridge.AccountKey) string {
	path := "/webhooks/" + key.Provider + "/" + key.Account
	whole, err := url.JoinPath(a.config.PublicURL, path)
	if err != nil || a.config.PublicURL == "" {
		return "https://(your public_url)" + path
	}
	return whole
}

// credentialNames lists the configured kinds of callback credentials, with their configuration keys.
func (a Auth) credentialNames() (kinds []string) {
	for _, kind := range []struct {
		name string
		n    int
	}{
		{"HTTP Basic (auth.basic)", len(a.Basic)},
		{"a bearer token (auth.bearer)", len(a.Bearer)},
		{"a header (auth.headers)", len(a.Headers)},
		{"a signature (auth.hmac)", len(a.HMAC.Secrets)},
		{"a callback key (auth.keys)", len(a.Keys)},
		{"a token in the address (auth.url_tokens)", len(a.URLTokens)},
		{"an OAuth 2 access token (auth.oauth2)", len(a.OAuth2.Clients)},
		{"a client certificate (auth.client_certs)", len(a.ClientCerts)},
	} {
		if kind.n > 0 {
			kinds = append(kinds, kind.name)
		}
	}
	return kinds
}

// words describes the limits of calls.
func (l Limits) words() string {
	var words []string
	if l.RequestsPerSecond > 0 {
		words = append(words, fmt.Sprintf("%g calls a second at most", l.RequestsPerSecond))
	}
	concurrency := l.Concurrency
	if concurrency <= 0 {
		concurrency = rest.DefaultConcurrency
	}
	return strings.Join(append(words, fmt.Sprintf("%d at once", concurrency)), ", ")
}

// listening subscribes to events over a separate connection, so that a slow console delays no other subscriber.
type listening struct{ *system }

// Listen passes events as they are published until ctx ends.
func (l listening) Listen(ctx context.Context, each func(kycbridge.PublishedEvent), missed func(int)) error {
	opening, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	connection, err := l.connect(opening, "console", l.config.Bus)
	if err != nil {
		return err
	}
	defer connection.Close()
	return publisher.NewListener(connection).Listen(ctx, l.names(), each, missed)
}

// received counts an answered callback, for Prometheus and for the console.
func (a *App) received(o handlers.Outcome) {
	a.metrics.received(o)
	a.day.Received(kycbridge.AccountKey{Provider: o.Provider, Account: o.Account}, o.Outcome, o.VerificationID)
}

// called counts a call of a provider's API.
func (a *App) called(key kycbridge.AccountKey, call, outcome string, took time.Duration) {
	a.metrics.called(key, call, outcome, took)
	a.day.Called(key, call, outcome, took)
}

// processed counts an attempt at a stored payload.
func (a *App) processed(p kycbridge.Payload, done kycbridge.Processed, err error) {
	a.metrics.processed(p, done, err)
	key := kycbridge.AccountKey{Provider: p.Provider, Account: p.Account}
	if err == nil && done.Event != nil {
		a.day.Published(key, done.Event.Data.Decision.Outcome, time.Since(p.ReceivedAt))
	}
	for _, v := range done.New {
		a.day.NewValue(key, v)
	}
}
