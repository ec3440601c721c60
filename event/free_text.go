package event

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// hideFreeText replaces free text where a provider should send a word: its statuses, codes, names of checks and
// results. Nothing prevents a provider from sending a sentence there, with a person in it. Words of the vocabulary,
// ids, instants and numbers stay; everything else becomes [masked] and can be read in the stored payload. It copies
// what it changes.
func hideFreeText(d *Data) {
	p := freeText{comparison: comparison{provider: d.Provider.Name}}
	p.text("event", &d.Provider.Event.Name)
	p.id(&d.Provider.Event.ID)
	d.Provider.Status = p.values(d.Provider.Status)
	d.Checks = p.checks(d.Checks) // before the reasons, which refer to them
	d.Decisions = edited(d.Decisions, func(s *DecisionStep) { p.text("provider_value", &s.ProviderValue) })
	d.Reasons = edited(d.Reasons, func(r *Reason) {
		p.text("provider_code", &r.ProviderCode)
		p.checkID(&r.CheckID)
	})
	d.RequiredActions = edited(d.RequiredActions, func(a *RequiredAction) { p.text("provider_step", &a.ProviderStep) })
	d.Documents = edited(d.Documents, p.document)
	d.Media = p.media(d.Media)
}

// freeText decides which text of a provider may be shown. names has what replaces a hidden part of an id.
type freeText struct {
	comparison
	names map[string]string
}

func (p *freeText) text(member string, s *string) {
	if *s != maskedValue && !p.harmless("/"+member, *s) {
		*s = maskedValue
	}
}

func (p *freeText) id(s *string) {
	if !HarmlessID(*s) {
		p.text("id", s)
	}
}

func (p *freeText) value(member string, v any) any {
	switch v := v.(type) {
	case bool, nil, int, []float64: // numbers that a mapping counted or converted
		return v
	case string:
		p.text(member, &v)
		return v
	case []string:
		return edited(v, func(s *string) { p.text(member, s) })
	case []any:
		return edited(v, func(item *any) { *item = p.value(member, *item) })
	}
	if aNumber.admits(v) || p.harmless("/"+member, v) {
		return v
	}
	return maskedValue
}

func (p *freeText) values(all map[string]any) map[string]any {
	if all == nil {
		return nil
	}
	out := make(map[string]any, len(all))
	for name, v := range all {
		out[name] = p.value(name, v)
	}
	return out
}

func (p *freeText) checks(all []Check) []Check {
	return edited(all, func(c *Check) {
		p.checkID(&c.CheckID)
		p.checkType(&c.Type)
		c.DocumentIDs = edited(c.DocumentIDs, p.checkID)
		p.text("provider_check", &c.ProviderCheck)
		p.text("provider_result", &c.ProviderResult)
		c.Fields = edited(c.Fields, func(f *CheckField) { p.text("check", &f.Field) })
		c.Details = p.values(c.Details)
	})
}

// checkID replaces each part of an id, between dots, that may be text of a person.
func (p *freeText) checkID(id *string) {
	parts := strings.Split(*id, ".")
	for i := range parts {
		p.part(&parts[i])
	}
	*id = strings.Join(parts, ".")
}

// part replaces an id that may be text of a person by a number: ids refer to each other, so equal ids get equal ones.
func (p *freeText) part(id *string) {
	if *id == "" || HarmlessWord(*id, p.provider) || isUUID(*id) {
		return
	}
	shown, known := p.names[*id]
	if !known {
		if p.names == nil {
			p.names = map[string]string{}
		}
		shown = "masked_" + strconv.Itoa(len(p.names)+1)
		p.names[*id] = shown
	}
	*id = shown
}

// checkType replaces the name in a type that is private to a provider: x_acme_name.
func (p *freeText) checkType(kind *string) {
	name, private := strings.CutPrefix(*kind, "x_")
	if !private || HarmlessWord(*kind, p.provider) {
		return
	}
	owner, _, _ := strings.Cut(name, "_")
	*kind = "x_" + owner + "_masked"
}

func (p *freeText) document(d *Document) {
	p.checkID(&d.DocumentID)
	if !p.harmless("/type", d.Type) {
		d.Type = "unknown"
	}
	if !shortWords(d.Subtype, len("AM1")) { // classes of a licence: AM/A/B1
		p.text("subtype", &d.Subtype)
	}
	if i := d.Issuer; i != nil && i.Name != "" && !HarmlessWord(i.Name) {
		issuer := *i
		issuer.Name = maskName(i.Name)
		d.Issuer = &issuer
	}
}

// media replaces the reference of an image that may contain a name, as a file's name does, by its pointer in the
// body, and omits the image if it has no pointer of fixed words.
func (p *freeText) media(all []Media) []Media {
	var out []Media
	for _, m := range all {
		if !p.harmless("/kind", m.Kind) {
			m.Kind = "other"
		}
		if !p.isPath(m.ProviderRef) {
			m.ProviderRef = m.Field
		}
		if m.ProviderRef != "" && p.isPath(m.ProviderRef) {
			out = append(out, m)
		}
	}
	return out
}

// isPath reports whether each part of s is a UUID, a hexadecimal or a random id, or consists of words of the vocabulary
// and very short ones. Other ids do not count: a file's name such as jane-sample-1985.jpg has the form of one.
func (p *freeText) isPath(s string) bool {
	if !isASCII(s) {
		return false
	}
	for part := range strings.SplitSeq(s, "/") {
		if isUUID(part) || isHexID(part) || isRandomID(part) {
			continue
		}
		long := slices.DeleteFunc(wordsOf(part), func(word string) bool { return len(word) <= len("ab") })
		if len(long) > 0 && !HarmlessWord(strings.Join(long, " "), p.provider) {
			return false
		}
	}
	return true
}

// isHexID reports whether s has the form of an id of 12 bytes or more in hexadecimal.
func isHexID(s string) bool {
	return len(s) >= 24 && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// isRandomID reports whether s is an id of 20 characters or more without a sequence of letters that could be a name.
func isRandomID(s string) bool {
	const shortest, longestRun = 20, 4
	return len(s) >= shortest && HarmlessID(s) &&
		!slices.ContainsFunc(wordsOf(s), func(word string) bool { return len(word) > longestRun })
}

// isASCII reports whether s has only characters that wordsOf knows: it reads all others as spaces between words.
func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// shortWords reports whether s is ASCII and no word in it is longer than that.
func shortWords(s string, longest int) bool {
	return isASCII(s) && !slices.ContainsFunc(wordsOf(s), func(word string) bool { return len(word) > longest })
}
