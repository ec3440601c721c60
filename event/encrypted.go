package event

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Personal is the content that the profile encrypted encrypts: the members of data at personalPlaces, each as a
// whole, and pii as it is under the profile full. A consumer replaces the members of data by those of the content.
type Personal struct {
	ExternalReference string          `json:"external_reference,omitempty"`
	Documents         []Document      `json:"documents,omitempty"`
	ExtractedClaims   Claims          `json:"extracted_claims,omitempty"`
	VerifiedClaims    *VerifiedClaims `json:"verified_claims,omitempty"`
	Media             []Media         `json:"media,omitempty"`
	Session           *Session        `json:"session,omitempty"`
	Extensions        map[string]any  `json:"extensions,omitempty"`
	PII               PII             `json:"pii"`
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
	content, err := json.Marshal(d.personal())
	if err != nil {
		return nil, fmt.Errorf("write personal members: %w", err)
	}
	d.setPersonal(&Personal{PII: PII{Profile: ProfileEncrypted}})
	return content, nil
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
}
