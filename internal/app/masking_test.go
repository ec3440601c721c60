package app

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/archive"
	"kycbridge/schemas"
	"kycbridge/test/fixture"
	"kycbridge/test/wait"
)

// seeds are forms in which a person's name may appear in any field of a provider. None has a digit, so
// none can be taken for an id.
var seeds = []string{"Zqxv Sample", "ZQXV", "zqxv_sample", "Approved Zqxv", "zqxv@example.com"}

// TestPersonalValuesAreMasked puts a name into every leaf of every fixture, one at a time and into all,
// and searches for it in the output without --reveal: the payload, its new values, and the differences
// between the event of the fixture and that of the changed body.
func TestPersonalValuesAreMasked(t *testing.T) {
	w := newPayloadViewer(t)
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	bodies, events := 0, 0
	for _, c := range cases {
		var doc any
		d := json.NewDecoder(bytes.NewReader(c.Body))
		d.UseNumber()
		if d.Decode(&doc) != nil {
			continue
		}
		before := w.event(w.work(t, w.payload(c, c.Body)))
		n := leaves(doc)
		for at := -1; at < n; at++ {
			if wait.Race && at%8 > 0 {
				continue
			}
			for i, seed := range seeds {
				if at >= 0 && i > 0 && (at+i)%len(seeds) != 0 {
					continue // each leaf takes the first and one of the others
				}
				body := seeded(t, doc, at, seed)
				done := w.work(t, w.payload(c, body))
				bodies++
				if done.Event != nil {
					events++
				}
				text := w.shows(t, c, body, before, done)
				if found := strings.Index(strings.ToLower(text), "zqxv"); found >= 0 {
					t.Errorf("%s, leaf %d, %q: ...%s...", c.Dir(), at, seed, text[max(0, found-160):min(len(text), found+40)])
				}
			}
		}
	}
	leastBodies, leastEvents := 2000, 1000
	if wait.Race {
		leastBodies, leastEvents = leastBodies/8, leastEvents/8
	}
	if bodies < leastBodies || events < leastEvents {
		t.Errorf("only %d bodies, %d events: too little to prove anything", bodies, events)
	}
	t.Logf("%d bodies, %d of them with an event", bodies, events)
}

// TestWordsStayVisible: values that name a state, a thing or a time stay visible.
func TestWordsStayVisible(t *testing.T) {
	w := newPayloadViewer(t)
	want := map[string][]string{
		"ondato/kyc-identification-approved": {
			`"type":"KycIdentification.Approved"`, `"status":"Approved"`, `"statusReason":"AutomaticallyIdentified"`,
			`"name":"NotUnder18"`,
			`"key":"FirstName"`, `"isValid":true`, `"createdUtc":"2026-`,
			`"identityVerificationId":"b0000000-0000-4000-8000-000000000001"`, `"type":"DriverLicense"`,
		},
		"signzy/callback-completed": {`"currentStatus":"COMPLETED"`, `"step":"COMPLETE"`,
			`"journeyId":"AB12CD34EF"`, `"completedAt":17`, `"docType":"True"`, `"matchPercentage":"97.50%"`},
		"signzy/back-office-accepted": {`"status":"accept"`, `"id":"64a0000000000000000000a1"`, `"actionTime":17`,
			`"isDeleted":false`},
		"idwise/journey-result-complete": {`"system_decision":"Complete"`, `"result":"Passed"`,
			`"journey_id":"65f000000000000000000001"`, `"read_accuracy":"High"`},
		"kwikid/get-details-approved": {`"session_status":"kyc_result_approved"`, `"session_id":"5e551000-`,
			`"title":"Pan Card"`, `"start_time":"17`, `"status":200`},
		"idwise/verification-update-required": {`"event":"Verification Update Required"`, `"trigger":"Manual Review"`,
			`"stepId":"0"`},
	}
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		text := w.shown(t, c, c.Body)
		for _, word := range want[c.Dir()] {
			if !strings.Contains(text, word) {
				t.Errorf("%s does not show %s:\n%s", c.Dir(), word, text)
			}
		}
		delete(want, c.Dir())
	}
	for dir := range want {
		t.Errorf("there is no %s", dir)
	}
}

// TestLoginAddressesStayHidden: addresses with which an applicant logs in are credentials: without --reveal no part
// of them is shown, nor in new values and differences.
func TestLoginAddressesStayHidden(t *testing.T) {
	w := newPayloadViewer(t)
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, c := range cases {
		if !strings.HasPrefix(c.Dir(), "signzy/back-office-") {
			continue
		}
		seen++
		text := w.shows(t, c, c.Body, nil, w.work(t, w.payload(c, c.Body)))
		for _, part := range []string{"synthetic-login", "go.example.com", "s.example.com", "/al/"} {
			if strings.Contains(text, part) {
				t.Errorf("%s shows %q:\n%s", c.Dir(), part, text)
			}
		}
	}
	if seen < 8 {
		t.Errorf("only %d cases", seen)
	}
}

// TestVocabulary: every word in a schema may be shown, and so may the content of events outside of the
// personal members.
func TestVocabulary(t *testing.T) {
	w := newPayloadViewer(t)
	for folder, names := range w.set.Names() {
		for _, name := range names {
			if name == "start" || name == "push_user_data" {
				continue // schemas of requests
			}
			raw, _ := w.set.Source(folder, name)
			var schema any
			if err := json.Unmarshal(raw, &schema); err != nil {
				t.Fatal(err)
			}
			eachWord(schema, func(word string) {
				if !event.HarmlessWord(word, folder) {
					t.Errorf("%s/%s: %q is not of the vocabulary", folder, name, word)
				}
			})
		}
	}
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		e := w.event(w.work(t, w.payload(c, c.Body)))
		if e == nil {
			continue
		}
		for _, d := range event.Differences(nil, e) {
			if d.Personal && !slices.ContainsFunc(masked, func(place string) bool { return strings.HasPrefix(d.Path, place) }) {
				t.Errorf("%s: %s is masked: %s", c.Dir(), d.Path, inJSON(t, d.Masked()))
			}
		}
	}
}

// masked are the pointers of an event at which something is masked in fixtures.
var masked = []string{"/external_reference", "/documents", "/extracted_claims", "/media", "/session", "/extensions"}

// eachWord calls see with each word in a schema that is not personal.
func eachWord(v any, see func(string)) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			eachWord(item, see)
		}
	case map[string]any:
		for _, keyword := range []string{"x-words", "enum"} {
			list, _ := v[keyword].([]any)
			for _, item := range list {
				if word, ok := item.(string); ok && v["x-personal"] != true && word != "" {
					see(word)
				}
			}
		}
		for _, member := range v {
			eachWord(member, see)
		}
	}
}

// payloadViewer shows payloads with the real providers, schemas and mappings, and a store in memory.
type payloadViewer struct {
	set      *schemas.Set
	accounts kycbridge.Accounts
	archive  *archive.Archive
}

func newPayloadViewer(t *testing.T) *payloadViewer {
	t.Helper()
	set, err := schemas.New()
	if err != nil {
		t.Fatal(err)
	}
	w := &payloadViewer{set: set, accounts: kycbridge.Accounts{}}
	for name, p := range Providers(set) {
		w.accounts[kycbridge.AccountKey{Provider: name, Account: "acme"}] = &kycbridge.Account{
			Name: "acme", Provider: p, Profile: event.ProfileFull, Environment: event.EnvironmentTest,
			Settings: kycbridge.Settings{Own: p.Decode(map[string]any{"back_office": true})}}
	}
	w.archive = &archive.Archive{Accounts: w.accounts}
	return w
}

// payload is a body as the intake would store it.
func (w *payloadViewer) payload(c fixture.Case, body []byte) kycbridge.Payload {
	p := kycbridge.Payload{Provider: c.Provider, Account: "acme", Via: c.Via, Body: body, ReceivedAt: time.Date(2026,
		3, 2, 10, 0, 0, 0, time.UTC)}
	p.Digest = kycbridge.Digest(body)
	provider := w.accounts[kycbridge.AccountKey{Provider: c.Provider, Account: "acme"}].Provider
	var id kycbridge.Identity
	if doc, faults := provider.Read(body); len(faults) == 0 {
		id = provider.Identify(doc, c.Via)
	}
	p.Reference, p.Event = id.Reference, id.Event
	p.ID = kycbridge.PayloadID(c.Provider, "acme", id.EventID, p.Digest)
	p.VerificationID = event.VerificationID(c.Provider, "acme", "the same")
	return p
}

// event is the event of a single payload; nil if it makes none.
func (w *payloadViewer) event(done kycbridge.Processed) *event.Data {
	if done.Event == nil {
		return nil
	}
	return &done.Event.Data
}

func (w *payloadViewer) work(t *testing.T, p kycbridge.Payload) kycbridge.Processed {
	t.Helper()
	n := kycbridge.Normalizer{Accounts: w.accounts, Events: emptyStore{}, Log: emptyStore{}, Quarantine: emptyStore{},
		Mapping: "1", MaxAttempts: 1,
		TypePrefix: "io.kycbridge", SourcePrefix: "/kycbridge", Now: time.Now}
	done, _, _ := n.Work(t.Context(), p, 1)
	return done
}

// shows is everything shown of a payload and of its changes.
func (w *payloadViewer) shows(
	t *testing.T, c fixture.Case, body []byte, before *event.Data, done kycbridge.Processed,
) string {
	t.Helper()
	text := w.shown(t, c, body) + inJSON(t, done.New)
	if after := w.event(done); after != nil {
		text += inJSON(t, WithoutValues(archive.Replayed{Differences: event.Differences(before, after)}))
	}
	return text
}

func (w *payloadViewer) shown(t *testing.T, c fixture.Case, body []byte) string {
	t.Helper()
	kept := kycbridge.Kept{Payload: w.payload(c, body), Shelf: kycbridge.ShelfQuarantine}
	shown, err := w.archive.Show(t.Context(), kept, false)
	if err != nil {
		t.Fatal(err)
	}
	return inJSON(t, shown)
}

func inJSON(t *testing.T, v any) string {
	t.Helper()
	var b strings.Builder
	if err := writeLine(&b, v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// emptyStore is a store without messages.
type emptyStore struct{}

func (emptyStore) Last(context.Context, kycbridge.Key, bool) (kycbridge.State, error) {
	return kycbridge.State{Read: true}, nil
}

func (emptyStore) Publish(context.Context, kycbridge.Key, kycbridge.Outgoing, uint64) error {
	return nil
}

func (emptyStore) History(context.Context, kycbridge.Key, func(kycbridge.Payload) error) error {
	return nil
}

func (emptyStore) WasErased(context.Context, kycbridge.Payload) (bool, error) { return false, nil }

func (emptyStore) Quarantine(context.Context, kycbridge.Payload, string, []kycbridge.FieldError) error {
	return nil
}

// leaves counts the strings and numbers in v.
func leaves(v any) (n int) {
	eachLeaf(v, func(any) any { n++; return nil })
	return n
}

// seeded is a document with a seed in place of one leaf, or of all of them if at is negative.
func seeded(t *testing.T, doc any, at int, seed string) []byte {
	t.Helper()
	n := -1
	body, err := json.Marshal(eachLeaf(doc, func(v any) any {
		if n++; at < 0 || n == at {
			return seed
		}
		return v
	}))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// eachLeaf copies v with every leaf replaced, in a fixed order.
func eachLeaf(v any, replace func(any) any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			out[key] = eachLeaf(v[key], replace)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = eachLeaf(v[i], replace)
		}
		return out
	case nil, bool:
		return v
	}
	return replace(v)
}
