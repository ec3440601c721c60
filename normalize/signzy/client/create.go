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
	// a number, as the table says, or text, as the sample has it
	PhoneNumber         any      `json:"phoneNumber,omitempty"`
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
	Language             string `json:"language,omitempty"`     // one of Signzy's own codes
	RedirectTime         *int   `json:"redirectTime,omitempty"` // 0 is at once; nil is Signzy's default
	SuccessRedirectURL   string `json:"successRedirectUrl,omitempty"`
	FailureRedirectURL   string `json:"failureRedirectUrl,omitempty"`
	JourneyLinkValidity  int    `json:"journeyLinkValidity,omitempty"` // 0 is Signzy's 3600
	JourneySessionExpiry int    `json:"journeySessionExpiry,omitempty"`
}

// Journey is one that was made.
type Journey struct {
	ID          string
	URL         string        // where the applicant goes
	CreatedAt   time.Time     // zero: not said, or not readable
	TTL         time.Duration // how long the link lives, as Signzy says; 0: not said, or not readable
	FlowVersion string
	Test        bool            // the flow is a test flow
	Answer      json.RawMessage // what may be kept of the answer: no address and no key
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
			made, err = readJourney(a, r)
			return err
		},
	})
	if err != nil {
		return Journey{}, err
	}
	return made, nil
}

// keptOfCreate are the members of an answer that are kept. journeyUrl is none of them: whoever has it
// can enter.
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

// units are the words that a ttl may count in. The documentation shows "24 hours"; the others are those
// of Signzy's file service.
// Source: https://docs.signzy.com/contract360/persist-file-system
var units = map[string]time.Duration{
	"sec": time.Second, "second": time.Second, "min": time.Minute, "minute": time.Minute,
	"hr": time.Hour, "hour": time.Hour, "day": 24 * time.Hour,
}

// longestLife is the longest ttl that is believed.
const longestLife = 366 * 24 * time.Hour

// life reads a ttl, which is text for people: a whole number and a unit. What does not read so is 0.
func life(ttl string) time.Duration {
	number, unit, _ := strings.Cut(strings.ToLower(strings.TrimSpace(ttl)), " ")
	n, err := strconv.ParseInt(number, 10, 32)
	length := units[strings.TrimSuffix(strings.TrimSpace(unit), "s")]
	if err != nil || n <= 0 || length == 0 || time.Duration(n) > longestLife/length {
		return 0
	}
	return time.Duration(n) * length
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
