package values

import "testing"

func TestPhoneNumber(t *testing.T) {
	for _, c := range []struct{ in, country, want string }{
		{"5550100001", "IN", "+915550100001"},
		{"555 010-0001", "in", "+915550100001"},
		{"5550100001", "LT", "+3705550100001"},
		{"5550100001", "XX", ""},
		{"5550100001", "", ""},
		{"0550100001", "IN", ""}, // a trunk prefix is not part of a number
		{"+915550100001", "LT", "+915550100001"},
		{"00915550100001", "LT", "+915550100001"},
		{"+91 (555) 010.0001", "", "+915550100001"},
		{"915550100001", "IN", ""}, // twelve digits: the country code is ambiguous
		{"555010", "IN", ""},
		{"phone", "IN", ""},
		{"", "IN", ""},
	} {
		if got := PhoneNumber(c.in, c.country); got != c.want {
			t.Errorf("%q in %q: %q, want %q", c.in, c.country, got, c.want)
		}
	}
}

// TestNationalDigits: PhoneNumber reads the national digits back as the same number.
func TestNationalDigits(t *testing.T) {
	for _, tt := range []struct{ number, country, want string }{
		{"+915550100001", "IN", "5550100001"}, {"+15550100001", "US", "5550100001"}, {"+15550100001", "IN", ""},
		{"+91555010000", "IN", ""},
		{"+37060000001", "LT", ""}, {"915550100001", "IN", ""}, {"+91555010000x", "IN", ""}, {"+915550100001", "", ""},
		{"", "IN", ""},
	} {
		got := NationalDigits(tt.number, tt.country)
		if got != tt.want || got != "" && PhoneNumber(got, tt.country) != tt.number {
			t.Errorf("%s in %s: %q", tt.number, tt.country, got)
		}
	}
}
