package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"kycbridge"
	"kycbridge/internal/rest"
)

// SendLinkRequest creates a session and a link to it. KwikID sends the link to the applicant if
// SendNotification is on.
type SendLinkRequest struct {
	UserID           string                     `json:"user_id"`
	PhoneNumber      string                     `json:"phone_number"`
	SendNotification Flag                       `json:"send_notification"`
	LinkType         string                     `json:"link_type"`
	SessionType      string                     `json:"session_type,omitempty"`
	Origin           string                     `json:"origin,omitempty"`
	Extras           map[string]json.RawMessage `json:"extras,omitempty"`

	Files []kycbridge.File `json:"-"` // Extras contains their marks
}

// Link is a session that was created. In the vendor's own sample the phone number and the user of the answer
// differ from those of the request, so neither is compared.
type Link struct {
	SessionID        Text `json:"session_id"`
	LinkID           Text `json:"link_id"`
	LinkURL          Text `json:"link_url"`         // already percent-encoded; to be returned unchanged
	LinkExpiryTime   Text `json:"link_expiry_time"` // seconds since 1970, with a fraction
	ValidityDuration Text `json:"validity_duration"`
	PhoneNumber      Text `json:"phone_number"`
	UserID           Text `json:"user_id"`

	Answer json.RawMessage `json:"-"` // what may be kept of the answer: not the link, and not the phone number
}

// SendLink creates a session. It is sent once: a second link ends the session of the first link.
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

// Details is the answer about a session. Body is the whole answer, for the mapping; Session is the part that
// a caller of this package needs.
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

// sessionData is the envelope of a session in the answer.
type sessionData struct {
	Session Session `json:"session_data"`
}

// GetDetails fetches a session. It is safe to repeat.
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

// PushUserDataRequest submits the forms of a digital KYC session.
type PushUserDataRequest struct {
	Data        []FormStep                 `json:"data"`
	Extras      map[string]json.RawMessage `json:"extras,omitempty"`
	PhoneNumber string                     `json:"phone_number"`
	UserID      string                     `json:"user_id"`

	Files []kycbridge.File `json:"-"` // documents and videos; Data or Extras contains their marks
}

// FormStep is one form: its groups by name, and their fields by name, in the vendor's spelling.
type FormStep struct {
	StepInfo     StepInfo                     `json:"step_info"`
	UserFormData map[string]map[string]string `json:"user_form_data"`
}

// StepInfo identifies the form.
type StepInfo struct {
	DocType string `json:"doc_type"` // always "forms"
	Label   string `json:"label"`
}

// PushUserDataAnswer is the session that was created from the forms.
type PushUserDataAnswer struct {
	SessionID Text  `json:"session_id"`
	Track     Track `json:"track"`

	Answer json.RawMessage `json:"-"` // what may be kept of the answer
}

// Track names the user of the session, who is the user of the request
// (https://doc.app.getkwikid.com/docs/FormFlow/Integrations).
type Track struct {
	UserID    Text `json:"user_id"`
	SessionID Text `json:"session_id"`
}

// UnmarshalJSON ignores a value that is not an object of this form.
func (t *Track) UnmarshalJSON(raw []byte) error {
	type plain Track
	var read plain
	if json.Unmarshal(raw, &read) == nil {
		*t = Track(read)
	}
	return nil
}

// of reports whether the answer is about the user that was sent and about one session; a missing value counts
// as a match.
func (p PushUserDataAnswer) of(userID string) bool {
	user, session := string(p.Track.UserID), string(p.Track.SessionID)
	return (user == "" || user == userID) && (session == "" || lowerUUID(session) == lowerUUID(string(p.SessionID)))
}

// PushUserData creates a session from forms. It is sent once: the effect of a second one for the same user is
// not documented.
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
