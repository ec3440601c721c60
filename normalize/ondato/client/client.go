// Package client calls Ondato's APIs: the token endpoint, identity verifications (IDV), which are the
// applicant's sessions in a flow, and KYC identifications, which contain the verdict.
package client

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/internal/rest"
)

// The parts that Fetch returns.
const (
	partIDV = "identity-verification"
	partKYC = "identification"
)

// linkLife is how long a hosted page waits for the applicant; after that, Pending becomes Expired.
// Source: https://ondato.atlassian.net/wiki/x/7ILWi
const linkLife = 7 * 24 * time.Hour

// idPlace is the placeholder in Config.PageURL for the id of the verification.
const idPlace = "{id}"

// Config is what an account needs to call Ondato. Empty addresses default to production, or to the sandbox if
// TokenURL's host begins with "sandbox-".
// Source: https://ondato.atlassian.net/wiki/spaces/PUB/pages/2320990304
type Config struct {
	TokenURL     string // https://id.ondato.com/connect/token
	IDVURL       string // https://idvapi.ondato.com
	KYCURL       string // https://kycid.ondato.com
	ClientID     string
	ClientSecret string
	SetupID      string // the flow of a start that names no flow
	Scope        string // "" is every scope of the client
	PageURL      string // hosted page: https://idv.ondato.com/?id={id}
}

// withDefaults fills in empty addresses.
func (c Config) withDefaults() Config {
	prefix := ""
	if u, err := url.Parse(c.TokenURL); err == nil && strings.HasPrefix(strings.ToLower(u.Hostname()), "sandbox-") {
		prefix = "sandbox-"
	}
	for field, fallback := range map[*string]string{
		&c.TokenURL: "https://id.ondato.com/connect/token",
		&c.IDVURL:   "https://" + prefix + "idvapi.ondato.com",
		&c.KYCURL:   "https://" + prefix + "kycid.ondato.com",
		&c.PageURL:  "https://" + prefix + "idv.ondato.com/?id=" + idPlace,
	} {
		if *field == "" {
			*field = fallback
		}
	}
	c.IDVURL, c.KYCURL = strings.TrimRight(c.IDVURL, "/"), strings.TrimRight(c.KYCURL, "/")
	return c
}

// New returns the API of one account at Ondato. Step is nil: the applicant takes the steps on the hosted page.
func New(c Config, o rest.Options) kycbridge.API {
	client := NewClient(c, o)
	return kycbridge.API{Fetch: client.fetch, Start: client.start, Media: client.media}
}

// fetch fetches the identity verification, and its identification if it exists already: only the
// identification contains the verdict.
func (c *Client) fetch(ctx context.Context, q kycbridge.Query) ([]kycbridge.Fetched, error) {
	idv, head, err := c.identityVerification(ctx, q.Reference)
	if err != nil {
		return nil, err
	}
	found := []kycbridge.Fetched{fetched(partIDV, idv)}
	if head.kycID() == "" {
		return found, nil
	}
	kyc, err := c.identification(ctx, head.kycID(), string(head.ID))
	if err != nil {
		// The verification was found, so an identification that is not found does not exist yet.
		var e *kycbridge.ProviderError
		if errors.As(err, &e) && e.Kind == kycbridge.ProviderNotFound {
			e.Kind = kycbridge.ProviderPending
		}
		return found, err
	}
	return append(found, fetched(partKYC, kyc)), nil
}

func fetched(part string, a rest.Answer) kycbridge.Fetched {
	return kycbridge.Fetched{Part: part, ContentType: a.ContentType, Body: a.Body}
}

// media opens a file of the verification's identification.
func (c *Client) media(ctx context.Context, m kycbridge.MediaRequest) (kycbridge.MediaAnswer, error) {
	kyc := m.References["kyc_identification_id"]
	if kyc == "" {
		_, head, err := c.identityVerification(ctx, m.Reference)
		if err != nil {
			return kycbridge.MediaAnswer{}, err
		}
		if kyc = head.kycID(); kyc == "" {
			return kycbridge.MediaAnswer{}, &kycbridge.ProviderError{Kind: kycbridge.ProviderPending, Call: callFile}
		}
	}
	return c.GetFile(ctx, kyc, m.Ref)
}
