package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/event"
)

// Shown is everything that is known of one stored payload.
type Shown struct {
	Entry
	Reference   string                 `json:"reference,omitempty"`
	ContentType string                 `json:"content_type,omitempty"`
	Digest      string                 `json:"digest"`
	Admitted    string                 `json:"admitted,omitempty"` // the position of the credential
	Part        string                 `json:"part,omitempty"`     // of a fetched payload
	Trigger     string                 `json:"trigger,omitempty"`
	Headers     map[string]string      `json:"headers,omitempty"`
	Errors      []kycbridge.FieldError `json:"errors,omitempty"`
	Worked      []Worked               `json:"worked,omitempty"`
	Pending     bool                   `json:"pending,omitempty"` // not processed yet
	Masked      bool                   `json:"masked"`
	Body        json.RawMessage        `json:"body,omitempty"` // if it is JSON
	Text        string                 `json:"text,omitempty"` // if it is not JSON
}

// Worked is the result of one processing attempt.
type Worked struct {
	EventID  string `json:"event_id,omitempty"`
	Revision int    `json:"revision,omitempty"`
	Status   string `json:"status,omitempty"`
	Outcome  string `json:"outcome,omitempty"`
	NoEvent  string `json:"no_event,omitempty"` // why it led to no event

	New []kycbridge.NewValue `json:"new_values,omitempty"` // values that the schema did not know
}

// Show returns everything about a payload. Personal values are masked unless reveal is set; secrets always
// are.
func (a *Archive) Show(ctx context.Context, k kycbridge.Kept, reveal bool) (Shown, error) {
	s := a.View(k, reveal)
	if k.Shelf != kycbridge.ShelfPayloads {
		return s, nil
	}
	return s, a.worked(ctx, k, &s)
}

// worked adds the results of a payload of the log.
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
	// It cannot have been processed before it was received; clocks may differ a little.
	err = a.DispositionLog.Dispositions(ctx, k.ReceivedAt.Add(-time.Minute), func(d kycbridge.Disposition) error {
		if d.Seq != k.Seq || !d.Of(k.ID, k.ReceivedAt) {
			return nil
		}
		w := Worked{Revision: d.Revision, NoEvent: d.Why, New: d.New}
		if d.Revision > 0 {
			w.EventID = event.ID(k.VerificationID, d.Revision)
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

// maskUnless is text if it is harmless, else a mask.
func maskUnless(text string, harmless bool) string {
	if text == "" || harmless {
		return text
	}
	return hidden
}

// hidden replaces a personal value, hiddenSecret a secret.
const (
	hidden       = "[masked]"
	hiddenSecret = "[secret]"
)

// body is the visible body, unpacked: as JSON, or as text if it is not JSON or if parsers would disagree about it.
func (a *Archive) body(k kycbridge.Kept, reveal bool) (json.RawMessage, string) {
	content, err := k.Content()
	if err != nil {
		content = k.Body
	}
	var doc any
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(content, []byte("\ufeff"))))
	d.UseNumber()
	whole := d.Decode(&doc) == nil && errors.Is(d.Decode(&struct{}{}), io.EOF)
	switch secrets := a.secrets(k); {
	case !reveal && !whole:
		return nil, hidden
	case reveal && (!whole || k.Reason == kycbridge.QuarantineMalformed):
		return nil, withoutSecrets(string(content), secrets)
	default:
		raw, err := json.Marshal(viewer{a.words(k), k.Provider, secrets, reveal}.shown("", "", doc))
		if err != nil {
			return nil, hidden
		}
		return json.RawMessage(raw), ""
	}
}

// words are the pointers of a payload at which the schemas list words.
func (a *Archive) words(k kycbridge.Kept) map[string]bool {
	account, err := a.Accounts.Find(k.Provider, k.Account)
	if err != nil || k.Notice || account.Provider.Words == nil {
		return nil
	}
	return account.Provider.Words(k.Payload)
}

// secrets are the callback secrets of the account, plain and JSON-escaped.
func (a *Archive) secrets(k kycbridge.Kept) []string {
	account, err := a.Accounts.Find(k.Provider, k.Account)
	if err != nil {
		return nil
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
		var escaped strings.Builder
		e := json.NewEncoder(&escaped)
		_ = e.Encode(secret) // encoding a string never fails
		e.SetEscapeHTML(false)
		_ = e.Encode(secret)
		for line := range strings.Lines(escaped.String()) {
			secrets = append(secrets, strings.Trim(line, "\"\n"))
		}
	}
	return secrets
}

// withoutSecrets masks secrets that a provider repeats in a body.
func withoutSecrets(text string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, hiddenSecret)
		}
	}
	return text
}

// viewer copies a decoded body in its visible form.
type viewer struct {
	words    map[string]bool // pointers of words, see kycbridge.Provider
	provider string
	secrets  []string
	reveal   bool
}

// shown is v with secrets masked and, unless reveal is set, also everything that may be personal. pointer is the
// pointer of v in lower case, key the name of the member that it belongs to.
func (w viewer) shown(pointer, key string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			out[w.name(k, out)] = w.shown(pointer+"/"+strings.ToLower(pointerEscapes.Replace(k)), k, v[k])
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = w.shown(pointer+"/"+strconv.Itoa(i), key, item)
		}
		return out
	}
	_, isBool := v.(bool)
	switch {
	case v == nil || isBool:
		return v
	case secretKey(fold(key)):
		return hiddenSecret
	case !w.reveal && !w.harmless(pointer, key, v):
		return hidden
	}
	if text, ok := v.(string); ok {
		return withoutSecrets(text, w.secrets)
	}
	return v
}

// name is the visible name of a member. A possibly personal name, such as that of a person or the address of a
// person's computer, becomes a star; further ones in the same object are numbered.
func (w viewer) name(name string, taken map[string]any) string {
	shown := withoutSecrets(name, w.secrets)
	if !w.reveal {
		shown = MemberName(shown, w.provider)
	}
	if shown == name {
		return name
	}
	first := shown
	for n := 2; taken[shown] != nil; n++ {
		shown = first + " " + strconv.Itoa(n)
	}
	return shown
}

// harmless reports whether a value may be shown: a known word at a pointer where the provider's schemas list words,
// or a value whose form matches the name of its member. Everything else may be personal.
func (w viewer) harmless(pointer, key string, v any) bool {
	if isWord, known := w.words[pointer]; known {
		text, _ := v.(string)
		if number, ok := v.(json.Number); ok {
			text = number.String()
		}
		return text == "" || isWord && event.HarmlessWord(text, w.provider)
	}
	return event.Harmless(key, v)
}

// pointerEscapes escapes a name for a JSON pointer.
var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// secretKey reports whether the values of a key are secrets.
func secretKey(folded string) bool {
	for _, word := range []string{"authkey", "callbackurl", "password", "secret", "token", "apikey", "signature"} {
		if strings.Contains(folded, word) {
			return true
		}
	}
	return false
}

// fold normalizes the spelling of a key.
func fold(key string) string { return strings.ToLower(joiners.Replace(key)) }

var joiners = strings.NewReplacer("_", "", "-", "", " ", "")
