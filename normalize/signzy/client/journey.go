package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"kycbridge"
	"kycbridge/internal/rest"
)

// GetJourney requests a journey and returns the answer unchanged, in any wrapper. The answer contains the
// callback's secret and the applicant's data. If Signzy answers 404, the error kind is pending: the journey
// may not have ended, or may not exist.
//
// The documentation says GET, but its cURL sample sends a POST without a body. So if one method is refused,
// the other one is tried once, and used from then on if it was right.
// Source: https://docs.signzy.com/us-apis/get-journey-results
func (c *Client) GetJourney(ctx context.Context, journeyID string) (rest.Answer, error) {
	if journeyID == "" || journeyID == "." || journeyID == ".." {
		return rest.Answer{}, invalid(CallGet, "/reference", "is no journey id", nil)
	}
	method, sure := c.resultMethod()
	answer, err := c.get(ctx, method, journeyID)
	status := statusOf(err)
	if err == nil {
		c.keep(method)
		return answer, nil
	}
	if status != http.StatusMethodNotAllowed && (sure || status != http.StatusNotFound) {
		return rest.Answer{}, err
	}
	return c.getOther(ctx, other(method), journeyID, err)
}

// getOther requests the journey with the other method after the first one was answered with 404 or 405.
func (c *Client) getOther(ctx context.Context, method, journeyID string, first error) (rest.Answer, error) {
	answer, err := c.get(ctx, method, journeyID)
	switch refused := statusOf(err) == http.StatusMethodNotAllowed; {
	case err == nil:
		c.keep(method)
		return answer, nil
	case statusOf(first) == http.StatusNotFound:
		if refused {
			c.keep(other(method)) // the 404 was about the journey
		}
		return rest.Answer{}, first
	case !refused && statusOf(err) != 0:
		c.keep(method)
	}
	return rest.Answer{}, err
}

// resultMethod returns the method to use; sure reports that an answer has confirmed it.
func (c *Client) resultMethod() (method string, sure bool) {
	if kept := c.method.Load(); kept != nil {
		return *kept, true
	}
	return c.config.ResultMethod, false
}

func (c *Client) keep(method string) { c.method.Store(&method) }

func other(method string) string {
	if method == http.MethodGet {
		return http.MethodPost
	}
	return http.MethodGet
}

func statusOf(err error) int {
	var e *kycbridge.ProviderError
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// get sends one request; neither method changes anything at Signzy.
func (c *Client) get(ctx context.Context, method, journeyID string) (rest.Answer, error) {
	return c.rest.Do(ctx, rest.Call{
		Name: CallGet, Method: method, URL: c.url("get-journey/" + url.PathEscape(journeyID)),
		Header: c.header(), Repeat: true, Explain: explainGet, Check: checkJourney(journeyID),
	})
}

// checkJourney checks that the answer is about the requested journey, because answers are stored under the id
// in the body.
func checkJourney(journeyID string) func(rest.Answer) error {
	return func(a rest.Answer) error {
		if err := honest(CallGet, a); err != nil {
			return err
		}
		j, err := find(a)
		if err == nil && string(j.JourneyID) != journeyID {
			err = errors.New("the answer is about another journey")
		}
		return err
	}
}

// layer contains the members that are read of an answer or of one of its wrappers.
type layer struct {
	JourneyID  text     `json:"journeyId"`
	UserID     text     `json:"userId"`
	JourneyURL text     `json:"journeyUrl"`
	CreatedAt  text     `json:"createdAt"`
	TTL        text     `json:"ttl"`
	Version    text     `json:"version"`
	Test       flag     `json:"test"`
	Flow       flowPart `json:"flow"`
	Result     json.RawMessage
	Data       json.RawMessage

	raw json.RawMessage // the object itself
}

// flowPart is the part of an answer about the configured flow.
type flowPart struct {
	Version text `json:"version"`
	Test    flag `json:"test"`
}

// UnmarshalJSON ignores a value that is not an object: the journey is still valid.
func (f *flowPart) UnmarshalJSON(raw []byte) error {
	type plain flowPart
	var read plain
	if json.Unmarshal(raw, &read) == nil {
		*f = flowPart(read)
	}
	return nil
}

// flag is a boolean, or "true" as text in any case; anything else is false.
type flag bool

// UnmarshalJSON never fails.
func (f *flag) UnmarshalJSON(raw []byte) error {
	*f = flag(strings.EqualFold(strings.Trim(string(raw), `"`), "true"))
	return nil
}

// find returns the object that has a journeyId: the answer itself, or its result or data or one within the
// other, in the same order as the mapping. The documentation shows more than one form.
func find(a rest.Answer) (layer, error) {
	var top layer
	if err := a.Decode(&top); err != nil {
		return layer{}, err
	}
	top.raw = a.Body
	result, data := read(top.Result), read(top.Data)
	for _, l := range []layer{top, result, data, read(result.Data), read(data.Result)} {
		if l.JourneyID != "" {
			return l, nil
		}
	}
	return layer{}, errors.New("the answer has no journeyId where one is looked for")
}

// read returns the zero layer if raw is not an object.
func read(raw json.RawMessage) layer {
	var l layer
	if json.Unmarshal(raw, &l) != nil {
		return layer{}
	}
	l.raw = raw
	return l
}

// text is a string or a number; anything else is "".
type text string

// UnmarshalJSON never fails.
func (t *text) UnmarshalJSON(raw []byte) error {
	*t = ""
	var s string
	if json.Unmarshal(raw, &s) == nil {
		*t = text(s)
		return nil
	}
	if n := strings.TrimSpace(string(raw)); n != "" && (n[0] == '-' || '0' <= n[0] && n[0] <= '9') {
		*t = text(n)
	}
	return nil
}
