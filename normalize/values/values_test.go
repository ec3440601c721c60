package values

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"kycbridge/event"
)

func TestPercent(t *testing.T) {
	for in, want := range map[string]float64{
		"97.50%": 0.975, "0%": 0, "100%": 1, "99.99%": 0.9999, " 50 % ": 0.5,
	} {
		if got, ok := Percent(in); !ok || got != want {
			t.Errorf("percent(%q) = %v, %v, want %v", in, got, ok, want)
		}
	}
	for _, in := range []string{"NA", "", "%", "97.5", "-1%", "100.01%", "1e1%", "1.2.3%", "NaN%", "Inf%", "0x1%", ".%"} {
		if got, ok := Percent(in); ok {
			t.Errorf("percent(%q) = %v, want none", in, got)
		}
	}
}

func TestWords(t *testing.T) {
	if got := Fold(" Kyc_Renewal-Deadline\tEXCEEDED"); got != "kycrenewaldeadlineexceeded" {
		t.Errorf("fold = %q", got)
	}
	for in, want := range map[string]string{"": "", "abc": "abc", "abcdef": "abcd", "abcé": "abc", "日本": "日"} {
		if got := Clip(in, 4); got != want {
			t.Errorf("clip(%q, 4) = %q, want %q", in, got, want)
		}
	}
	if got := Clip("abc", -1); got != "" {
		t.Errorf("clip to less than nothing = %q", got)
	}
	if got := ExternalReference(strings.Repeat("é", 128)); got == "" {
		t.Error("a reference of 128 characters was dropped")
	}
	if got := ExternalReference(strings.Repeat("a", 129)); got != "" {
		t.Errorf("a reference of 129 characters was carried: %q", got)
	}
	m := map[string]string{}
	Set(m, "a", "1")
	Set(m, "b", "")
	if len(m) != 1 || m["a"] != "1" {
		t.Errorf("set made %v", m)
	}
	for want, in := range map[string]any{"x": "x", "12": json.Number("12"), "13": 13.0, "": []any{"x"}} {
		if got := ScalarText(in); got != want {
			t.Errorf("scalarText(%v) = %q, want %q", in, got, want)
		}
	}
	if p := Ptr(3); *p != 3 {
		t.Errorf("ptr = %d", *p)
	}
	for in, want := range map[string]string{"1234 5678 9012": "9012", "XXXX XXXX 9012": "9012", "12": "12", "": ""} {
		if got := LastFour(in); got != want {
			t.Errorf("lastFour(%q) = %q, want %q", in, got, want)
		}
	}
}

// TestCutNumber: of an Aadhaar number at the place of the cut at most the last four digits remain.
func TestCutNumber(t *testing.T) {
	pad := strings.Repeat("s", MaxCode-12)
	for in, want := range map[string]string{
		pad + " 234567890124":         pad + " XXXXXXXX012",
		pad + " 2345-6789-0124 India": pad + " XXXXXXXX012",
		pad + " 234567890125":         pad + " 23456789012", // a wrong check digit: no Aadhaar number
	} {
		if got := Clip(in, MaxCode); got != want {
			t.Errorf("clip(%q) = %q, want %q", in, got, want)
		}
	}
	pad = strings.Repeat("s", MaxLabel-12)
	if got := Snake(pad + " 234567890124"); strings.Contains(got, "2345") {
		t.Errorf("snake = %q", got)
	}
}

func FuzzValues(f *testing.F) {
	for _, seed := range []string{"01-FEB-1990", "31/01/2030", "0000-02-29", "1990", "97.50%", "NA", "1e9", "日本"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		dates := NewDates(time.Time{})
		if d := dates.Birth(s); d != "" && d != dates.Birth(d) {
			t.Errorf("birth(%q) = %q, which is no date itself", s, d)
		}
		if d := dates.Expiry(s); d != "" {
			if _, err := time.Parse(time.DateOnly, d); err != nil {
				t.Errorf("expiry(%q) = %q", s, d)
			}
		}
		if p, ok := Percent(s); ok && !(p >= 0 && p <= 1) {
			t.Errorf("percent(%q) = %v", s, p)
		}
		if Fold(Fold(s)) != Fold(s) {
			t.Errorf("fold(%q) is not stable", s)
		}
		if c := Clip(s, 7); len(c) > 7 || !strings.HasPrefix(event.HideAadhaar(s), c) ||
			utf8.ValidString(s) && !utf8.ValidString(c) {
			t.Errorf("clip(%q, 7) = %q", s, c)
		}
	})
}
