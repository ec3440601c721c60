package normalize

import (
	"fmt"

	"kycbridge"
)

// veridentGetCheck is what a body is called that came by the API instead of a webhook.
const veridentGetCheck = "get_check"

// IdentifyVerident finds the check that a webhook or an answer of the API speaks of. A webhook holds
// the check as a member (Webhooks, "Body").
func IdentifyVerident(doc any) kycbridge.Identity {
	body, _ := doc.(map[string]any)
	check, isWebhook := body["check"].(map[string]any)
	if !isWebhook {
		return kycbridge.Identity{Schema: "check", Document: doc, Reference: scalarText(body["check_id"]), Event: veridentGetCheck, Missing: "/check_id"}
	}
	return kycbridge.Identity{
		Schema: "webhook", Document: doc, Reference: scalarText(check["check_id"]), Missing: "/check/check_id",
		EventID: scalarText(body["event_id"]), Event: clip(scalarText(body["event"]), maxName),
	}
}

// veridentBody is a webhook or a bare check.
type veridentBody struct {
	EventID text           `json:"event_id"`
	Event   text           `json:"event"`
	Check   *veridentCheck `json:"check"`
	veridentCheck
}

// veridentCheck is a check as far as it is read.
type veridentCheck struct {
	CheckID         text   `json:"check_id"`
	State           text   `json:"state"`
	Verdict         text   `json:"verdict"`
	DecidedBy       text   `json:"decided_by"`
	UpdatedAt       text   `json:"updated_at"`
	ClientReference text   `json:"client_reference"`
	Reasons         []text `json:"reasons"`
	Person          struct {
		GivenName  text `json:"given_name"`
		FamilyName text `json:"family_name"`
		BirthDate  text `json:"birth_date"`
	} `json:"person"`
	Document *struct {
		Kind    text `json:"kind"`
		Country text `json:"country"`
		Number  text `json:"number"`
		Expires text `json:"expires"`
	} `json:"document"`
}

// veridentState is what one state of a check means.
type veridentState struct {
	effect kycbridge.Effect
	status kycbridge.Status
}

// veridentStates are the states of a check (API, "States"). finished is not among them: what it means
// stands in the verdict.
var veridentStates = map[string]veridentState{
	"invited":   {kycbridge.EffectProgress, kycbridge.StatusCreated},
	"running":   {kycbridge.EffectProgress, kycbridge.StatusInProgress},
	"analysing": {kycbridge.EffectProgress, kycbridge.StatusProcessing},
	"reviewing": {kycbridge.EffectProgress, kycbridge.StatusInReview},
	"withdrawn": {kycbridge.EffectEnd, kycbridge.StatusCanceled},
	"expired":   {kycbridge.EffectEnd, kycbridge.StatusExpired},
}

const veridentFinished = "finished"

// veridentVerdicts are the verdicts of a finished check (API, "Verdicts").
var veridentVerdicts = map[string]kycbridge.Outcome{
	"accepted": kycbridge.OutcomeApproved,
	"declined": kycbridge.OutcomeRejected,
}

// veridentReasons are the reasons of a declined check (API, "Reasons").
var veridentReasons = map[string]string{
	"documentexpired": "document.expired",
	"facemismatch":    "face.mismatch",
}

// Verident maps a webhook, or the answer to a GET of a check.
func Verident(p kycbridge.Payload, s kycbridge.Settings) (kycbridge.Observation, error) {
	var body veridentBody
	if err := decode(p.Body, &body); err != nil {
		return kycbridge.Observation{}, fmt.Errorf("verident: %w", err)
	}
	check, name := &body.veridentCheck, veridentGetCheck
	if body.Check != nil {
		check, name = body.Check, clip(string(body.Event), maxName)
	}
	o := check.facts()
	o.EventName, o.EventID = name, clip(string(body.EventID), maxID)
	check.judge(&o)
	confirm(&o, p, s)
	return o, nil
}

// facts is what a check says whatever its state.
func (c *veridentCheck) facts() kycbridge.Observation {
	o := kycbridge.Observation{
		OccurredAt:        instant(string(c.UpdatedAt)),
		ExternalReference: externalReference(string(c.ClientReference)),
		References:        map[string]string{},
		ProviderStatus:    statusOf(map[string]text{"state": c.State, "verdict": c.Verdict}),
	}
	set(o.References, "check_id", clip(string(c.CheckID), maxID))
	claims := kycbridge.Claims{}
	setNames(claims, "", string(c.Person.GivenName), "", string(c.Person.FamilyName))
	setClaim(claims, "birthdate", date(string(c.Person.BirthDate)))
	o.ExtractedClaims = orNil(claims)
	if d := c.Document; d != nil {
		country := alpha3(string(d.Country))
		document := newDocument(string(d.Kind), country, string(d.Number))
		document.DateOfExpiry = date(string(d.Expires))
		if country != "" {
			document.Issuer = &kycbridge.Issuer{CountryCode: country}
		}
		o.Documents = []kycbridge.Document{document}
	}
	return o
}

// judge says what the state and the verdict mean. A word that is not known is never a success: a new
// state is unknown, a new verdict takes back an approval.
func (c *veridentCheck) judge(o *kycbridge.Observation) {
	if fold(string(c.State)) != veridentFinished {
		state, known := veridentStates[fold(string(c.State))]
		if !known {
			unmapped(o, string(c.State))
			return
		}
		o.Effect, o.Status = state.effect, state.status
		return
	}
	stage, actor := kycbridge.StageSystem, kycbridge.ActorSystem
	if fold(string(c.DecidedBy)) == "agent" {
		stage, actor = kycbridge.StageManualReview, kycbridge.ActorHuman
	}
	outcome, known := veridentVerdicts[fold(string(c.Verdict))]
	if !known {
		doubt(o, string(c.Verdict), stage, actor)
		return
	}
	at := kycbridge.Instant(o.OccurredAt)
	o.Effect, o.Status = kycbridge.EffectVerdict, kycbridge.StatusCompleted
	o.Decision = kycbridge.Decision{Outcome: outcome, Final: true, Stage: stage, ActorType: actor, DecidedAt: at}
	o.Decisions = []kycbridge.DecisionStep{{Stage: stage, Outcome: outcome, ActorType: actor, ProviderValue: clip(string(c.Verdict), maxCode), DecidedAt: at}}
	if outcome == kycbridge.OutcomeRejected {
		o.Reasons = c.reasons()
	}
}

// reasons are why a check was declined, at most as many as an event may carry.
func (c *veridentCheck) reasons() []kycbridge.Reason {
	var out []kycbridge.Reason
	for _, raw := range atMost(c.Reasons) {
		code, known := veridentReasons[fold(string(raw))]
		if !known {
			code = "review.other"
		}
		out = append(out, kycbridge.Reason{Code: code, ProviderCode: clip(string(raw), maxCode)})
	}
	return out
}
