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
	"kycbridge/document"
	"kycbridge/event"
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
	s := a.View(k, reveal)
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

// discreet is text if it may be shown.
func discreet(text string, harmless bool) string {
	if text == "" || harmless {
		return text
	}
	return hidden
}

// hidden stands for a value about a person, hiddenSecret for one that opens something.
const (
	hidden       = "[masked]"
	hiddenSecret = "[secret]"
)

// body is the body to be shown, unpacked: as JSON, or as text where it is none or where several readers of
// that JSON would see different things.
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

// words are the places of a payload at which words stand, as far as anything is known of it.
func (a *Archive) words(k kycbridge.Kept) map[string]bool {
	account, err := a.Accounts.Find(k.Provider, k.Account)
	if err != nil || k.Notice || account.Provider.Words == nil {
		return nil
	}
	return account.Provider.Words(k.Payload)
}

// secrets are the callback secrets of the account, as they are and as JSON may write them.
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
		_ = e.Encode(secret) // a string always encodes
		e.SetEscapeHTML(false)
		_ = e.Encode(secret)
		for line := range strings.Lines(escaped.String()) {
			secrets = append(secrets, strings.Trim(line, "\"\n"))
		}
	}
	return secrets
}

// withoutSecrets hides secrets wherever a provider echoes them.
func withoutSecrets(text string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, hiddenSecret)
		}
	}
	return text
}

// viewer copies a decoded body for somebody to look at.
type viewer struct {
	words    map[string]bool // places of words, see kycbridge.Provider
	provider string
	secrets  []string
	reveal   bool
}

// shown is v with secrets hidden, and with everything hidden that may be about a person unless that is to
// be revealed. Pointer is the place of v in lower case, key the name of the member that it belongs to.
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

// name is the name of a member as it is shown. One that may be about a person, as an address of somebody's
// machine is, becomes a star; further ones in the same object are numbered.
func (w viewer) name(name string, taken map[string]any) string {
	shown := withoutSecrets(name, w.secrets)
	if !w.reveal {
		shown = document.Presentable(shown)
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

// harmless reports whether a value may be shown: a word where the provider's schemas list words, and what
// the name of its member promises, if it has the form of that. All else may be about a person.
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

// pointerEscapes writes a name as a part of a JSON pointer.
var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// secretKey reports whether the values of a key open something.
func secretKey(folded string) bool {
	for _, word := range []string{"authkey", "callbackurl", "password", "secret", "token", "apikey", "signature"} {
		if strings.Contains(folded, word) {
			return true
		}
	}
	return false
}

// fold makes the spellings of a key equal.
func fold(key string) string { return strings.ToLower(joiners.Replace(key)) }

var joiners = strings.NewReplacer("_", "", "-", "", " ", "")
