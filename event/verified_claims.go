package event

import (
	"maps"
	"slices"
)

// NewVerifiedClaims creates the OIDC4IDA object of a final approval under the named trust framework: one
// piece of evidence per document with the checks that it passed, and the extracted claims. It is nil
// without a final approval, a framework or claims. Apply Protect to d first.
func NewVerifiedClaims(d *Data, framework string) *VerifiedClaims {
	approved := d.Status == StatusCompleted && d.Decision.Outcome == OutcomeApproved && d.Decision.Final
	if !approved || framework == "" || len(d.ExtractedClaims) == 0 {
		return nil
	}
	verification := map[string]any{"trust_framework": HideAadhaar(framework)}
	for _, at := range []string{d.Decision.DecidedAt, d.Provider.Event.OccurredAt, d.Provider.Event.ReceivedAt} {
		if at != "" {
			verification["time"] = at
			break
		}
	}
	var evidence []any
	for _, doc := range d.Documents {
		piece := map[string]any{"type": "document", "document_details": documentDetails(doc)}
		if checks := checkDetails(d.Checks, doc.DocumentID); checks != nil {
			piece["check_details"] = checks
		}
		evidence = append(evidence, piece)
	}
	if evidence != nil {
		verification["evidence"] = evidence
	}
	return &VerifiedClaims{Verification: verification, Claims: maps.Clone(d.ExtractedClaims)}
}

// checkDetails lists the passed checks of a document: those of the document and those without one,
// such as the comparison of faces. OIDC4IDA has no field for a result, so other results would mislead.
func checkDetails(checks []Check, documentID string) []any {
	var out []any
	for _, c := range checks {
		about := len(c.DocumentIDs) == 0 || slices.Contains(c.DocumentIDs, documentID)
		if c.Method == "" || c.Result != ResultPassed || !about {
			continue
		}
		detail := map[string]any{"check_method": c.Method, "check_id": c.CheckID}
		setText(detail, "organization", c.PerformedBy)
		out = append(out, detail)
	}
	return out
}

// documentDetails describes a document in the members of OIDC4IDA.
func documentDetails(doc Document) map[string]any {
	details := map[string]any{"type": doc.Type}
	setText(details, "document_number", doc.DocumentNumber)
	setText(details, "date_of_issuance", doc.DateOfIssuance)
	setText(details, "date_of_expiry", doc.DateOfExpiry)
	if doc.Issuer == nil {
		return details
	}
	issuer := map[string]any{}
	setText(issuer, "name", doc.Issuer.Name)
	setText(issuer, "country_code", doc.Issuer.CountryCode)
	setText(issuer, "jurisdiction", doc.Issuer.Jurisdiction)
	if len(issuer) > 0 {
		details["issuer"] = issuer
	}
	return details
}

// setText sets key to s unless it is empty.
func setText(m map[string]any, key, s string) {
	if s != "" {
		m[key] = s
	}
}
