package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/internal/rest"
	"kycbridge/normalize"
	"kycbridge/publisher"
)

// Connected is the result of connecting to a server or provider of a configuration.
type Connected struct {
	What    string `json:"what"`
	OK      bool   `json:"ok"`
	Problem string `json:"problem,omitempty"` // with a remedy
}

const (
	// connectTry is the limit of one attempt.
	connectTry = 15 * time.Second
	// unknownReference is a reference that exists at no provider.
	unknownReference = "00000000-0000-4000-8000-000000000000"
)

// Connect tries to reach the external NATS servers of a configuration, and the API of each account, with a
// request for a verification that does not exist. Nothing is stored and nothing is started.
func Connect(ctx context.Context, config *Config, each func(Connected)) error {
	accounts, err := TrialAccounts(config)
	if err != nil {
		return err
	}
	s := newSystem(config, zap.NewNop())
	for name, server := range map[string]Server{"store": config.Store, "bus": config.Bus} {
		if !server.IsEmbedded() && (name == "store" || server.URL != config.Store.URL) {
			each(s.tryServer(ctx, name, server))
		}
	}
	for _, e := range providers() {
		for _, c := range config.Accounts {
			if c.Provider != e.Name || len(c.API) == 0 || e.Connect == nil {
				continue
			}
			account := accounts[kycbridge.AccountKey{Provider: c.Provider, Account: c.Name}]
			api := normalize.API(c.API)
			each(tryAPI(ctx, account, e.Connect(api, account.Settings, rest.Options{
				Timeout: api.Duration("timeout"), MaxAnswer: config.Receive.MaxBody, Secrets: c.secrets(), Proxy: config.proxy(),
			})))
		}
	}
	return ctx.Err()
}

// tryServer connects to an external NATS server.
func (s *system) tryServer(ctx context.Context, name string, server Server) Connected {
	c := Connected{What: name + " " + publisher.Redacted(server.URL)}
	ctx, cancel := context.WithTimeout(ctx, connectTry)
	defer cancel()
	connection, err := s.connect(ctx, name, server)
	if err != nil {
		c.Problem = withRemedy(err, "is it running, is this its address, and are user, password and TLS those of the server?")
		return c
	}
	connection.Close()
	c.OK = true
	return c
}

func withRemedy(err error, remedy string) string { return err.Error() + "; " + remedy }

// tryAPI requests an unknown verification from a provider.
func tryAPI(ctx context.Context, account *kycbridge.Account, api kycbridge.API) Connected {
	c := Connected{What: fmt.Sprintf("api of %s %s", account.Provider.Name, account.Name)}
	if api.Fetch == nil {
		c.OK = true
		return c
	}
	ctx, cancel := context.WithTimeout(ctx, connectTry)
	defer cancel()
	_, err := api.Fetch(ctx, kycbridge.Query{Reference: unknownReference})
	failed, ok := errors.AsType[*kycbridge.ProviderError](err)
	if !ok {
		c.OK = err == nil
		if err != nil {
			c.Problem = "no answer within " + connectTry.String()
		}
		return c
	}
	remedies := map[kycbridge.ProviderErrorKind]string{
		kycbridge.ProviderCredentials: "its credentials are not those that the provider knows",
		kycbridge.ProviderForbidden: "the credentials are known and may not do this: ask the provider for the right, or " +
			"have this machine's address allowed",
		kycbridge.ProviderUnreachable: "is the address right, and may this machine reach it (name, port, TLS, proxy)?",
		kycbridge.ProviderMalformed:   "what answers there is not this API: is the address right?",
	}
	if remedy := remedies[failed.Kind]; remedy != "" {
		c.Problem = failed.Error() + "; " + remedy
		return c
	}
	c.OK = true // it answered as expected: it does not know this verification, or is busy
	return c
}
