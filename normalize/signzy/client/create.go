package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"kycbridge/internal/rest"
)

// JourneyRequest is the body of a create call. Only FlowID is required. Empty members are omitted, because a
// sibling API refuses an empty callbackUrl.
// Source: https://docs.signzy.com/us-apis/create-journey-link
type JourneyRequest struct {
	FlowID           string           `json:"flowId"`
	UserID           string           `json:"userId,omitempty"`
	UserInfo         UserInfo         `json:"userInfo,omitzero"`
	ProcessingConfig ProcessingConfig `json:"processingConfig,omitzero"`
}

// UserInfo is the caller's data about the applicant, which Signzy compares with the captured data.
type UserInfo struct {
	// a number according to the table, text according to the sample
	PhoneNumber         any      `json:"phoneNumber,omitempty"`
	DateOfBirth         string   `json:"dateOfBirth,omitempty"` // DD/MM/YYYY was observed; no format is published
	EmailAddress        string   `json:"emailAddress,omitempty"`
	ExternalReferenceID string   `json:"externalReferenceId,omitempty"`
	Name                Name     `json:"name,omitzero"`
	Address             Address  `json:"address,omitzero"`
	ID                  Document `json:"id,omitzero"`
	MatchImage          string   `json:"matchImage,omitempty"` // URL of an image to compare the selfie with
}

// Name is the name of the applicant.
type Name struct {
	FirstName string `json:"firstName,omitempty"`
	LastName  string `json:"lastName,omitempty"`
}

// Address is the address of the applicant.
type Address struct {
	Street     string `json:"street,omitempty"`
	Street2    string `json:"street2,omitempty"`
	City       string `json:"city,omitempty"`
	Region     string `json:"region,omitempty"`
	PostalCode string `json:"postalCode,omitempty"`
	Country    string `json:"country,omitempty"`
}

// Document is the type of document that the applicant will present, and the country in which it is valid.
type Document struct {
	IDType  string `json:"idType,omitempty"`
	Country string `json:"country,omitempty"`
}

// ProcessingConfig sets where Signzy sends results and browsers, and how long the journey is valid. Times are
// in seconds. Signzy repeats it in clear text in callbacks and answers, the secret included (observed).
type ProcessingConfig struct {
	CallbackURL          string `json:"callbackUrl,omitempty"`
	AuthKeyForCallback   string `json:"authKeyForCallback,omitempty"`
	Language             string `json:"language,omitempty"`     // one of Signzy's own codes
	RedirectTime         *int   `json:"redirectTime,omitempty"` // 0: at once; nil: Signzy's default
	SuccessRedirectURL   string `json:"successRedirectUrl,omitempty"`
	FailureRedirectURL   string `json:"failureRedirectUrl,omitempty"`
	JourneyLinkValidity  int    `json:"journeyLinkValidity,omitempty"` // 0: Signzy's default, 3600
	JourneySessionExpiry int    `json:"journeySessionExpiry,omitempty"`
}

// Journey is a created journey.
type Journey struct {
	ID          string
	URL         string        // the page for the applicant
	CreatedAt   time.Time     // zero: missing or not readable
	TTL         time.Duration // how long the link is valid according to Signzy; 0: missing or not readable
	FlowVersion string
	Test        bool            // the flow is a test flow
	Answer      json.RawMessage // the members of the answer that may be kept: no URL and no key
}

// noted lists the statuses with which Signzy or its gateway reports that it did not process a create call, so
// that the call may be repeated. The repetition can still create two journeys; the one that is not opened
// expires.
func noted() []int {
	return []int{http.StatusConflict, http.StatusBadGateway, http.StatusServiceUnavailable}
}

// CreateJourney creates a journey. Signzy has no idempotency key, so the call is repeated only if Signzy
// cannot have processed it.
// Source: https://docs.signzy.com/us-apis/create-journey-link
func (c *Client) CreateJourney(ctx context.Context, r JourneyRequest) (Journey, error) {
	if r.FlowID == "" {
		return Journey{}, invalid(CallCreate, "/options/flow_id", "is required, here or with the account", nil)
	}
	body, err := json.Marshal(r)
	if err != nil {
		return Journey{}, invalid(CallCreate, "", "cannot be written as JSON", errors.New("write the request"))
	}
	var made Journey
	_, err = c.rest.Do(ctx, rest.Call{
		Name: CallCreate, Method: http.MethodPost, URL: c.url("create-journey-url"),
		Header: c.header(), Body: body, RepeatOn: noted(), Explain: explainCreate,
		Check: func(a rest.Answer) (err error) {
			made, err = readJourney(a, r)
			return err
		},
	})
	if err != nil {
		return Journey{}, err
	}
	return made, nil
}

// keptOfCreate lists the members of an answer that are kept. journeyUrl is not kept: anyone who has it can
// open the journey.
var keptOfCreate = [...]string{
	"journeyId", "createdAt", "ttl", "flowId", "version", "test", "flow.flowId", "flow.version", "flow.test",
}

// readJourney reads the answer to a create call, bare or wrapped.
func readJourney(a rest.Answer, r JourneyRequest) (Journey, error) {
	if err := honest(CallCreate, a); err != nil {
		return Journey{}, err
	}
	l, err := find(a)
	if err != nil {
		return Journey{}, err
	}
	if l.UserID != "" && string(l.UserID) != r.UserID {
		return Journey{}, errors.New("the answer is about another user")
	}
	u, err := url.Parse(string(l.JourneyURL))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return Journey{}, errors.New("the answer has no journeyUrl that a browser could open")
	}
	return Journey{
		ID: string(l.JourneyID), URL: string(l.JourneyURL), CreatedAt: instant(string(l.CreatedAt)), TTL: life(string(l.TTL)),
		FlowVersion: string(cmp.Or(l.Flow.Version, l.Version)),
		Test:        bool(l.Flow.Test || l.Test),
		Answer:      rest.Only(l.raw, keptOfCreate[:]...),
	}, nil
}

// units are the units of a ttl. The documentation shows "24 hours"; the others are those of Signzy's file
// service.
// Source: https://docs.signzy.com/contract360/persist-file-system
var units = map[string]time.Duration{
	"sec": time.Second, "second": time.Second, "min": time.Minute, "minute": time.Minute,
	"hr": time.Hour, "hour": time.Hour, "day": 24 * time.Hour,
}

// longestLife is the longest ttl that is accepted.
const longestLife = 366 * 24 * time.Hour

// life reads a ttl, which is human-readable text: a whole number and a unit. Any other text gives 0.
func life(ttl string) time.Duration {
	number, unit, _ := strings.Cut(strings.ToLower(strings.TrimSpace(ttl)), " ")
	n, err := strconv.ParseInt(number, 10, 32)
	length := units[strings.TrimSuffix(strings.TrimSpace(unit), "s")]
	if err != nil || n <= 0 || length == 0 || time.Duration(n) > longestLife/length {
		return 0
	}
	return time.Duration(n) * length
}

// earliest is the smallest number that is read as milliseconds. A smaller one would be a time in 1973 or
// before, so it is read as seconds.
const earliest = 100_000_000_000

// instant reads milliseconds since 1970, which samples show and the documentation does not name, or the ISO
// form of Signzy's other times.
func instant(s string) time.Time {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > 0 {
		if n < earliest {
			return time.Unix(n, 0).UTC()
		}
		return time.UnixMilli(n).UTC()
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC()
	}
	return time.Time{}
}
