package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// Personal is the content that the profile encrypted encrypts: the members of data at personalPlaces, each as a
// whole, pii as it is under the profile full, and the provider's terms if they contain free text. A consumer replaces
// the members of data by those of the content.
type Personal struct {
	ExternalReference string          `json:"external_reference,omitempty"`
	Documents         []Document      `json:"documents,omitempty"`
	ExtractedClaims   Claims          `json:"extracted_claims,omitempty"`
	VerifiedClaims    *VerifiedClaims `json:"verified_claims,omitempty"`
	Media             []Media         `json:"media,omitempty"`
	Session           *Session        `json:"session,omitempty"`
	Extensions        map[string]any  `json:"extensions,omitempty"`
	PII               PII             `json:"pii"`

	*Terms // nil if they contain no free text
}

// Terms are the members of data with the provider's own terms. If one of them contains free text, the event shows
// them as under the profile masked, and the encrypted content has them as they are.
type Terms struct {
	Provider        ProviderData     `json:"provider"`
	Decisions       []DecisionStep   `json:"decisions"`
	Reasons         []Reason         `json:"reasons"`
	RequiredActions []RequiredAction `json:"required_actions,omitempty"`
	Checks          []Check          `json:"checks"`
}

// personal are the personal members of d.
func (d *Data) personal() *Personal {
	return &Personal{ExternalReference: d.ExternalReference, Documents: d.Documents, ExtractedClaims: d.ExtractedClaims,
		VerifiedClaims: d.VerifiedClaims, Media: d.Media, Session: d.Session, Extensions: d.Extensions,
		PII: PII{Profile: ProfileFull}}
}

// member is a personal member; present: it is in the JSON form.
type member struct {
	pointer string
	present bool
}

// members are the members of p without pii, in the order of the event.
func (p *Personal) members() []member {
	return []member{
		{"/external_reference", p.ExternalReference != ""},
		{"/documents", len(p.Documents) > 0},
		{"/extracted_claims", len(p.ExtractedClaims) > 0},
		{"/verified_claims", p.VerifiedClaims != nil},
		{"/media", len(p.Media) > 0},
		{"/session", p.Session != nil},
		{"/extensions", len(p.Extensions) > 0},
	}
}

// TakePersonal removes the personal members of d and returns them as JSON, to be encrypted. d is then of the
// profile encrypted, without the encrypted content. Shared maps and slices are not modified.
func TakePersonal(d *Data) ([]byte, error) {
	whole := d.personal()
	shown := *d
	shown.hideTerms()
	if terms := d.terms(); !reflect.DeepEqual(terms, shown.terms()) {
		whole.Terms = terms
	}
	content, err := json.Marshal(whole)
	if err != nil {
		return nil, fmt.Errorf("write personal members: %w", err)
	}
	d.setPersonal(&Personal{PII: PII{Profile: ProfileEncrypted}, Terms: shown.terms()})
	return content, nil
}

// hideTerms hides reviewers and free text as under the profile masked.
func (d *Data) hideTerms() {
	d.Decisions = hideReviewers(d.Decisions, maskEmail, maskName)
	hideFreeText(d)
}

func (d *Data) terms() *Terms {
	return &Terms{Provider: d.Provider, Decisions: d.Decisions, Reasons: d.Reasons, RequiredActions: d.RequiredActions,
		Checks: d.Checks}
}

// RestorePersonal puts the result of TakePersonal back into d, which is then as under the profile full. The error
// contains nothing of the content.
func RestorePersonal(d *Data, content []byte) error {
	var p Personal
	if json.Unmarshal(content, &p) != nil {
		return errors.New("the decrypted content is not a JSON object of personal members")
	}
	d.setPersonal(&p)
	return nil
}

func (d *Data) setPersonal(p *Personal) {
	d.ExternalReference, d.Documents, d.ExtractedClaims = p.ExternalReference, p.Documents, p.ExtractedClaims
	d.VerifiedClaims, d.Media, d.Session, d.Extensions = p.VerifiedClaims, p.Media, p.Session, p.Extensions
	d.PII = p.PII
	if t := p.Terms; t != nil {
		d.Provider, d.Decisions, d.Reasons, d.RequiredActions, d.Checks =
			t.Provider, t.Decisions, t.Reasons, t.RequiredActions, t.Checks
	}
}
