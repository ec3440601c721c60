package console

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
)

// TestDay: activity is shown for a day, by account, and not longer.
func TestDay(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	d := NewDay(func() time.Time { return now })
	key := kycbridge.AccountKey{Provider: "ondato", Account: "acme"}
	for range 19 {
		d.Received(key, "accepted", "")
		d.Published(key, event.OutcomeApproved, 20*time.Millisecond)
	}
	d.Received(key, "unauthenticated", "")
	d.Published(key, event.OutcomeRejected, time.Minute)
	d.Called(key, "get_result", "ok", time.Second)
	d.Paused(key, true)
	d.NewValue(key, kycbridge.NewValue{Kind: kycbridge.NewField, Pointer: "/payload/new"})
	d.NewValue(key, kycbridge.NewValue{Kind: kycbridge.NewField, Pointer: "/payload/new"})

	one := d.providers([]Account{{Provider: "ondato", Name: "acme"}}).Rows[0]
	if len(one.Callbacks) != 1 || one.Callbacks[0].Count != 19 || len(one.Refusals) != 1 || one.LastTaken != now ||
		one.LastCall != now ||
		!one.Paused ||
		len(one.Fresh) != 1 {
		t.Errorf("%+v", one)
	}
	charts := d.charts()
	want := []string{"callbacks: 20 in five minutes", "approved: 19 in five minutes", "95 of 100 within: 25 ms"}
	for i, want := range want {
		if !strings.Contains(charts[i].Summary, want) {
			t.Errorf("%q lacks %q", charts[i].Summary, want)
		}
	}
	now = now.Add(24*time.Hour + span)
	if s := d.charts()[0].Summary; !strings.Contains(s, "callbacks: 0 in five minutes") {
		t.Errorf("after a day: %q", s)
	}
	d.Received(key, "accepted", "")
	if s := d.charts()[0].Summary; !strings.Contains(s, "callbacks: 1 in five minutes") {
		t.Errorf("in the same bucket of the next day: %q", s)
	}
}

// TestDayIsBounded: the memory of a day is limited for any input.
func TestDayIsBounded(t *testing.T) {
	d := NewDay(nil)
	for n := range 10_000 {
		d.Received(kycbridge.AccountKey{Provider: "p", Account: fmt.Sprint(n)}, "accepted", "")
		d.Received(kycbridge.AccountKey{Provider: "p", Account: "0"}, fmt.Sprint(n), "")
		d.NewValue(kycbridge.AccountKey{Provider: "p", Account: "0"}, kycbridge.NewValue{Pointer: fmt.Sprint(n)})
	}
	a := d.accounts[kycbridge.AccountKey{Provider: "p", Account: "0"}]
	if len(d.accounts) > maxOthers || len(a.callbacks) > maxKinds || len(a.fresh) > maxNewValues {
		t.Errorf("%d accounts, %d kinds, %d new values", len(d.accounts), len(a.callbacks), len(a.fresh))
	}
}

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "plain", "zwei\nZeilen": "zwei\nZeilen", "a\u202eb": "a⟨U+202E⟩b", "\u200b": "⟨U+200B⟩",
		"\x1b[31m": "⟨U+001B⟩[31m",
		"名前":       "名前", "\ufeffx": "⟨U+FEFF⟩x"} {
		if got := visible(text); got != want {
			t.Errorf("%q is shown as %q", text, got)
		}
	}
	if got := visible(strings.Repeat("ä", 1<<20)); len(got) > maxText+64 || !strings.HasSuffix(got, "2.0 MB in all") {
		t.Errorf("%d bytes, ending in %q", len(got), got[len(got)-40:])
	}
}

// BenchmarkDay is the cost of a callback without viewers.
func BenchmarkDay(b *testing.B) {
	d := NewDay(nil)
	key := kycbridge.AccountKey{Provider: "ondato", Account: "acme"}
	for b.Loop() {
		d.Received(key, "accepted", "")
	}
}
