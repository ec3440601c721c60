package app

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/archive"
	"kycbridge/test/fixture"
)

// packed is a body in gzip.
func packed(t *testing.T, body string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestPackedBodiesAreShownUnpacked: a compressed body is shown unpacked, and one that parsers could read
// differently as text.
func TestPackedBodiesAreShownUnpacked(t *testing.T) {
	w := newPayloadViewer(t)
	kept := func(reason, encoding string, body []byte) kycbridge.Kept {
		p := kycbridge.Payload{Provider: "ondato", Account: "acme", Body: body, Header: map[string]string{}}
		if encoding != "" {
			p.Header["Content-Encoding"] = encoding
		}
		return kycbridge.Kept{Payload: p, Shelf: kycbridge.ShelfQuarantine, Reason: reason}
	}
	const plain = `{"type":"KycIdentification.Approved","payload":{"status":"Approved"}}`
	for name, c := range map[string]struct {
		kept   kycbridge.Kept
		reveal bool
		want   []string
	}{
		"packed":           {kept("schema", "gzip", packed(t, plain)), false, []string{`"KycIdentification.Approved"`}},
		"packed, revealed": {kept("schema", "gzip", packed(t, plain)), true, []string{`"KycIdentification.Approved"`}},
		"byte order mark":  {kept("schema", "", []byte("\ufeff"+plain)), false, []string{`"KycIdentification.Approved"`}},
		"wrongly packed":   {kept("malformed", "gzip", []byte("plain")), true, []string{"plain"}},
		"two documents":    {kept("malformed", "", []byte(plain+plain)), false, []string{`"text":"[masked]"`}},
		"a name twice": {kept("malformed", "", []byte(`{"status":"first","status":"second"}`)), true,
			[]string{"first", "second"}},
		"an address as name": {kept("schema", "", []byte(`{"203.0.113.7":{"status":"a"},"jane@example.com":1}`)), false,
			[]string{`"*"`, `"* 2"`}},
	} {
		shown, err := w.archive.Show(t.Context(), c.kept, c.reveal)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(inJSON(t, shown), `\"`, `"`)
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %s is not in %s", name, want, text)
			}
		}
		if strings.Contains(text, "203.0") || strings.Contains(text, "jane") {
			t.Errorf("%s: a personal value is shown: %s", name, text)
		}
	}
}

// TestHeadersAreMasked: fields of the request, which are text of the caller, are shown only in known forms.
func TestHeadersAreMasked(t *testing.T) {
	w := newPayloadViewer(t)
	for _, c := range []struct{ name, value, want string }{
		{"User-Agent", "curl/7.88.1", "curl/7.88.1"},
		{"User-Agent", "Apache-HttpClient/4.5.13 (Java/11.0.2)", "Apache-HttpClient/4.5.13 [masked]"},
		{"User-Agent", "Ondato/1.0", "Ondato/1.0"},
		{"User-Agent", "JaneSample/1.0", "[masked]"},
		{"User-Agent", "curl/1988.07.30", "[masked]"},
		{"User-Agent", "jane@example.com", "[masked]"},
		{"X-Request-Id", "5d9cdbe2-14f8-4a3e-9d0a-1f6d6f3f5b11", "5d9cdbe2-14f8-4a3e-9d0a-1f6d6f3f5b11"},
		{"X-Request-Id", "Jane Sample", "[masked]"},
		{"Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
			"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		{"Traceparent", "00-jane", "[masked]"},
		{"Content-Encoding", "gzip", "gzip"},
		{"Content-Encoding", "jane", "[masked]"},
		{"Content-Type", "application/json; charset=UTF-8", "application/json; charset=UTF-8"},
		{"Content-Type", "application/jane-sample", "[masked]"},
		{"Content-Type", "application/json; name=jane", "[masked]"},
		{"Content-Type", "text/plain; charset=jane", "[masked]"},
	} {
		p := kycbridge.Payload{Provider: "ondato", Account: "acme", Body: []byte("{}")}
		if p.Header = map[string]string{c.name: c.value}; c.name == "Content-Type" {
			p.Header, p.ContentType = nil, c.value
		}
		k := kycbridge.Kept{Payload: p, Shelf: kycbridge.ShelfRefused}
		masked, revealed := w.archive.View(k, false), w.archive.View(k, true)
		if got := masked.Headers[c.name] + masked.ContentType; got != c.want {
			t.Errorf("%s: %s is shown as %s", c.name, c.value, got)
		}
		if got := revealed.Headers[c.name] + revealed.ContentType; got != c.value {
			t.Errorf("%s: %s is revealed as %s", c.name, c.value, got)
		}
	}
}

// TestNamesOfMembersAreMasked: a person's name that is the name of a member is masked in the body, in the paths of its
// faults and in the pointer of a new field, which is logged and counted.
func TestNamesOfMembersAreMasked(t *testing.T) {
	w := newPayloadViewer(t)
	body := `{"ZqxvSample":true,"type":"KycIdentification.Approved","payload":{"status":"Approved","zqxv":{"id":"e1"},` +
		`"Zqxv Sample":1}}`
	p := kycbridge.Payload{ID: "ondato.acme.1", Provider: "ondato", Account: "acme", Via: event.ViaCallback,
		VerificationID: "v", Body: []byte(body)}
	k := kycbridge.Kept{Payload: p, Shelf: kycbridge.ShelfQuarantine,
		Errors: []kycbridge.FieldError{{Path: "/payload/Zqxv/0/id", Message: "must be a string"}}}
	masked, revealed := inJSON(t, w.archive.View(k, false)), inJSON(t, w.archive.View(k, true))
	if strings.Contains(strings.ToLower(masked), "zqxv") || !strings.Contains(masked, `"/payload/*/0/id"`) ||
		!strings.Contains(masked, `"status":"Approved"`) {
		t.Errorf("masked: %s", masked)
	}
	if strings.Count(strings.ToLower(revealed), "zqxv") != 4 {
		t.Errorf("revealed: %s", revealed)
	}
	if found := inJSON(t, w.work(t, p).New); strings.Contains(strings.ToLower(found), "zqxv") ||
		!strings.Contains(found, `/*"`) {
		t.Errorf("new values: %s", found)
	}
}

// TestMemberNamesAreShown: every name in the fixtures is shown, except addresses of computers.
func TestMemberNamesAreShown(t *testing.T) {
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, c := range cases {
		var doc any
		if json.Unmarshal(c.Body, &doc) == nil {
			namesIn(doc, func(name string) { names[name] = true })
		}
		for name := range names {
			if _, err := netip.ParseAddr(name); err != nil && archive.MemberName(name, c.Provider) != name {
				t.Errorf("%s: the name %s is masked: add it to event/personal_names.go", c.Dir(), name)
			}
		}
		clear(names)
	}
}

// namesIn passes the name of every member below v.
func namesIn(v any, each func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			each(name)
			namesIn(inner, each)
		}
	case []any:
		for _, inner := range v {
			namesIn(inner, each)
		}
	}
}

// TestShownSecretsAreHidden: a secret of the account is hidden in every JSON spelling, as text, as a name
// and escaped.
func TestShownSecretsAreHidden(t *testing.T) {
	w := newPayloadViewer(t)
	account := w.accounts[kycbridge.AccountKey{Provider: "signzy", Account: "acme"}]
	account.Credentials.Keys = []string{`k<1>&"2\3`}
	for _, body := range []string{
		`{"x":"is k<1>&\"2\\3"}`, `{"x":"k\u003c1\u003e\u0026\"2\\3"}`, `{"k<1>&\"2\\3":1}`, `no JSON: k<1>&\"2\\3`,
		`no JSON: k<1>&"2\3`,
	} {
		k := kycbridge.Kept{Payload: kycbridge.Payload{Provider: "signzy", Account: "acme", Body: []byte(body)},
			Shelf: kycbridge.ShelfQuarantine}
		shown, err := w.archive.Show(t.Context(), k, true)
		if err != nil {
			t.Fatal(err)
		}
		if text := inJSON(t, shown); !strings.Contains(text, "[secret]") || strings.Contains(text, "k<") ||
			strings.Contains(text, `k\u003c`) {
			t.Errorf("%s: %s", body, text)
		}
	}
}

// TestUnknownAddressesAreShown: the address of a callback to an unknown account is shown, without possible
// credentials.
func TestUnknownAddressesAreShown(t *testing.T) {
	w := newPayloadViewer(t)
	for path, want := range map[string]string{
		"/webhook/ondato/acme":                 `"addressed":"/webhook/ondato/acme"`,
		"/webhooks/ONDATO/Acme/":               `"addressed":"/webhooks/ONDATO/Acme/"`,
		"/hook/7f3a9c1d5e/ondato":              `"addressed":"/hook/*/ondato"`,
		"/webhooks/ondato/jane@example.com":    `"addressed":"/webhooks/ondato/*"`,
		"/webhooks/ondato/\x1b[31m\r\nX-Y: z":  `"addressed":"/webhooks/ondato/*"`,
		"/webhooks/ondato/averylongwordofsome": `"addressed":"/webhooks/ondato/*"`,
	} {
		k := kycbridge.Kept{Payload: kycbridge.Payload{Provider: kycbridge.UnknownAccount,
			Account: kycbridge.UnknownAccount}, Shelf: kycbridge.ShelfRefused,
			Request: &kycbridge.Request{Path: path}}
		shown, err := w.archive.Show(t.Context(), k, false)
		if err != nil {
			t.Fatal(err)
		}
		if text := inJSON(t, shown); !strings.Contains(text, want) {
			t.Errorf("%q: %s", path, text)
		}
	}
}
