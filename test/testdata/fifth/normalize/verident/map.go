package verident

import (
	"strings"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// meaning is what one state of a check means.
type meaning struct {
	effect kycbridge.Effect
	status event.Status
}

// states are the states of a check (API, "States"). finished is not among them: what it means stands
// in the verdict.
var states = map[string]meaning{
	"invited":   {kycbridge.EffectProgress, event.StatusCreated},
	"running":   {kycbridge.EffectProgress, event.StatusInProgress},
	"analysing": {kycbridge.EffectProgress, event.StatusProcessing},
	"reviewing": {kycbridge.EffectProgress, event.StatusInReview},
	"withdrawn": {kycbridge.EffectEnd, event.StatusCanceled},
	"expired":   {kycbridge.EffectEnd, event.StatusExpired},
}

const finished = "finished"

// verdicts are the verdicts of a finished check (API, "Verdicts").
var verdicts = map[string]event.Outcome{
	"accepted": event.OutcomeApproved,
	"declined": event.OutcomeRejected,
}

// reasons are the reasons of a declined check (API, "Reasons").
var reasons = map[string]string{
	"documentexpired": "document.expired",
	"facemismatch":    "face.mismatch",
}

// Map maps a webhook, or the answer to a GET of a check.
func Map(body document.Object, p kycbridge.Payload, s kycbridge.Settings) (kycbridge.Observation, error) {
	check, name := body, getCheck
	if webhook := body.Object("check"); webhook != nil {
		check, name = webhook, values.Clip(body.Text("event"), values.MaxName)
	}
	o := facts(check, p)
	o.ExternalReference = strings.TrimPrefix(o.ExternalReference, own(s).ReferencePrefix)
	o.EventName, o.EventID = name, values.Clip(body.Text("event_id"), values.MaxID)
	judge(&o, check)
	values.Confirm(&o, p, s)
	return o, nil
}

// facts is what a check says whatever its state.
func facts(check document.Object, p kycbridge.Payload) kycbridge.Observation {
	o := kycbridge.Observation{
		OccurredAt:        check.Time("updated_at"),
		ExternalReference: values.ExternalReference(check.Text("client_reference")),
		References:        map[string]string{},
		ProviderStatus:    values.StatusFrom(check, "state", "verdict"),
	}
	o.Untimed = o.OccurredAt.IsZero()
	values.Set(o.References, "check_id", values.Clip(check.Text("check_id"), values.MaxID))
	dates := values.NewDates(p.ReceivedAt)
	claims := event.Claims{}
	values.SetNames(claims, "", check.Text("person", "given_name"), "", check.Text("person", "family_name"))
	values.SetClaim(claims, "birthdate", dates.Birth(check.Text("person", "birth_date")))
	o.ExtractedClaims = values.OrNil(claims)
	if d := check.Object("document"); d != nil {
		country := values.Alpha3(d.Text("country"))
		shown := values.NewDocument(d.Text("kind"), country, d.Text("number"))
		shown.DateOfExpiry = dates.Expiry(d.Text("expires"))
		if country != "" {
			shown.Issuer = &event.Issuer{CountryCode: country}
		}
		o.Documents = []event.Document{shown}
	}
	o.Checks = dates.Unread.AddTo(nil)
	return o
}

// judge says what the state and the verdict mean. A word that is not known is never a success: a new
// state is unknown, a new verdict takes back an approval.
func judge(o *kycbridge.Observation, check document.Object) {
	if values.Fold(check.Text("state")) != finished {
		state, known := states[values.Fold(check.Text("state"))]
		if !known {
			values.Unmapped(o, check.Text("state"))
			return
		}
		o.Effect, o.Status = state.effect, state.status
		return
	}
	stage, actor := event.StageSystem, event.ActorSystem
	if values.Fold(check.Text("decided_by")) == "agent" {
		stage, actor = event.StageManualReview, event.ActorHuman
	}
	verdict := check.Text("verdict")
	outcome, known := verdicts[values.Fold(verdict)]
	if !known {
		values.Doubt(o, verdict, stage, actor)
		return
	}
	at := event.Instant(o.OccurredAt)
	o.Effect, o.Status = kycbridge.EffectVerdict, event.StatusCompleted
	o.Decision = event.Decision{Outcome: outcome, Final: true, Stage: stage, ActorType: actor, DecidedAt: at}
	o.Decisions = []event.DecisionStep{{
		Stage: stage, Outcome: outcome, ActorType: actor, ProviderValue: values.Clip(verdict, values.MaxCode), DecidedAt: at,
	}}
	if outcome == event.OutcomeRejected {
		o.Reasons = reasonsOf(check)
	}
}

// reasonsOf are why a check was declined, at most as many as an event may carry.
func reasonsOf(check document.Object) []event.Reason {
	var out []event.Reason
	for _, item := range values.AtMost(check.List("reasons")) {
		raw := document.Text(item)
		code, known := reasons[values.Fold(raw)]
		if !known {
			code = "review.other"
		}
		out = append(out, event.Reason{Code: code, ProviderCode: values.Clip(raw, values.MaxCode)})
	}
	return out
}
