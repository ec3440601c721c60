package kycbridge

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kycbridge/event"
)

// TestUntimedEventsUseReceiptTime: an untrusted time is not in the event.
func TestUntimedEventsUseReceiptTime(t *testing.T) {
	f := fact(0, ahead(bySystem(event.OutcomeApproved)))
	d, _, _ := Next(nil, f)
	if d.Provider.Event.OccurredAt != "" || !f.eventTime().Equal(f.ReceivedAt) {
		t.Errorf("occurred at %s, the event is of %s", d.Provider.Event.OccurredAt, f.eventTime())
	}
}

// TestRecall: the memory that is derived from an event without one.
func TestRecall(t *testing.T) {
	eventOf := func(f Fact) *event.Event {
		d, kind, _ := Next(nil, f)
		return &event.Event{Type: "io.kycbridge.verification." + string(kind) + ".v1", Data: d.Data}
	}
	withDate := bySystem(event.OutcomeReview)
	withDate.Decision.DecidedAt = event.Instant(noon)
	then := noon.Add(5 * time.Minute)
	cases := map[string]struct {
		e       *event.Event
		hasFact bool
		until   time.Time
		verdict time.Time
	}{
		"a verdict":                        {eventOf(at(5, rejected())), true, then, then},
		"a verdict that we asked for":      {eventOf(looked(5, rejected())), true, then, then},
		"an undecided review with a date":  {eventOf(at(5, withDate)), true, then, noon},
		"progress":                         {eventOf(at(5, progress(event.StatusInProgress))), true, then, time.Time{}},
		"our watch, which sets no instant": {eventOf(notice(5, NoticeWatched)), false, time.Time{}, time.Time{}},
		"our end, which sets no instant":   {eventOf(notice(5, NoticeDeadline)), false, time.Time{}, time.Time{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := Recall(tc.e, "", noon.Add(5*time.Minute), tc.e.Data.Payload.ID)
			var verdict time.Time
			if m.Verdict != nil {
				verdict = m.Verdict.At
			}
			if m.HasProviderFact != tc.hasFact || !m.Until.Equal(tc.until) || !verdict.Equal(tc.verdict) {
				t.Errorf("fact %v, until %v, verdict of %v", m.HasProviderFact, m.Until, verdict)
			}
			if strings.Contains(name, "our end") != (m.Before != nil) {
				t.Errorf("before: %+v", m.Before)
			}
		})
	}
}

// TestMemoryRoundTrips: an encoded memory is read back the same, and is plain text.
func TestMemoryRoundTrips(t *testing.T) {
	last, _ := run(t, at(1, of("1", resubmit())), at(2, mentions(event.OutcomeNone)),
		looked(20, progress(event.StatusInProgress)),
		notice(90, NoticeDeadline))
	last.Memory.Before.Reasons = []event.Reason{{Code: "review.other", ProviderCode: "naïve \"quoted\" 日本"}}
	text := last.Memory.Encode()
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("not fit for a header: %s", text)
	}
	if diff := cmp.Diff(last.Memory, Recall(&event.Event{}, text, time.Time{}, "")); diff != "" {
		t.Errorf("(-written +read)\n%s", diff)
	}
}

// TestRecallUntimed: earlier versions recorded notes and doubts without a time in the members of those with one.
func TestRecallUntimed(t *testing.T) {
	const receipt = `"received":"2026-03-02T13:00:00Z"`
	m := Recall(&event.Event{}, `{"denied":{`+receipt+`},"doubt":{"codes":["system.contradiction"],`+receipt+`}}`,
		time.Time{}, "")
	received := noon.Add(time.Hour)
	if m.Denied != nil || !m.DeniedUntimed.Equal(received) || !m.Doubt.UntimedAt.Equal(received) {
		t.Errorf("%+v, %+v", m.Denials, m.Doubt)
	}
}

// TestMemoryHoldsNoProviderText: it is stored in a header, which no profile masks.
func TestMemoryHoldsNoProviderText(t *testing.T) {
	o := of("attempt 234123412346", contradiction())
	o.Reasons[0].ProviderCode = "234123412346"
	last, _ := run(t, at(1, o), at(2, mentions(event.OutcomeRejected)))
	if text := last.Memory.Encode(); strings.Contains(text, "2341") {
		t.Errorf("%s", text)
	}
}
