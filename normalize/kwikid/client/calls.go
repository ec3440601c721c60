package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"kycbridge"
	"kycbridge/internal/rest"
)

// SendLinkRequest makes a session and a link to it, and sends the link to the applicant if told so.
type SendLinkRequest struct {
	UserID           string                     `json:"user_id"`
	PhoneNumber      string                     `json:"phone_number"`
	SendNotification Flag                       `json:"send_notification"`
	LinkType         string                     `json:"link_type"`
	SessionType      string                     `json:"session_type,omitempty"`
	Origin           string                     `json:"origin,omitempty"`
	Extras           map[string]json.RawMessage `json:"extras,omitempty"`

	Files []kycbridge.File `json:"-"` // that stand in Extras as their marks
}

// Link is a session that was made. The vendor's own sample echoes another phone and user than were
// sent, so neither is compared.
type Link struct {
	SessionID        Text `json:"session_id"`
	LinkID           Text `json:"link_id"`
	LinkURL          Text `json:"link_url"`         // percent-encoded as it is; to be handed out unchanged
	LinkExpiryTime   Text `json:"link_expiry_time"` // seconds since 1970, with a fraction
	ValidityDuration Text `json:"validity_duration"`
	PhoneNumber      Text `json:"phone_number"`
	UserID           Text `json:"user_id"`

	Answer json.RawMessage `json:"-"` // what may be kept of the answer: not the link, and not the phone number
}

// SendLink makes a session. It is sent once: a second link ends the session of the first one.
func (c *Client) SendLink(ctx context.Context, r SendLinkRequest) (Link, error) {
	call, err := posted(callLink, c.config.BaseURL+c.config.AgentPrefix+pathLink, r)
	if err != nil {
		return Link{}, err
	}
	call.Files = r.Files
	var out Link
	call.Check = checked(callLink, &out, func(l Link) Text { return l.SessionID })
	answer, err := c.authorized(ctx, call)
	out.Answer = rest.Only(answer.Body, "session_id", "link_id", "link_expiry_time", "validity_duration", "user_id")
	return out, err
}

// Details is what KwikID knows of a session. Body is the whole answer, for the mapping; Session is
// what a caller of this package needs of it.
type Details struct {
	ContentType string
	Body        []byte
	Session     Session
}

// Session is the part of session_data that names a session and its state.
type Session struct {
	SessionID     Text `json:"session_id"`
	SessionStatus Text `json:"session_status"`
	LinkID        Text `json:"link_id"`
	UserID        Text `json:"user_id"`
}

// sessionData is where a session stands in the answer.
type sessionData struct {
	Session Session `json:"session_data"`
}

// GetDetails asks for a session. Safe to repeat.
func (c *Client) GetDetails(ctx context.Context, sessionID string) (Details, error) {
	if sessionID == "" || sessionID == "." || sessionID == ".." {
		return Details{}, &kycbridge.ProviderError{Kind: kycbridge.ProviderInvalid, Call: callDetails}
	}
	var out sessionData
	answer, err := c.authorized(ctx, rest.Call{
		Name: callDetails, Method: http.MethodGet, Repeat: true, Explain: explain,
		URL:   c.config.BaseURL + c.config.AgentPrefix + pathDetails + url.PathEscape(sessionID),
		Check: checked(callDetails, &out, func(d sessionData) Text { return d.Session.SessionID }),
	})
	if err != nil {
		return Details{}, err
	}
	return Details{answer.ContentType, answer.Body, out.Session}, nil
}

// PushUserDataRequest hands in the forms of a digital KYC session.
type PushUserDataRequest struct {
	Data        []FormStep                 `json:"data"`
	Extras      map[string]json.RawMessage `json:"extras,omitempty"`
	PhoneNumber string                     `json:"phone_number"`
	UserID      string                     `json:"user_id"`

	Files []kycbridge.File `json:"-"` // documents and videos that stand in Data or Extras as their marks
}

// FormStep is one form: its groups by name, and their fields by name, spelled as the vendor does.
type FormStep struct {
	StepInfo     StepInfo                     `json:"step_info"`
	UserFormData map[string]map[string]string `json:"user_form_data"`
}

// StepInfo says which form it is.
type StepInfo struct {
	DocType string `json:"doc_type"` // forms
	Label   string `json:"label"`
}

// PushUserDataAnswer is the session that the forms made.
type PushUserDataAnswer struct {
	SessionID Text  `json:"session_id"`
	Track     Track `json:"track"`

	Answer json.RawMessage `json:"-"` // what may be kept of the answer
}

// Track says whose session it is: the user is the one of the request
// (https://doc.app.getkwikid.com/docs/FormFlow/Integrations).
type Track struct {
	UserID    Text `json:"user_id"`
	SessionID Text `json:"session_id"`
}

// UnmarshalJSON takes nothing from what is no object.
func (t *Track) UnmarshalJSON(raw []byte) error {
	type plain Track
	var read plain
	if json.Unmarshal(raw, &read) == nil {
		*t = Track(read)
	}
	return nil
}

// of reports whether nothing in the answer names another user than was sent, or two sessions.
func (p PushUserDataAnswer) of(userID string) bool {
	user, session := string(p.Track.UserID), string(p.Track.SessionID)
	return (user == "" || user == userID) && (session == "" || lowerUUID(session) == lowerUUID(string(p.SessionID)))
}

// PushUserData makes a session from forms. It is sent once: what a second one for the same user does
// is not published.
func (c *Client) PushUserData(ctx context.Context, r PushUserDataRequest) (PushUserDataAnswer, error) {
	call, err := posted(callPush, c.config.BaseURL+c.config.AppPrefix+pathPush, r)
	if err != nil {
		return PushUserDataAnswer{}, err
	}
	call.Files = r.Files
	var out PushUserDataAnswer
	named := checked(callPush, &out, func(p PushUserDataAnswer) Text { return p.SessionID })
	call.Check = func(a rest.Answer) error {
		if err := named(a); err != nil {
			return err
		}
		if !out.of(r.UserID) {
			return errForeign
		}
		return nil
	}
	answer, err := c.authorized(ctx, call)
	out.Answer = rest.Only(answer.Body, "success", "session_id", "track.user_id", "track.session_id")
	return out, err
}
