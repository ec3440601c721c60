package normalize

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestInstant(t *testing.T) {
	utc := func(s string) time.Time {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return at.UTC()
	}
	for in, want := range map[string]time.Time{
		"2023-01-26T08:12:00.962462":          utc("2023-01-26T08:12:00.962462Z"), // no zone: UTC
		"2023-01-26T08:12:00":                 utc("2023-01-26T08:12:00Z"),
		"2023-01-26 08:12:00":                 utc("2023-01-26T08:12:00Z"),
		"2023-01-26T08:12:00Z":                utc("2023-01-26T08:12:00Z"),
		"2023-01-26T08:12:00.123456789Z":      utc("2023-01-26T08:12:00.123456789Z"),
		"2023-01-26T08:12:00.5+05:30":         utc("2023-01-26T02:42:00.5Z"),
		" 2023-01-26T08:12:00Z ":              utc("2023-01-26T08:12:00Z"),
		"1772442600":                          utc("2026-03-02T09:10:00Z"),
		"1772442600.25":                       utc("2026-03-02T09:10:00.25Z"),
		"1772442600.962462":                   utc("2026-03-02T09:10:00.962462Z"),
		"1772442600250":                       utc("2026-03-02T09:10:00.25Z"),
		"100000000000":                        utc("1973-03-03T09:46:40Z"), // the first number taken for milliseconds
		"1.7724426E9":                         utc("2026-03-02T09:10:00Z"),
		"":                                    {},
		"0":                                   {},
		"2022":                                {}, // a year is no epoch
		"20230126":                            {}, // nor is a compact date
		"-1772442600":                         {},
		"99999999999999999999":                {},
		"1e400":                               {},
		"NaN":                                 {},
		"Infinity":                            {},
		"0x7fffffff":                          {},
		"1969-12-31T23:59:59Z":                {},
		"2201-01-01T00:00:00Z":                {},
		"2023-13-26T08:12:00Z":                {},
		"2023-02-30T08:12:00Z":                {},
		"2023-01-26":                          {},
		"26/01/2023 08:12":                    {},
		"null":                                {},
		"2023-01-26T08:12:00Z and then some":  {},
		"0001-01-01T00:00:00Z":                {},
		"2023-01-26T08:12:00.962462 Asia/Foo": {},
	} {
		if got := instant(in); !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("instant(%q) = %v, want %v", in, got, want)
		}
	}
	if got := epochMillis(1660219200123); !got.Equal(utc("2022-08-11T12:00:00.123Z")) {
		t.Errorf("epochMillis = %v", got)
	}
	for _, ms := range []float64{0, -1, 1e13, 1e300} {
		if got := epochMillis(ms); !got.IsZero() {
			t.Errorf("epochMillis(%v) = %v, want zero", ms, got)
		}
	}
}

func TestDate(t *testing.T) {
	for in, want := range map[string]string{
		"1990-02-01": "1990-02-01", "01/02/1990": "1990-02-01", "01-FEB-1990": "1990-02-01", "01-Feb-1990": "1990-02-01",
		"1990": "1990", "0000-02-29": "0000-02-29", " 1990-02-01 ": "1990-02-01", "2024-02-29": "2024-02-29",
		"": "", "0000": "", "2023-02-29": "", "31/02/1990": "", "12/31/1990": "", "1990-2-1": "", "1/2/1990": "", "90": "",
		"1990-02-01T00:00:00Z": "", "01-XYZ-1990": "", "NA": "", "19900201": "", "١٩٩٠": "", "-990": "",
	} {
		if got := date(in); got != want {
			t.Errorf("date(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"2030-01-31": "2030-01-31", "31/01/2030": "2030-01-31", "2030": "", "0000-02-01": ""} {
		if got := wholeDate(in); got != want {
			t.Errorf("wholeDate(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestPercent(t *testing.T) {
	for in, want := range map[string]float64{
		"97.50%": 0.975, "0%": 0, "100%": 1, "99.99%": 0.9999, " 50 % ": 0.5,
	} {
		if got, ok := percent(in); !ok || got != want {
			t.Errorf("percent(%q) = %v, %v, want %v", in, got, ok, want)
		}
	}
	for _, in := range []string{"NA", "", "%", "97.5", "-1%", "100.01%", "1e1%", "1.2.3%", "NaN%", "Inf%", "0x1%", ".%"} {
		if got, ok := percent(in); ok {
			t.Errorf("percent(%q) = %v, want none", in, got)
		}
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]text{
		`"a b"`: "a b", `12`: "12", `1.50`: "1.50", `true`: "true", `false`: "false", `null`: "", `{"a":1}`: "", `[1]`: "", `""`: "",
		`1e21`: "1e21", `"\u00e4"`: "ä",
	} {
		got := text("before")
		if err := json.Unmarshal([]byte(in), &got); err != nil || got != want {
			t.Errorf("text of %s = %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestWords(t *testing.T) {
	if got := fold(" Kyc_Renewal-Deadline\tEXCEEDED"); got != "kycrenewaldeadlineexceeded" {
		t.Errorf("fold = %q", got)
	}
	for in, want := range map[string]string{"": "", "abc": "abc", "abcdef": "abcd", "abcé": "abc", "日本": "日"} {
		if got := clip(in, 4); got != want {
			t.Errorf("clip(%q, 4) = %q, want %q", in, got, want)
		}
	}
	if got := clip("abc", -1); got != "" {
		t.Errorf("clip to less than nothing = %q", got)
	}
	if got := externalReference(strings.Repeat("é", 128)); got == "" {
		t.Error("a reference of 128 characters was dropped")
	}
	if got := externalReference(strings.Repeat("a", 129)); got != "" {
		t.Errorf("a reference of 129 characters was carried: %q", got)
	}
	m := map[string]string{}
	set(m, "a", "1")
	set(m, "b", "")
	if len(m) != 1 || m["a"] != "1" {
		t.Errorf("set made %v", m)
	}
	for want, in := range map[string]any{"x": "x", "12": json.Number("12"), "13": 13.0, "": []any{"x"}} {
		if got := scalarText(in); got != want {
			t.Errorf("scalarText(%v) = %q, want %q", in, got, want)
		}
	}
	if p := ptr(3); *p != 3 {
		t.Errorf("ptr = %d", *p)
	}
	for in, want := range map[string]string{"1234 5678 9012": "9012", "XXXX XXXX 9012": "9012", "12": "12", "": ""} {
		if got := lastFour(in); got != want {
			t.Errorf("lastFour(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzValues(f *testing.F) {
	for _, seed := range []string{
		"2023-01-26T08:12:00.962462", "1772442600.25", "1772442600250", "01-FEB-1990", "31/01/2030", "0000-02-29", "97.50%", "NA",
		`"x"`, "1e9", "日本",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if at := instant(s); !at.IsZero() && (at.Year() < earliestYear || at.Year() > latestYear || at.Location() != time.UTC) {
			t.Errorf("instant(%q) = %v", s, at)
		}
		if d := date(s); d != "" && d != date(d) {
			t.Errorf("date(%q) = %q, which is no date itself", s, d)
		}
		if d := wholeDate(s); d != "" {
			if _, err := time.Parse(time.DateOnly, d); err != nil {
				t.Errorf("wholeDate(%q) = %q", s, d)
			}
		}
		if p, ok := percent(s); ok && !(p >= 0 && p <= 1) {
			t.Errorf("percent(%q) = %v", s, p)
		}
		if fold(fold(s)) != fold(s) {
			t.Errorf("fold(%q) is not stable", s)
		}
		if c := clip(s, 7); len(c) > 7 || !strings.HasPrefix(s, c) || utf8.ValidString(s) && !utf8.ValidString(c) {
			t.Errorf("clip(%q, 7) = %q", s, c)
		}
		var any any
		var scalar text
		if err := json.Unmarshal([]byte(s), &scalar); err != nil && json.Unmarshal([]byte(s), &any) == nil {
			t.Errorf("text of %q: %v", s, err)
		}
	})
}

// fixtureBody reads the body of a case as it lies on disk.
func fixtureBody(t testing.TB, provider, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "test", "fixture", "testdata", provider, name, "body.json"))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// seedFixtures gives a fuzz target every body of a provider.
func seedFixtures(f *testing.F, provider string) {
	paths, err := filepath.Glob(filepath.Join("..", "test", "fixture", "testdata", provider, "*", "body.json"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no fixtures of %s: %v", provider, err)
	}
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
}

// docTree decodes a body as the intake does.
func docTree(t testing.TB, body []byte) any {
	t.Helper()
	var doc any
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}
