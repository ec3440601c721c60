package kycbridge

// Which credential of its kind admitted a callback, by its place in the configuration: during a rotation it shows
// whether the provider still uses the old one. Nothing about the credential itself is told.
const (
	CredentialFirst = "first"
	CredentialLater = "later"
)

// first returns c with only the first credential of each kind, and whether c has further ones.
func (c Credentials) first() (first Credentials, further bool) {
	c.Basic = firstOf(c.Basic, &further)
	c.Bearer = firstOf(c.Bearer, &further)
	c.Headers = firstOf(c.Headers, &further)
	c.HMAC.Secrets = firstOf(c.HMAC.Secrets, &further)
	c.Keys = firstOf(c.Keys, &further)
	c.URLTokens = firstOf(c.URLTokens, &further)
	c.ClientCerts = firstOf(c.ClientCerts, &further)
	c.OAuth2.Clients = firstOf(c.OAuth2.Clients, &further)
	return c, further
}

func firstOf[T any](list []T, further *bool) []T {
	*further = *further || len(list) > 1
	return list[:min(len(list), 1)]
}

// rank states which credential admitted a request at a placement: the first of its kind, or a later one, which the
// first ones do not make up for. It is asked only after the request has been admitted, so its time tells nothing to
// others.
func (a *Account) rank(r Request, placement string) string {
	first, further := a.Credentials.first()
	if !further {
		return CredentialFirst
	}
	if found, err := a.Provider.Verify(first, r); err != nil || found != placement {
		return CredentialLater
	}
	return CredentialFirst
}
