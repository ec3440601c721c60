package ondato

import (
	"reflect"
	"strings"
	"testing"

	"kycbridge"
	"kycbridge/event"
)

func TestSession(t *testing.T) {
	o := mapped(t, hook("IdentityVerification.StatusChanged", `"status":"Suspended","createdUtc":"2026-03-02T08:55:00.12Z","setup":{"id":"S1","versionId":"V1"},
		"step":{"kycIdentification":{"id":"C1","isSuccess":true},"consent":{"isConsented":true,"consentedUtc":"2026-03-02T08:57:11.684Z"}}`), kycbridge.Settings{})
	if want := (event.Session{CreatedAt: "2026-03-02T08:55:00.12Z",
		Consent: &event.Consent{Given: true, At: "2026-03-02T08:57:11.684Z"}}); !reflect.DeepEqual(*o.Session, want) {
		t.Errorf("session %+v", o.Session)
	}
	if want := []event.RequiredAction{{Action: "resume"}}; !reflect.DeepEqual(o.RequiredActions, want) {
		t.Errorf("actions %v", o.RequiredActions)
	}
	if o.FlowID != "s1" || o.FlowVersion != "v1" || o.References["kyc_identification_id"] != "c1" ||
		o.ProviderStatus["idv_kyc_is_success"] != true {
		t.Errorf("flow %q %q references %v status %v", o.FlowID, o.FlowVersion, o.References, o.ProviderStatus)
	}
	o = mapped(t, hook("IdentityVerification.StatusChanged", `"status":"Aborted","modifiedUtc":"2026-03-02T08:58:40.441Z","step":{"consent":{"isConsented":false,"consentedUtc":"2026-03-02T08:57:11Z"}},
		"externalReferenceId":"`+strings.Repeat("x", 129)+`"`), kycbridge.Settings{})
	if want := (event.Session{EndedAt: "2026-03-02T08:58:40.441Z",
		Consent: &event.Consent{}}); !reflect.DeepEqual(*o.Session, want) {
		t.Errorf("session %+v", o.Session)
	}
	if o.ExternalReference != "" {
		t.Error("a reference that is too long is carried")
	}
}

// TestConsented: the event itself means that consent was given, whatever the body contains, except for an
// explicit refusal.
func TestConsented(t *testing.T) {
	const sent, given = "2026-03-02T09:00:12.4886646Z", "2026-03-02T08:57:11.684Z"
	for step, want := range map[string]event.Consent{
		`{"consent":{"isConsented":true,"consentedUtc":"` + given + `"}}`: {Given: true, At: given},
		`{"consent":{"isConsented":true}}`:                                {Given: true, At: sent},
		`{"consent":{"isConsented":{}}}`:                                  {Given: true, At: sent},
		`[]`:                                                              {Given: true, At: sent},
		`null`:                                                            {Given: true, At: sent},
		`{"consent":{"isConsented":false,"consentedUtc":"` + given + `"}}`: {},
	} {
		for _, kind := range []string{"IdentityVerification.Consented", "Idv.Consented"} {
			o := mapped(t, hook(kind, `"status":"InProgress","step":`+step), kycbridge.Settings{})
			if o.Session == nil || o.Session.Consent == nil || *o.Session.Consent != want || o.Status != event.StatusInProgress {
				t.Errorf("%s %s: status %q, session %+v, want consent %+v", kind, step, o.Status, o.Session, want)
			}
		}
		o := mapped(t, hook("IdentityVerification.StatusChanged", `"status":"InProgress","step":{}`), kycbridge.Settings{})
		if o.Session != nil {
			t.Errorf("a change of the status tells %+v", o.Session)
		}
	}
}

// TestSessionStatusReason: the reason for the end of a session is reported in the provider's spelling.
func TestSessionStatusReason(t *testing.T) {
	for raw, want := range map[string]any{`"ConsentDeclined"`: "ConsentDeclined", `7`: 7.0, `null`: nil, `{}`: nil} {
		o := mapped(t, hook("IdentityVerification.StatusChanged", `"status":"Aborted","statusReason":`+raw),
			kycbridge.Settings{})
		if got := o.ProviderStatus["idv_status_reason"]; got != want || o.Status != event.StatusAbandoned {
			t.Errorf("%s: status %q, reason %v", raw, o.Status, got)
		}
		o = mapped(t, bareIDV(`"status":"Expired","statusReason":`+raw), kycbridge.Settings{})
		if got := o.ProviderStatus["idv_status_reason"]; got != want || o.Status != event.StatusExpired {
			t.Errorf("fetched %s: status %q, reason %v", raw, o.Status, got)
		}
	}
}
