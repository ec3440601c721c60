package kycbridge

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf16"

	"kycbridge/event"
)

// Limits of the memory of one verification; the oldest entries are dropped first.
const (
	maxAttempts = 32
	maxApplied  = 16
)

// Memory is the lifecycle state of a verification beside its data. It is stored in a header of the event.
// It contains instants, outcomes, ids of payloads and digests of ids: nothing about a person.
type Memory struct {
	// Until and Asked are the newest applied instants: by the provider's clock, and by kycbridge's
	// clock if the provider states no time. They never decrease. UntilID is the payload of the newest.
	// Notices and untimed facts do not set them.
	Until   time.Time `json:"until,omitzero"`
	Asked   time.Time `json:"asked,omitzero"`
	UntilID string    `json:"until_payload,omitempty"`
	// Applied are the digests of the payloads that made the latest events, newest last: if one of them is
	// delivered again, it changes nothing, whatever happened since.
	Applied []string `json:"applied,omitempty"`
	// HasProviderFact: there is a fact of the provider, not only notices. LastReceivedAt is when the
	// newest of them was received, and UntimedAt when the newest untimed fact was.
	HasProviderFact bool      `json:"heard,omitempty"`
	LastReceivedAt  time.Time `json:"heard_at,omitzero"`
	UntimedAt       time.Time `json:"untimed_at,omitzero"`
	// Test: a body marks this as not live traffic.
	Test bool `json:"test,omitempty"`
	// Verdict is when the newest verdict, resubmission or reopening happened, whether it is current or a
	// doubt revoked it; nil: none is known. Doubt is the newest doubt that no newer verdict has settled.
	Verdict *Moment `json:"verdict,omitempty"`
	Doubt   *Doubt  `json:"doubt,omitempty"`
	// Reopened is the newest request for resubmission or reopening: earlier decisions are void. Answered
	// is when the applicant answered the newest request; nil if it was not answered, or if a verdict other
	// than a machine's has followed.
	Reopened *Moment `json:"reopened,omitempty"`
	Answered *Moment `json:"answered,omitempty"`
	// Revoked is the approval that the newest reopening has revoked; nil: none is known.
	Revoked *Revoked `json:"revoked,omitempty"`
	// Undecided: the newest reopening found no decision. An approval that it revoked may be processed after it.
	Undecided bool `json:"undecided,omitempty"`
	// Overruled is the newest verdict of a machine or maker that is not current, because a person or
	// checker has decided. A verdict that is older than it, and of no higher stage, is old.
	Overruled *Moment `json:"overruled,omitempty"`
	// End is when the provider ended the session without a verdict.
	End *Moment `json:"end,omitempty"`
	// Denials are the notes with another outcome than an approval.
	Denials
	// OfSession are those that name no attempt: they apply to a newer attempt too.
	OfSession Denials `json:"of_session,omitzero"`
	Cross     Cross   `json:"cross,omitzero"`
	// Maker is when the maker's verdict in the chain of decisions was given.
	Maker *Moment `json:"maker,omitempty"`
	// Attempts are the digests of the attempts in their order, oldest first; Attempt is the one whose
	// facts the state holds.
	Attempts []SeenAttempt `json:"attempts,omitempty"`
	Attempt  string        `json:"attempt,omitempty"`
	// BegunAt is when the first fact of a newer attempt was received, and FellAt when the fact was
	// received that revoked an approval of the attempt: an earlier payload that is delivered again is
	// judged as of its receipt.
	BegunAt time.Time `json:"begun_at,omitzero"`
	FellAt  time.Time `json:"fell_at,omitzero"`
	// Before is the state before an end that kycbridge has set; any fact of the provider restores it.
	Before *Standing `json:"before,omitempty"`
}

// Doubt is the time of a doubt, and the codes of its reasons.
type Doubt struct {
	Codes []string `json:"codes"`
	Moment
	// UntimedAt is when the last doubt without a time was received that was merged into this one: a verdict that
	// settles both must have been received after it.
	UntimedAt time.Time `json:"untimed_at,omitzero"`
}

// doubt is f as it is remembered. The provider's own text is omitted: it must not be in a header.
func (f Fact) doubt() *Doubt {
	d := Doubt{Moment: f.moment()}
	if d.At.IsZero() {
		d.UntimedAt = d.Received
	}
	for _, reason := range f.Reasons {
		d.Codes = append(d.Codes, reason.Code)
	}
	return &d
}

// merge merges two doubts into the one to remember. A doubt about a person's verdict is preferred to one
// about a machine's. Of two other doubts the newer is kept, with the higher stage of both.
func (d *Doubt) merge(o *Doubt) *Doubt {
	switch {
	case d == nil || d.below(o.Moment):
		return o
	case o.below(d.Moment):
		return d
	case d.after(o.Moment):
		d, o = o, d
	}
	both := *o
	if d.UntimedAt.After(both.UntimedAt) {
		both.UntimedAt = d.UntimedAt
	}
	if both.Stage != event.StageChecker && (d.Stage == event.StageManualReview || d.Stage == event.StageChecker) {
		both.Stage, both.Actor = d.Stage, d.Actor
	}
	return &both
}

// isSettled reports whether a verdict given at the moment ends d, and the doubts merged into it.
func (d *Doubt) isSettled(by Moment) bool {
	return by.settles(d.Moment) && (d.UntimedAt.IsZero() || by.Received.After(d.UntimedAt))
}

// reasons are the remembered reasons of the doubt: with the text of known if it has the code.
func (d *Doubt) reasons(known []event.Reason) []event.Reason {
	var reasons []event.Reason
	for _, code := range d.Codes {
		isIt := func(r event.Reason) bool { return r.Code == code }
		if i := slices.IndexFunc(known, isIt); i >= 0 {
			reasons = append(reasons, known[i])
			continue
		}
		reasons = append(reasons, event.Reason{Code: code})
	}
	return reasons
}

// SeenAttempt is an attempt that a fact has named.
type SeenAttempt struct {
	Key       string    `json:"key"`
	CreatedAt time.Time `json:"created_at,omitzero"`
	SeenAt    time.Time `json:"seen_at,omitzero"` // when its first fact was received
}

// Standing is the state of a verification before an end that kycbridge set at EndedAt.
type Standing struct {
	EndedAt         time.Time              `json:"ended_at,omitzero"`
	Status          event.Status           `json:"status"`
	StatusDetail    string                 `json:"status_detail,omitempty"`
	Decision        event.Decision         `json:"decision"`
	Reasons         []event.Reason         `json:"reasons"`
	RequiredActions []event.RequiredAction `json:"required_actions,omitempty"`
	Confirmed       bool                   `json:"confirmed,omitempty"`
}

// keyOf is a digest that replaces an id of a provider, which may contain anything.
func keyOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:8])
}

// Encode encodes m for the header of the event, in ASCII.
func (m *Memory) Encode() string {
	raw, err := json.Marshal(m)
	if err != nil {
		return "{}" // cannot fail for these types
	}
	if isPlain(raw) {
		return string(raw)
	}
	var text strings.Builder
	for _, r := range string(raw) {
		if r <= '~' {
			text.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&text, `\u%04x`, unit)
		}
	}
	return text.String()
}

// isPlain reports whether text consists of printable ASCII characters, as almost always.
func isPlain(text []byte) bool {
	return !slices.ContainsFunc(text, func(b byte) bool { return b > '~' })
}

// Recall decodes the memory of e. An event of an earlier version has none: it is derived from the event
// itself and from until and untilID, the instant and the payload of its newest fact.
func Recall(e *event.Event, memory string, until time.Time, untilID string) Memory {
	var m Memory
	d := &e.Data
	if memory != "" && json.Unmarshal([]byte(memory), &m) == nil {
		if v := m.Verdict; v != nil && d.Decision.Outcome == event.OutcomeApproved {
			v.Approves = true // an earlier version did not record it
		}
		// An earlier version recorded notes and doubts without a time like others.
		if was := m.Denied; was != nil && was.At.IsZero() {
			m.Denied, m.DeniedUntimed = nil, was.Received
		}
		if m.Doubt != nil && m.Doubt.At.IsZero() && m.Doubt.UntimedAt.IsZero() {
			m.Doubt.UntimedAt = m.Doubt.Received
		}
		return m
	}
	m = Memory{Until: until, UntilID: untilID, Applied: []string{keyOf(untilID), keyOf(d.Payload.ID)},
		HasProviderFact: true}
	occurred, received := event.ParseInstant(d.Provider.Event.OccurredAt), event.ParseInstant(d.Provider.Event.ReceivedAt)
	if m.Until.IsZero() {
		m.Until = occurred
	}
	if isNotice(d.Provider.Event) {
		m.HasProviderFact = d.Revision > 1
		if m.Until.Equal(occurred) {
			m.Until = time.Time{} // the instant of a notice
		}
		if d.Status.Closed() {
			m.Before = &Standing{Status: event.StatusCreated, Decision: event.Decision{Outcome: event.OutcomeNone},
				Reasons: []event.Reason{}}
		}
		return m
	}
	isVerdict := strings.HasSuffix(e.Type, "."+string(event.KindCompleted)+".v1")
	switch at := event.ParseInstant(d.Decision.DecidedAt); {
	case d.Decision.Outcome == event.OutcomeNone:
	case isVerdict && !occurred.IsZero():
		m.Verdict = &Moment{At: occurred, Received: received, Payload: d.Payload.ID}
	case isVerdict:
		m.Verdict = &Moment{At: received, Ours: true, Received: received, Payload: d.Payload.ID}
	case !at.IsZero():
		m.Verdict = &Moment{At: at, Received: received}
	}
	return m
}

// isNotice reports whether e was caused by a notice of kycbridge.
func isNotice(e event.ProviderEvent) bool {
	return e.Via == event.ViaStart || e.Via == event.ViaDeadline || e.Via == event.ViaFetch &&
		e.Name == string(NoticeUnknown)
}

// applied reports whether f has already made an event and is delivered again. A timed one is judged again
// if another version of the mapping reads it.
func (m *Memory) applied(f Fact, mapping string) bool {
	return (f.Payload.Mapping == mapping || f.untimed()) && m.hasApplied(f.Payload.ID)
}

// hasApplied reports whether a payload made one of the latest events, by any mapping.
func (m *Memory) hasApplied(payloadID string) bool {
	return slices.Contains(m.Applied, keyOf(payloadID))
}

// recordApplied records that f has been applied. A notice and an untimed fact set no instant.
func (m *Memory) recordApplied(f Fact, stale bool) {
	m.Applied = append(m.Applied, keyOf(f.Payload.ID))
	m.Applied = m.Applied[max(0, len(m.Applied)-maxApplied):]
	if f.Notice {
		return
	}
	m.HasProviderFact = true
	if f.ReceivedAt.After(m.LastReceivedAt) {
		m.LastReceivedAt = f.ReceivedAt
	}
	at := f.moment()
	if at.At.IsZero() && f.ReceivedAt.After(m.UntimedAt) {
		m.UntimedAt = f.ReceivedAt
	}
	if stale || at.At.IsZero() {
		return
	}
	m.UntilID = f.Payload.ID
	if at.Ours {
		m.Asked = at.At
	} else {
		m.Until = at.At
	}
}

// recordVerdict records the verdict or reopening f, which settles an earlier doubt about a verdict of no
// higher stage. An untimed one has no instant of its own, and the earlier threshold remains.
func (m *Memory) recordVerdict(f Fact) {
	at := f.moment()
	if m.Doubt != nil && m.Doubt.isSettled(at) {
		m.Doubt = nil
	}
	if m.Verdict != nil && at.At.IsZero() {
		at.At, at.Ours = m.Verdict.At, m.Verdict.Ours
	}
	if was := m.Verdict; was != nil && was.after(at) {
		m.recordOverruled(*was)
	}
	m.Verdict = &at
	if m.Reopened == nil || !at.below(*m.Reopened) {
		m.Answered = nil
	}
	switch {
	case f.Effect == EffectReopen:
		m.Cross, m.Reopened = f.cross(), &at
	case m.Revoked != nil && m.Revoked.Again == nil && f.Decision.Outcome == event.OutcomeApproved:
		again := *m.Revoked
		again.Again = &at
		m.Revoked = &again
	}
}

// recordOverruled records a verdict that is not current because one of a higher stage is.
func (m *Memory) recordOverruled(verdict Moment) {
	if m.Overruled == nil || verdict.after(*m.Overruled) {
		m.Overruled = &verdict
	}
}

// addStored adds what the stored payloads contain about a verdict.
func (m *Memory) addStored(k Known, word Moment) {
	m.addDenials(k.Denials)
	if k.Doubt != nil && !word.Doubt && !m.settled(*k.Doubt, word) {
		m.Doubt = m.Doubt.merge(k.Doubt)
	}
}

// settled reports whether a doubt has ended: by a later reopening, or by the known verdict, which must not rank
// lower than word.
func (m *Memory) settled(doubt Doubt, word Moment) bool {
	ends := func(known *Moment) bool { return known != nil && !known.below(word) && doubt.isSettled(*known) }
	isOver := m.Reopened != nil && m.Reopened.after(doubt.Moment) // for any source of the doubt
	return ends(m.Verdict) || isOver
}

// mergeEarlier prevents instants of m from decreasing below those of an earlier memory, and keeps all
// payloads that have made an event: one that is redelivered after a replay makes none.
func (m *Memory) mergeEarlier(earlier Memory) {
	known := slices.DeleteFunc(slices.Clone(earlier.Applied),
		func(key string) bool { return slices.Contains(m.Applied, key) })
	m.Applied = append(known, m.Applied...)
	m.Applied = m.Applied[max(0, len(m.Applied)-maxApplied):]
	if earlier.Until.After(m.Until) {
		m.Until, m.UntilID = earlier.Until, earlier.UntilID
	}
	if earlier.Asked.After(m.Asked) {
		m.Asked = earlier.Asked
	}
}

// clone copies the fields that are modified; the targets of pointers are replaced, never modified.
func (m Memory) clone() Memory {
	m.Attempts, m.Applied = slices.Clone(m.Attempts), slices.Clone(m.Applied)
	return m
}

// VerdictPayload is the id of the payload with the verdict of d, "" if none is known.
func (d *Revision) VerdictPayload() string {
	if d.Memory.Verdict == nil {
		return ""
	}
	return d.Memory.Verdict.Payload
}

// Newest is the instant of the newest fact of d, and its payload, if it is known.
func (d *Revision) Newest() (at time.Time, payloadID string) {
	m := &d.Memory
	switch {
	case m.Asked.After(m.Until):
		return m.Asked, m.UntilID
	case !m.Until.IsZero():
		return m.Until, m.UntilID
	}
	if t := event.ParseInstant(d.Provider.Event.OccurredAt); !t.IsZero() {
		return t, ""
	}
	return event.ParseInstant(d.Provider.Event.ReceivedAt), ""
}

// cross are the outcomes of the sources that f contains, received with it, or before it with the callback that made
// kycbridge request it.
func (f Fact) cross() Cross {
	c := f.Cross
	if c.Callback != "" && c.CallbackAt.IsZero() {
		c.CallbackAt = f.ReceivedAt
	}
	if c.API != "" {
		c.APIAt = f.ReceivedAt
	}
	return c
}

// merge merges the outcomes of news over c. Of each source the one that was received last remains. isNews reports
// whether news contains one.
func (c Cross) merge(news Cross) (merged Cross, isNews bool) {
	if news.Callback != "" && !news.CallbackAt.Before(c.CallbackAt) {
		c.Callback, c.CallbackAt, isNews = news.Callback, news.CallbackAt, true
	}
	if news.API != "" && !news.APIAt.Before(c.APIAt) {
		c.API, c.APIAt, isNews = news.API, news.APIAt, true
	}
	return c, isNews
}

// disagrees reports whether both outcomes are known and differ.
func (c Cross) disagrees() bool { return c.Callback != "" && c.API != "" && c.Callback != c.API }
