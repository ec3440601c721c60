package ondato

import (
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize/normalizetest"
)

// TestStatuses checks the table of docs/consume.md, row by row.
func TestStatuses(t *testing.T) {
	const (
		progress, end, verdict = kycbridge.EffectProgress, kycbridge.EffectEnd, kycbridge.EffectVerdict
		doubtful               = kycbridge.EffectDoubt
		reopen, note           = kycbridge.EffectReopen, kycbridge.EffectNote
		changed                = "IdentityVerification.StatusChanged"
	)
	manual := kycbridge.Settings{Own: Settings{ManualReview: true}}
	for _, c := range []struct {
		name     string
		body     string
		settings kycbridge.Settings
		effect   kycbridge.Effect
		status   event.Status
		detail   string
		outcome  event.Outcome
		final    bool
		actor    event.ActorType
		reasons  string
	}{
		{name: "idv pending", body: hook(changed, `"status":"Pending"`), effect: progress, status: "created"},
		{name: "idv in progress", body: hook(changed, `"status":"InProgress"`), effect: progress, status: "in_progress"},
		{name: "idv in progress, wiki", body: hook(changed, `"status":"in progress"`), effect: progress,
			status: "in_progress"},
		{name: "idv in progress, old name", body: hook("Idv.StatusChanged", `"status":"InProgress"`), effect: progress,
			status: "in_progress"},
		{name: "idv in progress, sdk", body: hook(changed, `"status":"IN_PROGRESS"`), effect: progress,
			status: "in_progress"},
		{name: "consented", body: hook("IdentityVerification.Consented", `"status":"InProgress"`), effect: progress,
			status: "in_progress"},
		{name: "consented, old name", body: hook("Idv.Consented", `"status":"InProgress"`), effect: progress,
			status: "in_progress"},
		{name: "idv suspended", body: hook(changed, `"status":"SUSPENDED"`), effect: progress, status: "in_progress",
			detail: "suspended"},
		{name: "idv completed is no approval",
			body: hook(changed, `"status":"Completed","step":{"kycIdentification":{"isSuccess":true}}`), effect: progress,
			status: "processing", detail: "steps_submitted"},
		{name: "idv aborted", body: hook(changed, `"status":"Aborted"`), effect: end, status: "abandoned",
			reasons: "session.aborted_by_user"},
		{name: "idv expired", body: hook(changed, `"status":"Expired"`), effect: end, status: "expired"},
		{name: "idv unknown", body: hook(changed, `"status":"Failed"`), effect: progress, status: "unknown",
			reasons: "system.unmapped_status"},
		{name: "idv approved is no value", body: hook(changed, `"status":"Approved"`), effect: progress, status: "unknown",
			reasons: "system.unmapped_status"},
		{name: "idv status missing", body: hook(changed, `"x":1`), effect: progress, status: "unknown",
			reasons: "system.unmapped_status"},
		{name: "idv status an object", body: hook(changed, `"status":{"a":1}`), effect: progress, status: "unknown",
			reasons: "system.unmapped_status"},

		{name: "kyc created", body: hook("KycIdentification.Created", `"status":"Unfinished"`), effect: progress,
			status: "in_progress"},
		{name: "kyc created, awaiting", body: hook("KycIdentification.Created", `"status":"Awaiting"`), effect: progress,
			status: "in_progress"},
		{name: "kyc processed", body: hook("KycIdentification.Processed", `"status":"Awaiting"`), effect: progress,
			status: "processing", detail: "steps_submitted"},
		{name: "kyc processed, manual review", body: hook("KycIdentification.Processed", `"status":"Awaiting"`),
			settings: manual, effect: progress, status: "in_review", detail: "steps_submitted"},
		{name: "kyc processed, stale reason",
			body: hook("KycIdentification.Processed", `"status":"Awaiting","statusReason":"Sanctioned"`), effect: progress,
			status: "processing", detail: "steps_submitted"},
		{name: "kyc processed disagrees", body: hook("KycIdentification.Processed", `"status":"Approved"`), effect: progress,
			status: "unknown", reasons: "system.contradiction"},
		{name: "kyc approved by machine",
			body:   hook("KycIdentification.Approved", `"status":"Approved","statusReason":"AutomaticallyIdentified"`),
			effect: verdict, status: "completed", outcome: "approved", final: true, actor: "system"},
		{name: "kyc approved by machine, sdk",
			body:   hook("KycIdentification.Approved", `"status":"APPROVED","statusReason":"AUTOMATICALLY_IDENTIFIED"`),
			effect: verdict, status: "completed", outcome: "approved", final: true, actor: "system"},
		{name: "kyc approved by a person",
			body:   hook("KycIdentification.Approved", `"status":"Approved","statusReason":"ManuallyIdentified"`),
			effect: verdict, status: "completed", outcome: "approved", final: true, actor: "human"},
		{name: "kyc approved, no reason", body: hook("KycIdentification.Approved", `"status":"Approved"`), effect: verdict,
			status: "completed", outcome: "approved", final: true, actor: "unspecified"},
		{name: "kyc approved, stale reason",
			body: hook("KycIdentification.Approved", `"status":"Approved","statusReason":"PoorPhotoQuality"`), effect: verdict,
			status: "completed", outcome: "approved", final: true, actor: "unspecified"},
		{name: "kyc approved disagrees",
			body: hook("KycIdentification.Approved", `"status":"Rejected","statusReason":"Sanctioned"`), effect: doubtful,
			status: "unknown", actor: "unspecified", reasons: "system.contradiction"},
		{name: "kyc approved without status", body: hook("KycIdentification.Approved", `"x":1`), effect: doubtful,
			status: "unknown", actor: "unspecified", reasons: "system.unmapped_status"},
		{name: "kyc rejected disagrees", body: hook("KycIdentification.Rejected", `"status":"Approved"`), effect: doubtful,
			status: "unknown", actor: "unspecified", reasons: "system.contradiction"},
		{name: "kyc rejected", body: hook("KycIdentification.Rejected",
			`"status":"Rejected","statusReason":"PoorPhotoQuality"`), effect: verdict, status: "completed", outcome: "rejected",
			final: true, actor: "unspecified", reasons: "image.poor_quality"},
		{name: "kyc rejected, leftover reason",
			body:   hook("KycIdentification.Rejected", `"status":"Rejected","statusReason":"AutomaticallyIdentified"`),
			effect: verdict, status: "completed", outcome: "rejected", final: true, actor: "unspecified",
			reasons: "review.other"},
		{name: "kyc rejected, no reason", body: hook("KycIdentification.Rejected", `"status":"Rejected"`), effect: verdict,
			status: "completed", outcome: "rejected", final: true, actor: "unspecified"},
		{name: "kyc updated", body: hook("KycIdentification.Updated",
			`"status":"Approved","statusReason":"ManuallyIdentified"`), effect: note, status: "processing",
			detail: "steps_submitted"},
		{name: "kyc expired, old", body: hook("KycIdentification.Expired", `"status":"Unfinished"`), effect: end,
			status: "expired"},
		{name: "kyc unknown status", body: hook("KycIdentification.Approved", `"status":"Approvedish"`), effect: doubtful,
			status: "unknown", actor: "unspecified", reasons: "system.unmapped_status"},

		{name: "kyc approved, still awaiting", body: hook("KycIdentification.Approved", `"status":"Awaiting"`),
			effect: doubtful, status: "unknown", actor: "unspecified", reasons: "system.contradiction"},
		{name: "kyc rejected, unfinished", body: hook("KycIdentification.Rejected", `"status":"Unfinished"`),
			effect: doubtful, status: "unknown", actor: "unspecified", reasons: "system.contradiction"},
		{name: "kyc created, rejected", body: hook("KycIdentification.Created", `"status":"Rejected"`), effect: progress,
			status: "unknown", reasons: "system.contradiction"},
		{name: "kyc processed, unfinished", body: hook("KycIdentification.Processed", `"status":"Unfinished"`),
			effect: progress, status: "unknown", reasons: "system.contradiction"},
		{name: "kyc processed, unknown", body: hook("KycIdentification.Processed", `"status":"Frozen"`), effect: progress,
			status: "unknown", reasons: "system.unmapped_status"},
		{name: "kyc expired, approved", body: hook("KycIdentification.Expired", `"status":"Approved"`), effect: progress,
			status: "unknown", reasons: "system.contradiction"},
		{name: "kyc approved, an object", body: hook("KycIdentification.Approved", `"status":{"value":"Approved"}`),
			effect: doubtful, status: "unknown", actor: "unspecified", reasons: "system.unmapped_status"},
		{name: "kyc approved, true", body: hook("KycIdentification.Approved", `"status":true`), effect: doubtful,
			status: "unknown", actor: "unspecified", reasons: "system.unmapped_status"},
		{name: "consented, aborted", body: hook("IdentityVerification.Consented", `"status":"Aborted"`), effect: progress,
			status: "unknown", reasons: "system.contradiction"},
		{name: "consented, unknown", body: hook("IdentityVerification.Consented", `"status":"Frozen"`), effect: progress,
			status: "unknown", reasons: "system.unmapped_status"},
		{name: "consented, completed since", body: hook("IdentityVerification.Consented", `"status":"Completed"`),
			effect: progress, status: "in_progress"},
		{name: "kyc updated, unfinished", body: hook("KycIdentification.Updated", `"status":"Unfinished"`), effect: note,
			status: "in_progress"},
		{name: "kyc updated, under review", body: hook("KycIdentification.Updated", `"status":"Awaiting"`), settings: manual,
			effect: note, status: "in_review", detail: "steps_submitted"},
		{name: "kyc updated, unknown", body: hook("KycIdentification.Updated", `"status":"Frozen"`), effect: note,
			status: "unknown", reasons: "system.unmapped_status"},
		{name: "kyc updated, no status", body: hook("KycIdentification.Updated", `"status":""`), effect: note,
			status: "unknown", reasons: "system.unmapped_status"},

		{name: "fetched idv", body: bareIDV(`"status":"Completed"`), effect: progress, status: "processing",
			detail: "steps_submitted"},
		{name: "fetched idv unknown", body: bareIDV(`"status":"Approved"`), effect: progress, status: "unknown",
			reasons: "system.unmapped_status"},
		{name: "fetched kyc unfinished", body: bareKYC(`"status":"Unfinished"`), effect: progress, status: "in_progress"},
		{name: "fetched kyc awaiting reopens", body: bareKYC(`"status":"Awaiting","statusReason":"PoorPhotoQuality"`),
			effect: reopen, status: "processing", detail: "steps_submitted"},
		{name: "fetched kyc awaiting a reviewer", body: bareKYC(`"status":"awaiting"`), settings: manual, effect: reopen,
			status: "in_review", detail: "steps_submitted"},
		{name: "fetched kyc approved", body: bareKYC(`"status":"Approved","statusReason":"ManuallyIdentified"`),
			effect: verdict, status: "completed", outcome: "approved", final: true, actor: "human"},
		{name: "fetched kyc rejected", body: bareKYC(`"status":"Rejected","statusReason":"DuplicatedInfo"`), effect: verdict,
			status: "completed", outcome: "rejected", final: true, actor: "unspecified", reasons: "risk.duplicate_applicant"},
		{name: "fetched kyc unknown", body: bareKYC(`"status":"Escalated"`), effect: doubtful, status: "unknown",
			actor: "unspecified", reasons: "system.unmapped_status"},
		{name: "fetched kyc without status", body: bareKYC(`"x":1`), effect: doubtful, status: "unknown",
			actor: "unspecified", reasons: "system.unmapped_status"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := mapped(t, c.body, c.settings)
			if c.outcome == "" {
				c.outcome = event.OutcomeNone
			}
			if o.Effect != c.effect || o.Status != c.status || o.StatusDetail != c.detail {
				t.Errorf("effect %d status %q %q, want %d %q %q", o.Effect, o.Status, o.StatusDetail, c.effect, c.status, c.detail)
			}
			if normalizetest.OutcomeOf(o) != c.outcome || o.Decision.Final != c.final || o.Decision.ActorType != c.actor {
				t.Errorf("decision %+v, want %q %v %q", o.Decision, c.outcome, c.final, c.actor)
			}
			if normalizetest.ReasonCodes(o) != c.reasons {
				t.Errorf("reasons %q, want %q", normalizetest.ReasonCodes(o), c.reasons)
			}
			wantStage := map[event.ActorType]event.Stage{"human": "manual_review", "system": "system", "unspecified": "system",
				"": ""}[c.actor]
			if o.Decision.Stage != wantStage || len(o.Decisions) != map[bool]int{true: 1}[c.final] {
				t.Errorf("stage %q decisions %v", o.Decision.Stage, o.Decisions)
			}
		})
	}
}

// TestAttempt: the facts of a KYC identification belong to its attempt, those of an IDV to none. A time
// that cannot be a creation time is not used to order attempts.
func TestAttempt(t *testing.T) {
	received := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	created := time.Date(2026, 3, 2, 8, 57, 30, 770_000_000, time.UTC)
	for raw, want := range map[string]time.Time{
		`"2026-03-02T08:57:30.77Z"`: created, `"2026-03-02T08:57:30.77+0000"`: created, `1772441850770`: created,
		`"2026-03-02T10:05:01Z"`: {}, `"2199-01-01T00:00:00Z"`: {}, `"1999-12-31T00:00:00Z"`: {}, `null`: {}, `{}`: {},
	} {
		for _, kind := range []string{"KycIdentification.Created", "KycIdentification.Updated",
			"KycIdentification.Rejected"} {
			body := hook(kind, `"status":"Rejected","createdUtc":`+raw)
			o, err := mapPayload(kycbridge.Payload{Via: event.ViaCallback, ReceivedAt: received, Body: []byte(body)},
				kycbridge.Settings{})
			if want := (kycbridge.Attempt{ID: testKYC, CreatedAt: want, Prefix: "kyc_"}); err != nil || o.Attempt != want {
				t.Errorf("%s %s: %+v, want %+v, %v", kind, raw, o.Attempt, want, err)
			}
		}
	}
	if o := mapped(t, bareIDV(`"status":"Completed","step":{"kycIdentification":{"id":"C1"}}`),
		kycbridge.Settings{}); o.Attempt != (kycbridge.Attempt{}) || o.References["kyc_identification_id"] != "c1" {
		t.Errorf("attempt %+v, references %v", o.Attempt, o.References)
	}
}

// TestMentions: a note names the outcome that its status stands for, and decides nothing.
func TestMentions(t *testing.T) {
	for status, want := range map[string]event.Outcome{
		"Approved": "approved", "REJECTED": "rejected", "awaiting": "none", "Un_finished": "none", "Frozen": "", "": "",
		"Completed": "",
	} {
		o := mapped(t, hook("KycIdentification.Updated", `"status":"`+status+`","statusReason":"ManuallyIdentified"`),
			kycbridge.Settings{})
		if o.Mentions != want || o.Effect != kycbridge.EffectNote || normalizetest.OutcomeOf(o) != event.OutcomeNone ||
			o.Decisions != nil {
			t.Errorf("%q: %+v", status, o)
		}
	}
	if o := mapped(t, hook("KycIdentification.Approved", `"status":"Approved"`), kycbridge.Settings{}); o.Mentions != "" {
		t.Error("a verdict mentions itself")
	}
}

// TestMentionsBesideProgress: what a body states beside what it is about. A rejection, and an identification that is
// not finished, revoke an older approval.
func TestMentionsBesideProgress(t *testing.T) {
	const changed = "IdentityVerification.StatusChanged"
	for body, want := range map[string]event.Outcome{
		hook("KycIdentification.Created", `"status":"Rejected"`):     event.OutcomeRejected,
		hook("KycIdentification.Processed", `"status":"REJECTED"`):   event.OutcomeRejected,
		hook("KycIdentification.Expired", `"status":"Rejected"`):     event.OutcomeRejected,
		hook("KycIdentification.Processed", `"status":"Approved"`):   event.OutcomeApproved,
		hook("KycIdentification.Processed", `"status":"Awaiting"`):   "",
		hook("KycIdentification.Processed", `"status":"Unfinished"`): "",
		hook("KycIdentification.Created", `"status":"Unfinished"`):   "",
		hook(changed, `"status":"Rejected"`):                         event.OutcomeRejected,
		hook(changed, `"status":"Completed"`):                        "",
		hook(changed, `"status":"Frozen"`):                           "",
		hook("IdentityVerification.Consented", `"status":"Aborted"`): "",
		bareKYC(`"status":"Unfinished"`):                             event.OutcomeNone,
		bareKYC(`"status":"Rejected"`):                               "",
		hook("KycIdentification.Updated", `"status":"Rejected"`):     event.OutcomeRejected,
		hook("KycIdentification.Updated", `"status":"Unfinished"`):   event.OutcomeNone,
		hook("KycIdentification.Rejected", `"status":"Rejected"`):    "",
	} {
		if o := mapped(t, body, kycbridge.Settings{}); o.Mentions != want {
			t.Errorf("%s: mentions %q, want %q", body, o.Mentions, want)
		}
	}
}
