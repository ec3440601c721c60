package document

import (
	"testing"
	"time"
)

func TestParseTime(t *testing.T) {
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
		"100000000000":                        utc("1973-03-03T09:46:40Z"), // the smallest number read as milliseconds
		"1.7724426E9":                         utc("2026-03-02T09:10:00Z"),
		"":                                    {},
		"0":                                   {},
		"2022":                                {}, // a year is not an epoch time
		"20230126":                            {}, // a compact date is not one either
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
		"2023-01-26T08:12:00+0530":            utc("2023-01-26T02:42:00Z"),
		"2023-01-26 08:12:00 +0530":           utc("2023-01-26T02:42:00Z"),
		"2023-01-26 08:12:00 UTC":             utc("2023-01-26T08:12:00Z"),
		"Thu, 26 Jan 2023 08:12:00 GMT":       utc("2023-01-26T08:12:00Z"),
		"Thu, 26 Jan 2023 08:12:00 XYZ":       {}, // an unknown zone
		"2023-01-26t08:12:00.5z":              utc("2023-01-26T08:12:00.5Z"),
		"2023-01-26T08:12:00z":                utc("2023-01-26T08:12:00Z"),
		"/Date(1772442600250+0530)/":          utc("2026-03-02T09:10:00.25Z"),
	} {
		if got := ParseTime(in); !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("ParseTime(%q) = %v, want %v", in, got, want)
		}
	}
	if got := EpochMillis(1660219200123); !got.Equal(utc("2022-08-11T12:00:00.123Z")) {
		t.Errorf("EpochMillis = %v", got)
	}
	for _, ms := range []float64{0, -1, 1e13, 1e300} {
		if got := EpochMillis(ms); !got.IsZero() {
			t.Errorf("EpochMillis(%v) = %v, want zero", ms, got)
		}
	}
}

func TestParseDate(t *testing.T) {
	for in, want := range map[string]string{
		"1990-02-01": "1990-02-01", "01/02/1990": "1990-02-01", "01-02-1990": "1990-02-01", "01.02.1990": "1990-02-01",
		"01-FEB-1990": "1990-02-01", "01-Feb-1990": "1990-02-01", "1 February 1990": "1990-02-01", "1990/02/01": "1990-02-01",
		"0000-02-29": "0000-02-29", " 1990-02-01 ": "1990-02-01", "2024-02-29": "2024-02-29",
		"1990-02-01T00:00:00Z": "1990-02-01", "1990-02-01 23:59:59+05:30": "1990-02-01",
		"21.06.1990 00:00:00": "1990-06-21", "21-06-1990T00:00:00Z": "1990-06-21", "31.02.1990 00:00": "",
		"02/01/1990 00:00:00": "", "2/1/1990 12:00:00 AM": "", // the month may come first
		"": "", "1990": "", "0000": "", "2023-02-29": "", "31/02/1990": "", "12/31/1990": "", "1990-2-1": "", "90": "",
		"1990-02-01 or so": "", "01-XYZ-1990": "", "NA": "", "19900201": "", "١٩٩٠-٠٢-٠١": "",
	} {
		if got := ParseDate(in); got != want {
			t.Errorf("ParseDate(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzTimes(f *testing.F) {
	for _, seed := range []string{"2023-01-26T08:12:00.962462", "1772442600.25", "1772442600250", "/Date(1772442600250)/",
		"01-FEB-1990", "0000-02-29"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if at := ParseTime(s); !at.IsZero() &&
			(at.Year() < earliestYear || at.Year() > latestYear || at.Location() != time.UTC) {
			t.Errorf("ParseTime(%q) = %v", s, at)
		}
		if day := ParseDate(s); day != "" && day != ParseDate(day) {
			t.Errorf("ParseDate(%q) = %q, which is no day itself", s, day)
		}
	})
}
