package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/internal/rest"
)

// Names of the calls, in errors and metrics.
const (
	callToken  = "token"
	callCreate = "create_identity_verification"
	callIDV    = "get_identity_verification"
	callKYC    = "get_identification"
	callFile   = "get_file"
)

// Client calls Ondato with one account's credentials and limits. Several goroutines may use it. Its calls fail
// with a *kycbridge.ProviderError, or with the context's error.
type Client struct {
	config Config
	rest   *rest.Client
	token  *rest.Token
}

// NewClient returns a client. It sends nothing before the first call.
func NewClient(c Config, o rest.Options) *Client {
	client := &Client{config: c.withDefaults(), rest: rest.New(o)}
	client.token = rest.NewToken(client.renew)
	return client
}

// Token requests a new access token. The other calls do that themselves and keep the token until it is about
// to expire or is refused.
func (c *Client) Token(ctx context.Context) (Token, error) {
	form := url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {c.config.ClientID},
		"client_secret": {c.config.ClientSecret},
	}
	if c.config.Scope != "" {
		form.Set("scope", c.config.Scope)
	}
	var token Token
	_, err := c.rest.Do(ctx, rest.Call{
		Name:    callToken,
		Method:  http.MethodPost,
		URL:     c.config.TokenURL,
		Header:  http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}},
		Body:    []byte(form.Encode()),
		Repeat:  true,
		Explain: explainToken,
		Check: func(a rest.Answer) error {
			token = Token{}
			if err := a.Decode(&token); err != nil {
				return err
			}
			if token.AccessToken != "" {
				return nil
			}
			e := &kycbridge.ProviderError{Kind: kycbridge.ProviderMalformed, Call: callToken, Status: a.Status, Sent: true,
				Err: errors.New("the answer holds no token")}
			explainToken(e, a.JSON())
			return e
		},
	})
	if err != nil {
		return Token{}, err
	}
	return token, nil
}

// renew calls Token for the cache. The lifetime is counted from before the call, to be on the safe side. Its
// length is not documented, so a token without a lifetime that can be read is kept until it is refused.
func (c *Client) renew(ctx context.Context) (string, time.Time, error) {
	asked := time.Now()
	token, err := c.Token(ctx)
	if err != nil {
		return "", time.Time{}, err
	}
	seconds, err := strconv.ParseFloat(string(token.ExpiresIn), 64)
	if err != nil || !(seconds >= 1) {
		return token.AccessToken, time.Time{}, nil
	}
	return token.AccessToken, asked.Add(time.Duration(min(seconds, 86400)) * time.Second), nil
}

// do sends a call with a token.
func (c *Client) do(ctx context.Context, call rest.Call) (rest.Answer, error) {
	call.Explain = explain
	return c.token.With(ctx, func(token string) (rest.Answer, error) {
		call.Header = withToken(call.Header, token)
		return c.rest.Do(ctx, call)
	})
}

// withToken returns a copy of h with the token. It copies h because a running attempt may still read it.
func withToken(h http.Header, token string) http.Header {
	h = h.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Set("Authorization", "Bearer "+token)
	return h
}

// get returns a call that reads JSON.
func get(name, address string, check func(rest.Answer) error) rest.Call {
	return rest.Call{
		Name: name, Method: http.MethodGet, URL: address, Repeat: true, Check: check,
		Header: http.Header{"Accept": {"application/json"}},
	}
}

// post returns a call that sends JSON.
func post(name, address string, body any) (rest.Call, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return rest.Call{}, &kycbridge.ProviderError{Kind: kycbridge.ProviderInvalid, Call: name,
			Err: errors.New("the request cannot be written as JSON")}
	}
	return rest.Call{
		Name: name, Method: http.MethodPost, URL: address, Body: raw,
		Header: http.Header{"Accept": {"application/json"}, "Content-Type": {"application/json"}},
	}, nil
}

const maxIDLength = 128

// address inserts an id into a path. It rejects an id that could lead to another path.
func address(call, base, id, tail string) (string, error) {
	ordinary := func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_'
	}
	if id == "" || len(id) > maxIDLength || strings.TrimFunc(id, ordinary) != "" {
		return "", &kycbridge.ProviderError{Kind: kycbridge.ProviderInvalid, Call: call,
			Err: errors.New("not an id of this provider")}
	}
	return base + id + tail, nil
}

const (
	idvPath = "/v1/identity-verifications/"
	kycPath = "/v1/identifications/"
)

// CreateIdentityVerification creates an identity verification and returns its id, with the answer. The request
// is sent once, unless it certainly did not arrive: Ondato documents no idempotency key, so a second request
// would create a second, billable session. Source: https://ondato.atlassian.net/wiki/x/7ILWi
func (c *Client) CreateIdentityVerification(
	ctx context.Context, r CreateRequest,
) (id string, answer rest.Answer, err error) {
	call, err := post(callCreate, c.config.IDVURL+strings.TrimSuffix(idvPath, "/"), r)
	if err != nil {
		return "", rest.Answer{}, err
	}
	var made struct {
		ID                  string `json:"id"`
		ExternalReferenceID string `json:"externalReferenceId"`
	}
	call.Check = func(a rest.Answer) error {
		if err := honest(callCreate, a); err != nil {
			return err
		}
		if err := a.Decode(&made); err != nil {
			return err
		}
		switch {
		case made.ID == "":
			return errors.New("the answer holds no id")
		case made.ExternalReferenceID != "" && made.ExternalReferenceID != r.ExternalReferenceID:
			return errors.New("the answer is about another external reference")
		}
		return nil
	}
	if answer, err = c.do(ctx, call); err != nil {
		return "", rest.Answer{}, err
	}
	return made.ID, answer, nil
}

// head contains the required members of an answer about a verification, and the id of the next resource to
// fetch. The rest of an answer is left to the mapping, so that a malformed member does not block a verdict.
type head struct {
	ID                     word `json:"id"`
	Status                 word `json:"status"`
	IdentityVerificationID word `json:"identityVerificationId"`
	Step                   struct {
		KYC struct {
			ID word `json:"id"`
		} `json:"kycIdentification"`
	} `json:"step"`
}

func (h head) kycID() string { return string(h.Step.KYC.ID) }

// word is a text or a number. Any other value is read as "".
type word string

// UnmarshalJSON never fails on valid JSON.
func (w *word) UnmarshalJSON(raw []byte) error {
	var text string
	var number json.Number
	switch {
	case json.Unmarshal(raw, &text) == nil:
		*w = word(text)
	case json.Unmarshal(raw, &number) == nil:
		*w = word(number)
	default:
		*w = ""
	}
	return nil
}

// read decodes an answer about the resource with this id. It rejects an answer about another resource, which
// could contain the verdict on another person.
func (h *head) read(call string, a rest.Answer, id string) error {
	*h = head{}
	if err := honest(call, a); err != nil {
		return err
	}
	if err := a.Lenient(h); err != nil {
		return err
	}
	if !strings.EqualFold(string(h.ID), id) {
		return errors.New("the answer is about another resource")
	}
	if h.Status == "" {
		return errors.New("the answer holds no status")
	}
	return nil
}

func (c *Client) identityVerification(ctx context.Context, id string) (rest.Answer, head, error) {
	var h head
	at, err := address(callIDV, c.config.IDVURL+idvPath, id, "")
	if err != nil {
		return rest.Answer{}, h, err
	}
	answer, err := c.do(ctx, get(callIDV, at, func(a rest.Answer) error { return h.read(callIDV, a, id) }))
	return answer, h, err
}

// identification fetches a KYC identification; idv is the identity verification to which it must belong, ""
// for any.
func (c *Client) identification(ctx context.Context, id, idv string) (rest.Answer, error) {
	at, err := address(callKYC, c.config.KYCURL+kycPath, id, "")
	if err != nil {
		return rest.Answer{}, err
	}
	return c.do(ctx, get(callKYC, at, func(a rest.Answer) error {
		var h head
		if err := h.read(callKYC, a, id); err != nil {
			return err
		}
		if h.IdentityVerificationID == "" || idv != "" && !strings.EqualFold(string(h.IdentityVerificationID), idv) {
			return errors.New("the identification belongs to another identity verification")
		}
		return nil
	}))
}

func malformed(call string, status int, err error) error {
	return &kycbridge.ProviderError{Kind: kycbridge.ProviderMalformed, Call: call, Status: status, Sent: true, Err: err}
}
