package client

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/internal/rest"
)

// FuzzAnswer reads any body as every answer and every error: nothing fails except with an error, and the
// text that is repeated from the provider is short and on one line.
func FuzzAnswer(f *testing.F) {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e := &kycbridge.ProviderError{Kind: kycbridge.ProviderInvalid, Call: callDetails, Status: 400}
		explain(e, body)
		if len(e.Message) > 300 || strings.ContainsAny(e.Message, "\n\r") || len(e.Fields) > 2*mostFields {
			t.Errorf("%q, %d fields", e.Message, len(e.Fields))
		}
		var link Link
		err := checked(callLink, &link, func(l Link) Text { return l.SessionID })(rest.Answer{Status: 200, Body: body})
		if (err == nil) != (link.SessionID != "") {
			t.Errorf("session %q, error %v", link.SessionID, err)
		}
	})
}

// FuzzText reads any text as a token, a time, a phone number and a scalar.
func FuzzText(f *testing.F) {
	for _, s := range []string{"a.eyJleHAiOjE3NzI0NDI5MDB9.c", "1772442900.1170702", "2026-03-02T09:00:00Z",
		"+91 5550100001", `"x"`, "null", "-1.5", "1e9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		expiry(s, time.Now())
		if at := seconds(Text(s)); !at.IsZero() && at.Year() < -1 {
			t.Errorf("%v", at)
		}
		if number := new(Client).phone(s); strings.Trim(number, "0123456789") != "" {
			t.Errorf("%q is no number", number)
		}
		var scalar Text
		if err := json.Unmarshal([]byte(s), &scalar); err != nil && json.Valid([]byte(s)) {
			t.Error(err)
		}
	})
}
