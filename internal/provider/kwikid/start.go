package kwikid

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"kycbridge"
)

// The vendor's only known link_type; it is case-sensitive.
const defaultLinkType = "free"

// linkExpiresIn is the member of extras that says how many seconds a link lives, as text.
const linkExpiresIn = "link_expires_in"

// options are what a start may say beyond what all providers know (schemas/kwikid/start.json).
type options struct {
	Notify             *bool                      `json:"notify"` // nil is true
	NotificationAsText bool                       `json:"notification_as_text"`
	LinkType           string                     `json:"link_type"`
	SessionType        string                     `json:"session_type"`
	Origin             string                     `json:"origin"`
	Extras             map[string]json.RawMessage `json:"extras"`
	Forms              []FormStep                 `json:"forms"`
}

// Start makes a session: from forms if the options hold any, else one behind a link.
func (c *Client) Start(ctx context.Context, r kycbridge.StartRequest) (kycbridge.Started, error) {
	var o options
	if len(r.Options) > 0 && json.Unmarshal(r.Options, &o) != nil {
		return kycbridge.Started{}, refused(callLink, "/options", "must have the form of the start schema")
	}
	if len(o.Forms) > 0 {
		return c.startForms(ctx, r, o)
	}
	return c.startLink(ctx, r, o)
}

func (c *Client) startLink(ctx context.Context, r kycbridge.StartRequest, o options) (kycbridge.Started, error) {
	request := SendLinkRequest{
		UserID:           r.ExternalReference,
		PhoneNumber:      phone(r.Person.PhoneNumber),
		SendNotification: Flag{On: o.Notify == nil || *o.Notify, AsText: o.NotificationAsText},
		LinkType:         o.LinkType,
		SessionType:      o.SessionType,
		Origin:           o.Origin,
		Extras:           withValidity(o.Extras, r.Validity),
	}
	if request.LinkType == "" {
		request.LinkType = defaultLinkType
	}
	if err := complete(callLink, request.UserID, request.PhoneNumber); err != nil {
		return kycbridge.Started{}, err
	}
	asked := time.Now()
	link, err := c.SendLink(ctx, request)
	if err != nil {
		return kycbridge.Started{}, err
	}
	started := kycbridge.Started{Reference: lowerUUID(string(link.SessionID)), URL: string(link.LinkURL), ExpiresAt: link.expiry(asked)}
	if link.LinkID != "" {
		started.References = map[string]string{"link_id": string(link.LinkID)}
	}
	return started, nil
}

func (c *Client) startForms(ctx context.Context, r kycbridge.StartRequest, o options) (kycbridge.Started, error) {
	request := PushUserDataRequest{Data: o.Forms, Extras: o.Extras, PhoneNumber: phone(r.Person.PhoneNumber), UserID: r.ExternalReference}
	if request.PhoneNumber == "" {
		request.PhoneNumber = formsPhone(o.Forms)
	}
	if err := complete(callPush, request.UserID, request.PhoneNumber); err != nil {
		return kycbridge.Started{}, err
	}
	answer, err := c.PushUserData(ctx, request)
	if err != nil {
		return kycbridge.Started{}, err
	}
	return kycbridge.Started{Reference: lowerUUID(string(answer.SessionID))}, nil
}

// formsPhone is the mobile number of the communication address.
func formsPhone(forms []FormStep) string {
	for _, f := range forms {
		if number := f.UserFormData["COMMUNICATION_ADDRESS"]["commMobileNo"]; number != "" {
			return phone(number)
		}
	}
	return ""
}

// complete refuses a start that KwikID would answer with a page of HTML.
func complete(call, userID, phoneNumber string) error {
	switch {
	case userID == "":
		return refused(call, "/external_reference", "is required")
	case phoneNumber == "":
		return refused(call, "/person/phone_number", "is required")
	}
	return nil
}

// refused is a request that is not sent.
func refused(call, path, message string) error {
	return &kycbridge.ProviderError{
		Kind: kycbridge.ProviderInvalid, Call: call, Fields: []kycbridge.FieldError{{Path: path, Message: message}},
	}
}

// The vendor takes Indian numbers as their ten digits.
const (
	indianCode   = "91"
	indianDigits = 10
)

// phone is a number as the vendor takes it: digits, without the country code if that is India's.
func phone(number string) string {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, number)
	if national, ok := strings.CutPrefix(digits, indianCode); ok && len(national) == indianDigits {
		return national
	}
	return digits
}

// withValidity adds the life of the link to extras, unless they have one already.
func withValidity(extras map[string]json.RawMessage, validity time.Duration) map[string]json.RawMessage {
	if _, given := extras[linkExpiresIn]; given || validity < time.Second {
		return extras
	}
	out := map[string]json.RawMessage{linkExpiresIn: json.RawMessage(strconv.Quote(strconv.FormatInt(int64(validity/time.Second), 10)))}
	for name, value := range extras {
		out[name] = value
	}
	return out
}

// expiry is when the link ends: the vendor's time, else its duration from when it was asked for.
func (l Link) expiry(asked time.Time) time.Time {
	if at := seconds(l.LinkExpiryTime); !at.IsZero() {
		return at
	}
	if n := l.ValidityDuration.number(); n > 0 && n < 1<<31 {
		return asked.Add(time.Duration(n) * time.Second).UTC()
	}
	return time.Time{}
}

// lowerUUID makes the spellings of a UUID equal and leaves any other id alone, as the mapping does.
func lowerUUID(s string) string {
	if len(s) != 36 || strings.Trim(s, "0123456789abcdefABCDEF-") != "" {
		return s
	}
	for i := range len(s) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (s[i] == '-') {
			return s
		}
	}
	return strings.ToLower(s)
}
