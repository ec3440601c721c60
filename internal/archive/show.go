package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"time"

	"kycbridge"
)

// Shown is everything that is known of one kept payload.
type Shown struct {
	Entry
	Reference   string                 `json:"reference,omitempty"`
	ContentType string                 `json:"content_type,omitempty"`
	Digest      string                 `json:"digest"`
	Admitted    string                 `json:"admitted,omitempty"` // where the credential stood
	Part        string                 `json:"part,omitempty"`     // of a fetched one
	Trigger     string                 `json:"trigger,omitempty"`
	Headers     map[string]string      `json:"headers,omitempty"`
	Errors      []kycbridge.FieldError `json:"errors,omitempty"`
	Worked      []Worked               `json:"worked,omitempty"`
	Pending     bool                   `json:"pending,omitempty"` // the Normalizer has not come to it yet
	Masked      bool                   `json:"masked"`
	Body        json.RawMessage        `json:"body,omitempty"` // where it is JSON
	Text        string                 `json:"text,omitempty"` // where it is not
}

// Worked is what one attempt at a payload led to.
type Worked struct {
	EventID  string `json:"event_id,omitempty"`
	Revision int    `json:"revision,omitempty"`
	Status   string `json:"status,omitempty"`
	Outcome  string `json:"outcome,omitempty"`
	NoEvent  string `json:"no_event,omitempty"` // why there is none

	New []kycbridge.NewValue `json:"new_values,omitempty"` // what the schema did not know
}

// Show tells everything about a payload. Values about a person are masked unless reveal is set;
// secrets always are.
func (a *Archive) Show(ctx context.Context, k kycbridge.Kept, reveal bool) (Shown, error) {
	s := Shown{
		Entry: entryOf(k), Reference: k.Reference, ContentType: k.ContentType, Digest: k.Digest, Admitted: k.Placement,
		Part: k.Part, Trigger: k.Trigger, Headers: k.Header, Errors: k.Errors, Masked: !reveal,
	}
	s.Body, s.Text = a.body(k, reveal)
	if k.Shelf != kycbridge.ShelfPayloads {
		return s, nil
	}
	return s, a.worked(ctx, k, &s)
}

// worked adds what became of a payload of the log.
func (a *Archive) worked(ctx context.Context, k kycbridge.Kept, s *Shown) error {
	states := map[int]kycbridge.State{}
	key := kycbridge.Key{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID}
	err := a.Events.Revisions(ctx, key, func(state kycbridge.State) error {
		states[state.Data.Revision] = state
		return nil
	})
	if err != nil {
		return err
	}
	// It cannot have been worked before it was received; clocks may differ a little.
	err = a.Ledger.Dispositions(ctx, k.ReceivedAt.Add(-time.Minute), func(d kycbridge.Disposition) error {
		if d.Seq != k.Seq {
			return nil
		}
		w := Worked{Revision: d.Revision, NoEvent: d.Why, New: d.New}
		if d.Revision > 0 {
			w.EventID = kycbridge.EventID(k.VerificationID, d.Revision)
			if state, ok := states[d.Revision]; ok {
				w.Status, w.Outcome = string(state.Data.Status), string(state.Data.Decision.Outcome)
			}
		}
		s.Worked = append(s.Worked, w)
		return nil
	})
	s.Pending = err == nil && len(s.Worked) == 0
	return err
}

// hidden stands for a value about a person, hiddenSecret for one that opens something.
const (
	hidden       = "[masked]"
	hiddenSecret = "[secret]"
)

// body is the body to be shown: as JSON, or as text where it is none.
func (a *Archive) body(k kycbridge.Kept, reveal bool) (json.RawMessage, string) {
	var doc any
	d := json.NewDecoder(bytes.NewReader(k.Body))
	d.UseNumber()
	if d.Decode(&doc) != nil {
		if !reveal {
			return nil, hidden
		}
		return nil, a.withoutSecrets(k, string(k.Body))
	}
	raw, err := json.Marshal(shown("", doc, reveal))
	if err != nil {
		return nil, hidden
	}
	return json.RawMessage(a.withoutSecrets(k, string(raw))), ""
}

// withoutSecrets hides the account's own callback secrets, wherever a provider echoes them.
func (a *Archive) withoutSecrets(k kycbridge.Kept, text string) string {
	account, err := a.Accounts.Find(k.Provider, k.Account)
	if err != nil {
		return text
	}
	c := account.Credentials
	secrets := append(append(append([]string{}, c.Keys...), c.Bearer...), c.URLTokens...)
	secrets = append(secrets, c.HMAC.Secrets...)
	for _, b := range c.Basic {
		secrets = append(secrets, b.Password)
	}
	for _, h := range c.Headers {
		secrets = append(secrets, h.Value)
	}
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, hiddenSecret)
		}
	}
	return text
}

// shown copies a decoded body with secrets hidden, and with everything hidden that may be about a
// person unless reveal is set. What a value is about is told by its key alone, so a key that is not
// known hides its value.
func shown(key string, v any, reveal bool) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, member := range v {
			out[k] = shown(k, member, reveal)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = shown(key, item, reveal)
		}
		return out
	case bool, nil:
		return v
	}
	folded := fold(key)
	switch {
	case secretKey(folded):
		return hiddenSecret
	case reveal || plainKey(folded):
		return v
	}
	return hidden
}

// secretKey reports whether the values of a key open something.
func secretKey(folded string) bool {
	for _, word := range []string{"authkey", "callbackurl", "password", "secret", "token", "apikey", "signature"} {
		if strings.Contains(folded, word) {
			return true
		}
	}
	return false
}

// plainKey reports whether the values of a key name things and states and nobody.
func plainKey(folded string) bool {
	switch folded {
	case "type", "event", "action", "trigger", "step", "result", "progress", "severity", "outcome", "version", "notice",
		"at", "expires_at", "expiresat", "linksent", "createdat", "startedat", "completedat", "updatedat", "modelversion", "country", "countrycode", "documenttype":
		return true
	}
	for _, end := range []string{"status", "decision", "utc", "reason", "journeyid", "sessionid", "verificationid", "identificationid", "applicationid", "setupid", "flowid", "linkid", "eventid", "stepid", "score"} {
		if strings.HasSuffix(folded, end) {
			return true
		}
	}
	return folded == "id"
}

// fold makes the spellings of a key equal.
func fold(key string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", " ", "").Replace(key))
}
