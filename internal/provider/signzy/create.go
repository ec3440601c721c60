package signzy

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"kycbridge/internal/provider/rest"
)

// JourneyRequest is the body of a create call. Only FlowID is required; what is empty is not sent,
// because a sibling API refuses an empty callbackUrl.
// Source: https://docs.signzy.com/us-apis/create-journey-link
type JourneyRequest struct {
	FlowID           string           `json:"flowId"`
	UserID           string           `json:"userId,omitempty"`
	UserInfo         UserInfo         `json:"userInfo,omitzero"`
	ProcessingConfig ProcessingConfig `json:"processingConfig,omitzero"`
}

// UserInfo is the applicant as we know them, to be compared with what is captured.
type UserInfo struct {
	PhoneNumber         string   `json:"phoneNumber,omitempty"` // text, although the table says number: it comes back as text (observed)
	DateOfBirth         string   `json:"dateOfBirth,omitempty"` // DD/MM/YYYY was observed; no format is published
	EmailAddress        string   `json:"emailAddress,omitempty"`
	ExternalReferenceID string   `json:"externalReferenceId,omitempty"`
	Name                Name     `json:"name,omitzero"`
	Address             Address  `json:"address,omitzero"`
	ID                  Document `json:"id,omitzero"`
	MatchImage          string   `json:"matchImage,omitempty"` // address of a picture to compare the selfie with
}

// Name is the applicant's.
type Name struct {
	FirstName string `json:"firstName,omitempty"`
	LastName  string `json:"lastName,omitempty"`
}

// Address is the applicant's.
type Address struct {
	Street     string `json:"street,omitempty"`
	Street2    string `json:"street2,omitempty"`
	City       string `json:"city,omitempty"`
	Region     string `json:"region,omitempty"`
	PostalCode string `json:"postalCode,omitempty"`
	Country    string `json:"country,omitempty"`
}

// Document is the kind of document that the applicant will show, and the country it is valid in.
type Document struct {
	IDType  string `json:"idType,omitempty"`
	Country string `json:"country,omitempty"`
}

// ProcessingConfig says where results and browsers go, and for how long. Times are seconds. Signzy
// repeats it in clear in callbacks and answers, the secret included (observed).
type ProcessingConfig struct {
	CallbackURL          string `json:"callbackUrl,omitempty"`
	AuthKeyForCallback   string `json:"authKeyForCallback,omitempty"`
	Language             string `json:"language,omitempty"` // one of Signzy's own codes
	RedirectTime         int    `json:"redirectTime,omitempty"`
	SuccessRedirectURL   string `json:"successRedirectUrl,omitempty"`
	FailureRedirectURL   string `json:"failureRedirectUrl,omitempty"`
	JourneyLinkValidity  int    `json:"journeyLinkValidity,omitempty"` // 0 is Signzy's 3600
	JourneySessionExpiry int    `json:"journeySessionExpiry,omitempty"`
}

// Journey is one that was made.
type Journey struct {
	ID        string
	URL       string    // where the applicant goes
	CreatedAt time.Time // zero: not said, or not readable
}

// noted are the statuses by which Signzy or its gateway says that a create call did not get through,
// so that it may be sent again. Two journeys may come of it all the same; the one that nobody opens
// expires.
func noted() []int {
	return []int{http.StatusConflict, http.StatusBadGateway, http.StatusServiceUnavailable}
}

// CreateJourney makes a journey. There is no key against making it twice, so it is sent again only
// where Signzy cannot have worked on it.
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
			made, err = readJourney(a)
			return err
		},
	})
	if err != nil {
		return Journey{}, err
	}
	return made, nil
}

// readJourney reads the answer to a create call, bare or wrapped. Its ttl is text for people and is
// not read.
func readJourney(a rest.Answer) (Journey, error) {
	l, err := find(a)
	if err != nil {
		return Journey{}, err
	}
	u, err := url.Parse(string(l.JourneyURL))
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return Journey{}, errors.New("the answer has no journeyUrl that a browser could open")
	}
	return Journey{ID: string(l.JourneyID), URL: string(l.JourneyURL), CreatedAt: instant(string(l.CreatedAt))}, nil
}

// earliest is the first time in milliseconds that is taken for one: smaller numbers would be times
// in 1973 or before, so they are seconds.
const earliest = 100_000_000_000

// instant reads milliseconds since 1970, which the documentation does not name but samples show, or
// the ISO form that other times of Signzy have.
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
