package app

import (
	"bytes"
	"compress/gzip"
	"strings"
	"testing"

	"kycbridge"
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
