package kycbridge

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"kycbridge/document"
	"kycbridge/event"
)

// testNaming is an account whose bodies name their verification in "id".
func testNaming() *Account {
	return &Account{Name: "acme", Provider: Provider{
		Name: "naming",
		Read: document.NewReader([]string{"id"}, document.Forms{}).Decode,
		Identify: func(doc document.Object, _ event.Via) Identity {
			return Identity{Reference: doc.Text("id"), Missing: "/id", Document: doc}
		},
		Validate: func(string, document.Object) []FieldError { return nil },
		Verify: func(_ Credentials, r Request) (string, error) {
			if _, err := r.Content(); errors.Is(err, errUnpacked) {
				return "", ErrUnauthenticated
			}
			return "any", nil
		},
	}}
}

// TestReferencesNameOneVerification: a reference that could stand for several is invalid.
func TestReferencesNameOneVerification(t *testing.T) {
	for body, reason := range map[string]string{
		`{"id":"a-1"}`:             "",
		`{"id":"é 1"}`:             "",
		`{"id":"a\ud83d\ude00"}`:   "",
		`{"id":""}`:                QuarantineUnidentified,
		`{"id":" \t\u00a0"}`:       QuarantineUnidentified,
		`{"id":"\u200b"}`:          QuarantineUnidentified,
		`{"id":"\ufeff\u202e"}`:    QuarantineUnidentified,
		`{"id":"\u0000"}`:          QuarantineUnidentified,
		`{"id":"a\ud800"}`:         QuarantineUnidentified,
		`{"id":"a\udc00"}`:         QuarantineUnidentified,
		`{"id":"a\ufffd"}`:         QuarantineUnidentified,
		`{"id":"1","\u0130d":"2"}`: "", // a different letter
	} {
		id, got, faults := (&Intake{}).Examine(testNaming(), Payload{Body: []byte(body)})
		if got != reason || reason != "" && (id.Reference != "" || len(faults) != 1 || faults[0].Path != "/id") {
			t.Errorf("%s: %q %q %v, want %q", body, id.Reference, got, faults, reason)
		}
	}
}

// acceptAll is a log and a quarantine that accept everything.
type acceptAll struct{ reason string }

func (*acceptAll) Append(context.Context, Payload) (Stored, error) { return Stored{}, nil }

func (q *acceptAll) Quarantine(_ context.Context, _ Payload, reason string, _ []FieldError) error {
	q.reason = reason
	return nil
}

// packedBy compresses a body.
func packedBy(t *testing.T, encoding, body string) string {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	switch encoding {
	case "gzip":
		w = gzip.NewWriter(&out)
	case "zlib":
		w = zlib.NewWriter(&out)
	default:
		w, _ = flate.NewWriter(&out, flate.BestSpeed)
	}
	_, err := io.WriteString(w, body)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestPackedBodiesAreReadWhole: bytes after the end of a compressed body are not ignored, and a body may
// unpack up to the receiver's limit, before and after its authentication.
func TestPackedBodiesAreReadWhole(t *testing.T) {
	const body = `{"id":"a-1"}`
	large := body + strings.Repeat(" ", 3<<20)
	for name, c := range map[string]struct{ encoding, body, reason string }{
		"gzip":                {"gzip", packedBy(t, "gzip", body), ""},
		"gzip in two members": {"gzip", packedBy(t, "gzip", body[:4]) + packedBy(t, "gzip", body[4:]), ""},
		"zlib":                {"deflate", packedBy(t, "zlib", body), ""},
		"bare":                {"deflate", packedBy(t, "bare", body), ""},
		"large":               {"gzip", packedBy(t, "gzip", large), ""},
		"gzip and more":       {"gzip", packedBy(t, "gzip", body) + "x", QuarantineMalformed},
		"zlib and more":       {"deflate", packedBy(t, "zlib", body) + "x", QuarantineMalformed},
		"zlib twice": {"deflate", packedBy(t, "zlib", body) + packedBy(t, "zlib", `{"id":"a-2"}`),
			QuarantineMalformed},
		"bare and more":         {"deflate", packedBy(t, "bare", body) + "x", QuarantineMalformed},
		"cut short":             {"deflate", packedBy(t, "zlib", body)[:9], QuarantineMalformed},
		"packed by two filters": {"gzip", packedBy(t, "gzip", packedBy(t, "gzip", body)), QuarantineMalformed},
	} {
		shelf := &acceptAll{}
		in := &Intake{MaxBody: 4 << 20, Log: shelf, Quarantine: shelf}
		_, err := in.Receive(context.Background(), testNaming(),
			Request{Header: http.Header{"Content-Encoding": {c.encoding}}, Body: []byte(c.body)})
		if err != nil || shelf.reason != c.reason {
			t.Errorf("%s: %v, quarantined as %q, want %q", name, err, shelf.reason, c.reason)
		}
	}
}

// TestAQuarantinedBodyNamesItsVerification: an operator can look for it by the log line of the callback.
func TestAQuarantinedBodyNamesItsVerification(t *testing.T) {
	account := testNaming()
	account.Provider.Validate = func(string, document.Object) []FieldError { return []FieldError{{Path: "/status"}} }
	for body, want := range map[string]string{
		`{"id":"a-1"}`: event.VerificationID("naming", "acme", "a-1"),
		`{"id":""}`:    "",
		`{`:            "",
	} {
		shelf := &acceptAll{}
		receipt, err := (&Intake{Log: shelf, Quarantine: shelf}).Receive(context.Background(), account,
			Request{Body: []byte(body)})
		if err != nil || receipt.Status != ReceiptQuarantined || receipt.VerificationID != want {
			t.Errorf("%s: %v %+v, want quarantined with verification %q", body, err, receipt, want)
		}
	}
}
