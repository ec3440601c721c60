package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"kycbridge"
)

// linkValidity is how long Signzy's links are valid if neither the start nor the answer specifies it.
// Source: https://docs.signzy.com/us-apis/create-journey-link
const linkValidity = time.Hour

// options are the start options that only Signzy has. The options common to all providers are in the request
// itself.
type options struct {
	UserID     string `json:"user_id"`
	DateFormat string `json:"date_format"` // iso is YYYY-MM-DD
	ID         struct {
		IDType  string `json:"id_type"`
		Country string `json:"country"`
	} `json:"id"`
	MatchImage           string `json:"match_image"`
	RedirectSeconds      *int   `json:"redirect_seconds"`
	SessionExpirySeconds int    `json:"session_expiry_seconds"`
}

func (c *Client) start(ctx context.Context, r kycbridge.StartRequest) (kycbridge.Started, error) {
	request, err := c.journeyRequest(r)
	if err != nil {
		return kycbridge.Started{}, err
	}
	sent := time.Now()
	made, err := c.CreateJourney(ctx, request)
	if err != nil {
		return kycbridge.Started{}, err
	}
	if made.CreatedAt.IsZero() {
		made.CreatedAt = sent.UTC()
	}
	// The requested validity has precedence over the answer's human-readable text.
	asked := time.Duration(request.ProcessingConfig.JourneyLinkValidity) * time.Second
	return kycbridge.Started{
		Reference: made.ID, URL: made.URL, ExpiresAt: made.CreatedAt.Add(cmp.Or(asked, made.TTL, linkValidity)),
		FlowID: request.FlowID, FlowVersion: made.FlowVersion, Test: made.Test, Answer: made.Answer,
	}, nil
}

// journeyRequest converts a start into Signzy's request.
func (c *Client) journeyRequest(r kycbridge.StartRequest) (JourneyRequest, error) {
	var o options
	if len(r.Options) > 0 && json.Unmarshal(r.Options, &o) != nil {
		return JourneyRequest{}, invalid(CallCreate, "/options", "must be as the schema signzy/start has them",
			errors.New("read the options"))
	}
	born, err := birthdate(r.Person.Birthdate, o.DateFormat)
	if err != nil {
		return JourneyRequest{}, err
	}
	number, err := c.phone(r.Person.PhoneNumber)
	if err != nil {
		return JourneyRequest{}, err
	}
	return JourneyRequest{
		FlowID: cmp.Or(r.FlowID, c.config.FlowID),
		UserID: cmp.Or(o.UserID, r.ExternalReference),
		UserInfo: UserInfo{
			PhoneNumber:         number,
			DateOfBirth:         born,
			EmailAddress:        r.Person.Email,
			ExternalReferenceID: r.ExternalReference,
			Name:                nameOf(r.Person),
			Address:             addressOf(r.Person.Address),
			ID:                  Document{IDType: o.ID.IDType, Country: o.ID.Country},
			MatchImage:          o.MatchImage,
		},
		ProcessingConfig: ProcessingConfig{
			CallbackURL:          r.CallbackURL,
			AuthKeyForCallback:   r.CallbackKey,
			Language:             languageCode(r.Language),
			RedirectTime:         o.RedirectSeconds,
			SuccessRedirectURL:   r.SuccessURL,
			FailureRedirectURL:   r.FailureURL,
			JourneyLinkValidity:  wholeSeconds(r.Validity),
			JourneySessionExpiry: o.SessionExpirySeconds,
		},
	}, nil
}

// wholeSeconds rounds up, because 0 would select Signzy's default.
func wholeSeconds(d time.Duration) int {
	return int((max(0, d) + time.Second - 1) / time.Second)
}

// birthdate formats a date in the observed format, or as ISO if the flow requires it.
func birthdate(date, format string) (string, error) {
	if date == "" {
		return "", nil
	}
	born, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return "", invalid(CallCreate, "/person/birthdate", "must be a date that exists, as YYYY-MM-DD",
			errors.New("read the birthdate"))
	}
	if format == "iso" {
		return date, nil
	}
	return born.Format("02/01/2006"), nil
}

// phone formats a number as the account requires it: as a number, which the documentation's table specifies,
// or as text, which its sample shows and Signzy returns (observed). nil means no number.
func (c *Client) phone(given string) (any, error) {
	switch {
	case given == "":
		return nil, nil
	case c.config.PhoneAs == PhoneAsText:
		return given, nil
	}
	digits := strings.TrimPrefix(given, "+")
	if len(digits) > maxPhone || strings.Trim(digits, "0123456789") != "" || digits == "" || digits[0] == '0' {
		return nil, invalid(CallCreate, "/person/phone_number",
			"must begin with the country code, such as +15550100001: it is sent as a number", nil)
	}
	return json.Number(digits), nil
}

// maxPhone is the maximum number of digits of an E.164 number.
const maxPhone = 15

// nameOf adds middle names to the first name: Signzy has no member for them, but documents do show them.
func nameOf(p kycbridge.Person) Name {
	given, middle, family := p.Parts()
	return Name{FirstName: strings.TrimSpace(given + " " + middle), LastName: family}
}

// addressOf puts all further lines of a street address into Signzy's second line.
func addressOf(a *kycbridge.PersonAddress) Address {
	if a == nil {
		return Address{}
	}
	lines := strings.FieldsFunc(a.StreetAddress, func(r rune) bool { return r == '\n' || r == '\r' })
	out := Address{City: a.Locality, Region: a.Region, PostalCode: a.PostalCode, Country: a.Country}
	if len(lines) > 0 {
		out.Street, out.Street2 = lines[0], strings.Join(lines[1:], ", ")
	}
	return out
}

// languageCode returns Signzy's code for a BCP 47 tag. Some of Signzy's codes differ from the standard, and
// three standard codes stand for other languages there; those are omitted, so that the flow's language
// applies. The published list is not complete, so codes that are not in it are sent unchanged.
// Source: https://docs.signzy.com/us-apis/create-journey-link
func languageCode(tag string) string {
	primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
	switch primary {
	case "zh":
		return "ch"
	case "nl":
		return "dh"
	case "bn":
		return "be"
	case "pt":
		return "pg"
	case "de":
		return "gr"
	case "ja":
		return "jp"
	case "te":
		return "tl"
	case "ta":
		return "tm"
	case "tr":
		return "tu"
	case "be", "ch", "tl": // Belarusian, Chamorro, Tagalog
		return ""
	}
	return primary
}
