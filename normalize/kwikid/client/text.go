package client

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Text is a scalar of KwikID: the vendor sends the same value as a string in one place, as a number in another,
// and as null if it is missing. A value that is not a scalar is read as empty.
type Text string

// UnmarshalJSON never fails on valid JSON.
func (t *Text) UnmarshalJSON(raw []byte) error {
	raw = bytes.TrimSpace(raw)
	*t = ""
	if len(raw) == 0 {
		return nil
	}
	switch raw[0] {
	case '"':
		return json.Unmarshal(raw, (*string)(t))
	case '{', '[', 'n':
		return nil
	}
	*t = Text(raw)
	return nil
}

// number returns the integer part of the number in t, or 0.
func (t Text) number() int {
	whole, _, _ := strings.Cut(string(t), ".")
	n, err := strconv.Atoi(whole)
	if err != nil {
		return 0
	}
	return n
}

// Flag is KwikID's boolean: 1 or 0, as a number in the video flow and as text in the form flow
// (https://doc.app.getkwikid.com/docs/FormFlow/Integrations).
type Flag struct{ On, AsText bool }

// MarshalJSON writes 1, 0, "1" or "0".
func (f Flag) MarshalJSON() ([]byte, error) {
	digit := "0"
	if f.On {
		digit = "1"
	}
	if f.AsText {
		digit = `"` + digit + `"`
	}
	return []byte(digit), nil
}

// seconds reads a time from seconds since 1970, with or without a fraction, or from an ISO 8601 time; it
// returns the zero time if t is neither.
func seconds(t Text) time.Time {
	if at, err := time.Parse(time.RFC3339Nano, string(t)); err == nil {
		return at.UTC()
	}
	whole, fraction, _ := strings.Cut(string(t), ".")
	s, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || s <= 0 || s > 1<<40 {
		return time.Time{}
	}
	nanos, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if err != nil || nanos < 0 {
		return time.Time{}
	}
	return time.Unix(s, nanos).UTC()
}
