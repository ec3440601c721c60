package event

import (
	"slices"
	"strings"
)

// Protect reduces the personal data of d to what profile p permits. It is idempotent, never modifies maps
// or slices that d shares with others, and fails closed: an unknown profile is replaced by the profile none.
// An empty profile is full. Under the profile encrypted d stays readable, as states are compared in
// this form; its personal members are encrypted when the event is published (TakePersonal), and Check refuses
// an event of this profile that is not encrypted.
// In every profile an Aadhaar number or VID keeps only its last four digits, anywhere in d.
func Protect(d *Data, p Profile) {
	hideNumbers(d)
	switch p {
	case "", ProfileFull:
		d.PII = PII{Profile: ProfileFull}
	case ProfileEncrypted:
		d.PII = PII{Profile: ProfileEncrypted}
	case ProfileMasked:
		d.PII = PII{Profile: ProfileMasked}
		d.hideReference(maskNumber, maskEmail) // before the claims, which it is compared with
		d.ExtractedClaims = maskClaims(d.ExtractedClaims)
		d.Documents = mapDocuments(d.Documents, func(doc Document) string { return maskNumber(doc.DocumentNumber) })
		d.Media = closeMedia(d.Media)
		d.VerifiedClaims = maskVerified(d.VerifiedClaims)
		d.hideTerms()
	default:
		d.PII = PII{Profile: ProfileNone}
		nothing := func(string) string { return "" }
		d.hideReference(nothing, nothing)
		d.ExtractedClaims = nil
		d.Documents = mapDocuments(d.Documents, func(Document) string { return "" })
		d.Media = closeMedia(d.Media)
		d.VerifiedClaims = nil
		d.Decisions = hideReviewers(d.Decisions, nothing, nothing)
		hideFreeText(d)
	}
}

// hideReference replaces the caller's own reference by the result of number or address if it is the person's telephone
// number or an e-mail address. It should be an id without meaning, but some callers open KwikID's sessions with the
// customer's telephone number as user_id (seen in bodies of one installation).
func (d *Data) hideReference(number, address func(string) string) {
	ref := d.ExternalReference
	switch {
	case strings.Contains(ref, "@"):
		d.ExternalReference = address(ref)
	case strings.HasPrefix(ref, "+") || slices.ContainsFunc(phoneClaims, func(name string) bool {
		claim, _ := scalar(d.ExtractedClaims[name])
		return SamePhone(claim, ref)
	}):
		d.ExternalReference = number(ref)
	}
}

// SamePhone reports whether two texts are one telephone number, each with its country code or without. Without it many
// countries write another digit in front, mostly 0, in Lithuania also 8.
func SamePhone(a, b string) bool {
	const fewest = 7 // without its area code
	long, short := strings.TrimLeft(digitsOf(a), "0"), strings.TrimLeft(digitsOf(b), "0")
	if len(long) < len(short) {
		long, short = short, long
	}
	return len(short) >= fewest && strings.HasSuffix(long, short) ||
		len(short) > fewest && len(long) > len(short) && strings.HasSuffix(long, short[1:])
}

// hideReviewers returns steps with each reference to a reviewer that is an e-mail address, or that may be a name,
// replaced by the result of address or name.
func hideReviewers(steps []DecisionStep, address, name func(string) string) []DecisionStep {
	return edited(steps, func(step *DecisionStep) {
		switch ref := step.ActorRef; {
		case strings.Contains(ref, "@"):
			step.ActorRef = address(ref)
		case !HarmlessID(ref) && !HarmlessWord(ref):
			step.ActorRef = name(ref)
		}
	})
}

// edited returns a copy of list with every item edited: others share the list.
func edited[T any](list []T, edit func(*T)) []T {
	if len(list) == 0 {
		return list
	}
	list = slices.Clone(list)
	for i := range list {
		edit(&list[i])
	}
	return list
}

// mapDocuments returns docs with each number replaced by the result of number. It copies them on a change.
func mapDocuments(docs []Document, number func(Document) string) []Document {
	copied := false
	for i, doc := range docs {
		n := number(doc)
		if n == doc.DocumentNumber {
			continue
		}
		if !copied {
			docs, copied = slices.Clone(docs), true
		}
		docs[i].DocumentNumber = n
	}
	return docs
}

// closeMedia replaces every address that opens without credentials by its pointer in the body, and drops
// the item if it has no pointer.
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

// openAddress reports whether ref is an address rather than an id; a data URL is the image itself. An address may have
// no scheme: then it begins with a host, or has a query, which may contain a signature.
func openAddress(ref string) bool {
	host, _, path := strings.Cut(ref, "/")
	return strings.Contains(ref, "://") || strings.HasPrefix(ref, "//") || strings.Contains(ref, "?") ||
		path && strings.Contains(host, ".") || len(ref) >= 5 && strings.EqualFold(ref[:5], "data:")
}

// maskVerified masks the claims like the extracted ones, and the numbers in the evidence.
func maskVerified(v *VerifiedClaims) *VerifiedClaims {
	if v == nil {
		return nil
	}
	out := VerifiedClaims{Claims: maskClaims(v.Claims)}
	if v.Verification != nil {
		out.Verification, _ = maskEvidence(v.Verification).(map[string]any)
	}
	return &out
}

// maskEvidence copies v with every document_number in it masked.
func maskEvidence(v any) any {
	switch v := generic(v).(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = maskEvidence(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			if number, ok := scalar(item); ok && k == "document_number" {
				out[k] = maskNumber(number)
				continue
			}
			out[k] = maskEvidence(item)
		}
		return out
	default:
		return v
	}
}

// evidenceDocument reads from document_details the fields that decide how its number is masked.
func evidenceDocument(details map[string]any, number string) Document {
	doc := Document{DocumentNumber: number}
	doc.Type, _ = details["type"].(string)
	if issuer, ok := generic(details["issuer"]).(map[string]any); ok {
		country, _ := issuer["country_code"].(string)
		doc.Issuer = &Issuer{CountryCode: country}
	}
	return doc
}
