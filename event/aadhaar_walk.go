package event

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// hideNumbers reduces every Aadhaar number and VID in d to its last four digits, from any source, and hides lines of a
// machine-readable zone. It does not change kycbridge's own ids (verification_id, supersedes, id and digest of the
// payload), nor an Aadhaar number as that of a document whose issuer is known and is not India. Maps and slices that d
// shares with others are copied before they are modified.
// It runs for every event, and very few contain such a number: so it searches first, and copies only after
// a match.
func hideNumbers(d *Data) {
	d.Documents = mapDocuments(d.Documents, hideDocumentNumber)
	var h numberMasker
	h.data(d)
	if !h.found {
		return
	}
	*d = deepCopy(reflect.ValueOf(*d)).Interface().(Data)
	h.writing = true
	h.data(d)
}

// numberMasker walks a state. It only searches unless writing is set. TestEveryFieldIsMasked checks that
// it covers the whole event type.
type numberMasker struct{ writing, found bool }

// texts and words mask strings that are not kycbridge's own ids. A mask in a word is in lower case, like
// the word.
func (h *numberMasker) texts(all ...*string) {
	for _, s := range all {
		h.set(s, HideAadhaar(*s))
	}
}

func (h *numberMasker) words(all ...*string) {
	for _, s := range all {
		h.set(s, hideInWord(*s))
	}
}

func (h *numberMasker) wordList(list []string) {
	for i := range list {
		h.set(&list[i], hideInWord(list[i]))
	}
}

func hideInWord(s string) string { return hideNumbersIn(s, aadhaarWordMask, false) }

func (h *numberMasker) set(s *string, hidden string) {
	if hidden == *s {
		return
	}
	h.found = true
	if h.writing {
		*s = hidden
	}
}

func (h *numberMasker) data(d *Data) {
	h.words(&d.Account, &d.StatusDetail, (*string)(&d.Environment), (*string)(&d.Status))
	h.texts(&d.ExternalReference, (*string)(&d.PII.Profile), &d.PII.KeyID, &d.Payload.Mapping, &d.Payload.AdmittedBy)
	h.provider(&d.Provider)
	h.verdict(d)
	for i := range d.Checks {
		h.check(&d.Checks[i])
	}
	for i := range d.Documents {
		h.document(&d.Documents[i])
	}
	h.object(d.ExtractedClaims, inClaims)
	if v := d.VerifiedClaims; v != nil {
		h.object(v.Verification, inEvidence)
		h.object(v.Claims, inClaims)
	}
	for i := range d.Media {
		m := &d.Media[i]
		h.texts(&m.Kind, &m.MediaType, &m.ProviderRef, &m.ExpiresAt, &m.Field)
	}
	if s := d.Session; s != nil {
		h.texts(&s.Channel, &s.Country, &s.CountrySource)
		h.texts(&s.CreatedAt, &s.ScheduledAt, &s.StartedAt, &s.SubmittedAt, &s.EndedAt, &s.ExpiresAt)
		if s.Consent != nil {
			h.texts(&s.Consent.At)
		}
	}
	h.object(d.Extensions, elsewhere)
}

func (h *numberMasker) provider(p *ProviderData) {
	h.words(&p.Name)
	h.texts(&p.Product, &p.FlowID, &p.FlowVersion)
	h.strings(p.References, elsewhere)
	h.texts(&p.Event.Name, &p.Event.ID, &p.Event.OccurredAt, &p.Event.ReceivedAt, (*string)(&p.Event.Via))
	h.object(p.Status, elsewhere)
}

// verdict masks the decision and its explanations.
func (h *numberMasker) verdict(d *Data) {
	h.texts((*string)(&d.Decision.Outcome), (*string)(&d.Decision.Stage), (*string)(&d.Decision.ActorType))
	h.texts(&d.Decision.DecidedAt)
	for i := range d.Decisions {
		s := &d.Decisions[i]
		h.texts((*string)(&s.Stage), (*string)(&s.Outcome), (*string)(&s.ActorType))
		h.texts(&s.ActorRef, &s.ProviderValue, &s.DecidedAt)
	}
	for i := range d.Reasons {
		h.words(&d.Reasons[i].Code, &d.Reasons[i].CheckID)
		h.texts(&d.Reasons[i].ProviderCode)
	}
	for i := range d.RequiredActions {
		a := &d.RequiredActions[i]
		h.texts(&a.Action, &a.ProviderStep, &a.Deadline)
		h.wordList(a.Reasons)
	}
	if d.Risk != nil {
		h.texts(&d.Risk.Level)
	}
}

func (h *numberMasker) check(c *Check) {
	h.words(&c.CheckID, &c.Type)
	h.texts((*string)(&c.Result), &c.Method, &c.PerformedBy, &c.CompletedAt, &c.ProviderCheck, &c.ProviderResult)
	h.wordList(c.DocumentIDs)
	h.wordList(c.Reasons)
	for i := range c.Fields {
		h.words(&c.Fields[i].Field, (*string)(&c.Fields[i].Result))
	}
	h.object(c.Details, elsewhere)
}

// document masks all of a document except its number.
func (h *numberMasker) document(d *Document) {
	h.words(&d.DocumentID, &d.Type)
	h.texts(&d.Subtype, &d.MRZDocumentCode, &d.DateOfIssuance, &d.DateOfExpiry)
	if d.Issuer != nil {
		h.texts(&d.Issuer.Name, &d.Issuer.CountryCode, &d.Issuer.Jurisdiction)
	}
}

// maskContext selects the masking rules of a value.
type maskContext byte

const (
	elsewhere    maskContext = iota
	inClaims                 // phone_number is a phone number; names such as aadhaar_number lead to underAadhaar
	underAadhaar             // below such a name
	inEvidence               // of verified claims: document_details contain a document, check_details ids of checks
)

// below is the context of values under key.
func (r maskContext) below(key string) maskContext {
	if r == inClaims && aadhaarKey(key) {
		return underAadhaar
	}
	return r
}

func (r maskContext) hide(key, s string) string {
	switch {
	case r == underAadhaar:
		return hideNamed(s)
	case r == inClaims && baseKey(key) == "phone_number" && phoneNumber(s):
		return s
	case r == inEvidence && (key == "check_id" || key == "type"):
		return hideInWord(s)
	}
	return HideAadhaar(s)
}

// object masks the members of m and their names.
func (h *numberMasker) object(m map[string]any, r maskContext) {
	details := r == inEvidence && m["document_number"] != nil
	for key, v := range m {
		var hidden any
		changed := false
		if number, ok := scalar(v); details && ok && key == "document_number" {
			hidden, changed = h.number(m, number)
		} else {
			hidden, changed = h.value(key, v, r.below(key))
		}
		if changed && h.writing {
			m[key] = hidden
		}
		h.found = h.found || changed
	}
	hideKeys(h, m)
}

// number masks the number of a document in evidence.
func (h *numberMasker) number(details map[string]any, number string) (any, bool) {
	hidden := hideDocumentNumber(evidenceDocument(details, number))
	return hidden, hidden != number
}

func (h *numberMasker) strings(m map[string]string, r maskContext) {
	for key, s := range m {
		hidden := r.below(key).hide(key, s)
		if hidden != s && h.writing {
			m[key] = hidden
		}
		h.found = h.found || hidden != s
	}
	hideKeys(h, m)
}

// hideKeys masks the names of members. Names that become equal are numbered.
func hideKeys[V any](h *numberMasker, m map[string]V) {
	var named []string
	for key := range m {
		if HideAadhaar(key) != key {
			named = append(named, key)
		}
	}
	if h.found = h.found || named != nil; !h.writing {
		return
	}
	slices.Sort(named)
	for _, key := range named {
		hidden := HideAadhaar(key)
		for n := 2; ; n++ {
			if _, taken := m[hidden]; !taken {
				break
			}
			hidden = HideAadhaar(key) + "_" + strconv.Itoa(n)
		}
		m[hidden] = m[key]
		delete(m, key)
	}
}

// value masks the value of a member. Nested values are masked in place; a replaced value is returned.
func (h *numberMasker) value(key string, v any, r maskContext) (hidden any, changed bool) {
	switch v := v.(type) {
	case nil, bool:
		return nil, false
	case string:
		if s := r.hide(key, v); s != v {
			return s, true
		}
		return nil, false
	case map[string]any:
		h.object(v, r)
	case Claims:
		h.object(v, r)
	case map[string]string:
		h.strings(v, r)
	case []any:
		for i := range v {
			if item, changed := h.value(key, v[i], r); changed {
				h.found = true
				if h.writing {
					v[i] = item
				}
			}
		}
	case []string:
		for i := range v {
			h.set(&v[i], r.hide(key, v[i]))
		}
	default:
		return h.other(key, v, r)
	}
	return nil, false
}

// other masks numbers, and values of types that mappings do not use, in their JSON form.
func (h *numberMasker) other(key string, v any, r maskContext) (hidden any, changed bool) {
	if s, ok := wholeNumber(v); ok {
		hidden := r.hide(key, s)
		return hidden, hidden != s
	}
	switch v.(type) {
	case json.Number, float64:
		return nil, false
	}
	written := generic(v)
	if s, ok := scalar(written); ok {
		if number, ok := wholeNumber(written); ok {
			s = number
		} else if _, ok := written.(string); !ok {
			return nil, false
		}
		hidden := r.hide(key, s)
		return hidden, hidden != s
	}
	if written == nil {
		return nil, false
	}
	within := numberMasker{writing: true}
	within.value(key, written, r)
	return written, within.found
}

// wholeNumber is a number without decimals as text. Numbers with decimals are scores or similar.
func wholeNumber(v any) (string, bool) {
	switch v := v.(type) {
	case json.Number:
		return v.String(), !strings.ContainsAny(v.String(), ".eE")
	case float64:
		if v != math.Trunc(v) || math.Abs(v) > 1<<63 {
			return "", false
		}
		return strconv.FormatFloat(v, 'f', -1, 64), true
	case int:
		return strconv.Itoa(v), true
	case int64:
		return strconv.FormatInt(v, 10), true
	}
	return "", false
}

// deepCopy copies v with everything it points to.
func deepCopy(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			break
		}
		inner := deepCopy(v.Elem())
		if v.Kind() == reflect.Interface {
			out.Set(inner)
			break
		}
		out.Set(reflect.New(inner.Type()))
		out.Elem().Set(inner)
	case reflect.Slice:
		if v.IsNil() {
			break
		}
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			out.Index(i).Set(deepCopy(v.Index(i)))
		}
	case reflect.Map:
		if v.IsNil() {
			break
		}
		out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
		for _, key := range v.MapKeys() {
			out.SetMapIndex(key, deepCopy(v.MapIndex(key)))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if out.Field(i).CanSet() {
				out.Field(i).Set(deepCopy(v.Field(i)))
			}
		}
	}
	return out
}
