package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/normalize/values"
)

// The vendor's only known link_type; it is case-sensitive.
const defaultLinkType = "free"

// linkExpiresIn is the member of extras with the lifetime of a link: seconds, as text.
const linkExpiresIn = "link_expires_in"

// options are the options of a start that only KwikID has (schemas/kwikid/start.json).
type options struct {
	Notify             *bool                      `json:"notify"` // nil is true
	NotificationAsText bool                       `json:"notification_as_text"`
	LinkType           string                     `json:"link_type"`
	SessionType        string                     `json:"session_type"`
	Origin             string                     `json:"origin"`
	Extras             map[string]json.RawMessage `json:"extras"`
	Forms              []FormStep                 `json:"forms"`
}

// Start creates a session: from forms if the options contain any, else one with a link.
func (c *Client) Start(ctx context.Context, r kycbridge.StartRequest) (kycbridge.Started, error) {
	var o options
	if len(r.Options) > 0 && json.Unmarshal(r.Options, &o) != nil {
		return kycbridge.Started{}, refused(callLink, "/options", "must be as the schema kwikid/start has them")
	}
	if len(o.Forms) > 0 {
		return c.startForms(ctx, r, o)
	}
	return c.startLink(ctx, r, o)
}

func (c *Client) startLink(ctx context.Context, r kycbridge.StartRequest, o options) (kycbridge.Started, error) {
	request := SendLinkRequest{
		UserID:           r.ExternalReference,
		PhoneNumber:      c.phone(r.Person.PhoneNumber),
		SendNotification: Flag{On: o.Notify == nil || *o.Notify, AsText: o.NotificationAsText},
		LinkType:         o.LinkType,
		SessionType:      o.SessionType,
		Origin:           o.Origin,
		Extras:           withValidity(o.Extras, r.Validity),
		Files:            r.Files,
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
	started := kycbridge.Started{
		Reference: lowerUUID(string(link.SessionID)), URL: string(link.LinkURL), ExpiresAt: link.expiry(asked),
		Answer: link.Answer,
	}
	if link.LinkID != "" {
		started.References = map[string]string{"link_id": string(link.LinkID)}
	}
	return started, nil
}

func (c *Client) startForms(ctx context.Context, r kycbridge.StartRequest, o options) (kycbridge.Started, error) {
	request := PushUserDataRequest{Data: o.Forms, Extras: o.Extras, PhoneNumber: c.phone(r.Person.PhoneNumber),
		UserID: r.ExternalReference, Files: r.Files}
	if request.PhoneNumber == "" {
		request.PhoneNumber = c.formsPhone(o.Forms)
	}
	if err := complete(callPush, request.UserID, request.PhoneNumber); err != nil {
		return kycbridge.Started{}, err
	}
	if err := born(o.Forms, time.Now()); err != nil {
		return kycbridge.Started{}, err
	}
	answer, err := c.PushUserData(ctx, request)
	if err != nil {
		return kycbridge.Started{}, placed(err, o.Forms)
	}
	return kycbridge.Started{Reference: lowerUUID(string(answer.SessionID)), Answer: answer.Answer}, nil
}

// formDate is the layout of dates in forms: 01-FEB-1990. Months are read in any case.
const formDate = "02-Jan-2006"

// born rejects birth dates in the future.
func born(forms []FormStep, now time.Time) error {
	for i, f := range forms {
		for _, at := range [][2]string{{"BASIC_INFORMATION", "dob"}, {"FATCA_DECLARATION", "dobDeclaration"}} {
			date, err := time.Parse(formDate, f.UserFormData[at[0]][at[1]])
			if err == nil && date.After(now.Add(dayAhead)) {
				return refused(callPush, formPlace(i, at[0], at[1]), "must not lie ahead of today")
			}
		}
	}
	return nil
}

// dayAhead is how far ahead of UTC the caller's local time may be.
const dayAhead = 14 * time.Hour

// formPlace returns the JSON pointer of a form's field in a start request.
func formPlace(form int, group, field string) string {
	return "/options/forms/" + strconv.Itoa(form) + "/user_form_data/" + group + "/" + field
}

// placed replaces the paths of the fields that KwikID rejected, GROUP and field, by their paths in the start
// request.
func placed(err error, forms []FormStep) error {
	var e *kycbridge.ProviderError
	if !errors.As(err, &e) {
		return err
	}
	for n, fault := range e.Fields {
		group, field, ok := strings.Cut(strings.TrimPrefix(fault.Path, "/"), "/")
		i := slices.IndexFunc(forms, func(f FormStep) bool { return f.UserFormData[group] != nil })
		if ok && i >= 0 {
			e.Fields[n].Path = formPlace(i, group, field)
		}
	}
	return err
}

// formsPhone returns the mobile number of the communication address.
func (c *Client) formsPhone(forms []FormStep) string {
	for _, f := range forms {
		if number := f.UserFormData["COMMUNICATION_ADDRESS"]["commMobileNo"]; number != "" {
			return c.phone(number)
		}
	}
	return ""
}

// complete rejects a start with a missing value, which KwikID would answer with an HTML page.
func complete(call, userID, phoneNumber string) error {
	switch {
	case userID == "":
		return refused(call, "/external_reference", "is required")
	case phoneNumber == "":
		return refused(call, "/person/phone_number", "is required")
	}
	return nil
}

// refused returns the error of a request that is not sent.
func refused(call, path, message string) error {
	return &kycbridge.ProviderError{
		Kind: kycbridge.ProviderInvalid, Call: call, Fields: []kycbridge.FieldError{{Path: path, Message: message}},
	}
}

// india is the country of an account without a configured country.
const india = "IN"

// phone returns a number in the form that the vendor accepts: digits only, and for a number of the account's
// country only its ten national digits, without the country code.
func (c *Client) phone(number string) string {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, number)
	if national := values.NationalDigits("+"+digits, cmp.Or(c.config.Country, india)); national != "" {
		return national
	}
	return digits
}

// withValidity adds the lifetime of the link to extras, unless they already have one.
func withValidity(extras map[string]json.RawMessage, validity time.Duration) map[string]json.RawMessage {
	if _, given := extras[linkExpiresIn]; given || validity < time.Second {
		return extras
	}
	seconds := strconv.FormatInt(int64(validity/time.Second), 10)
	out := map[string]json.RawMessage{linkExpiresIn: json.RawMessage(strconv.Quote(seconds))}
	for name, value := range extras {
		out[name] = value
	}
	return out
}

// expiry returns when the link expires: the vendor's time, else its duration counted from the request.
func (l Link) expiry(asked time.Time) time.Time {
	if at := seconds(l.LinkExpiryTime); !at.IsZero() {
		return at
	}
	if n := l.ValidityDuration.number(); n > 0 && n < 1<<31 {
		return asked.Add(time.Duration(n) * time.Second).UTC()
	}
	return time.Time{}
}

// lowerUUID returns a UUID in lower case and any other id unchanged, as the mapping does.
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
