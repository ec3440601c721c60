package kycbridge

import (
	"strings"
)

// Protect reduces the person data of d to what profile p lets out. It may be applied any number of
// times with the same result, never writes into maps or slices that d shares with others, and fails
// closed: a profile that is not known carries no person data and says so. An empty profile is full.
//
// In every profile an Aadhaar number or VID keeps only its last four digits.
func Protect(d *Data, p Profile) {
	indian := indianEvent(d.Documents)
	d.ExtractedClaims = withoutAadhaar(d.ExtractedClaims, indian)
	d.Documents = mapDocuments(d.Documents, withoutAadhaarNumber)
	d.VerifiedClaims = protectVerified(d.VerifiedClaims, indian, p)
	switch p {
	case "", ProfileFull:
		d.PII.Profile = ProfileFull
	case ProfileMasked:
		d.PII.Profile = ProfileMasked
		d.ExtractedClaims = maskClaims(d.ExtractedClaims)
		d.Documents = mapDocuments(d.Documents, func(doc Document) string { return maskNumber(doc.DocumentNumber) })
		d.Media = closeMedia(d.Media)
	default:
		d.PII.Profile = ProfileNone
		d.ExtractedClaims = nil
		d.Documents = mapDocuments(d.Documents, func(Document) string { return "" })
		d.Media = closeMedia(d.Media)
	}
}

// mapDocuments returns docs with each number replaced by what number makes of its document.
func mapDocuments(docs []Document, number func(Document) string) []Document {
	if docs == nil {
		return nil
	}
	out := make([]Document, len(docs))
	for i, doc := range docs {
		doc.DocumentNumber = number(doc)
		out[i] = doc
	}
	return out
}

// closeMedia replaces every address that opens without credentials by the place it was read from,
// and drops the item where there is no such place.
func closeMedia(media []Media) []Media {
	var out []Media
	for _, m := range media {
		if openAddress(m.ProviderRef) {
			m.ProviderRef = m.Field
		}
		if m.ProviderRef != "" && !openAddress(m.ProviderRef) {
			out = append(out, m)
		}
	}
	return out
}

// openAddress reports whether ref is an address rather than an id; a data URL is the image itself.
func openAddress(ref string) bool {
	return strings.Contains(ref, "://") || strings.HasPrefix(ref, "//") ||
		len(ref) >= 5 && strings.EqualFold(ref[:5], "data:")
}

// protectVerified treats the claims like the extracted ones, and the numbers that stand in the evidence.
func protectVerified(v *VerifiedClaims, indian bool, p Profile) *VerifiedClaims {
	if v == nil || p != "" && p != ProfileFull && p != ProfileMasked {
		return nil
	}
	masked := p == ProfileMasked
	out := VerifiedClaims{Claims: withoutAadhaar(v.Claims, indian)}
	if masked {
		out.Claims = maskClaims(out.Claims)
	}
	if v.Verification != nil {
		out.Verification, _ = evidenceNumbers(v.Verification, masked).(map[string]any)
	}
	return &out
}

// evidenceNumbers copies v with every document_number in it reduced.
func evidenceNumbers(v any, masked bool) any {
	switch v := generic(v).(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = evidenceNumbers(v[i], masked)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			number, ok := scalar(item)
			if k != "document_number" || !ok {
				out[k] = evidenceNumbers(item, masked)
				continue
			}
			number = withoutAadhaarNumber(evidenceDocument(v, number))
			if masked {
				number = maskNumber(number)
			}
			out[k] = number
		}
		return out
	default:
		return v
	}
}

// evidenceDocument reads back of document_details what decides how its number is treated.
func evidenceDocument(details map[string]any, number string) Document {
	doc := Document{DocumentNumber: number}
	doc.Type, _ = details["type"].(string)
	if issuer, ok := generic(details["issuer"]).(map[string]any); ok {
		country, _ := issuer["country_code"].(string)
		doc.Issuer = &Issuer{CountryCode: country}
	}
	return doc
}

// Aadhaar numbers and VIDs: the part that holds in every profile.
