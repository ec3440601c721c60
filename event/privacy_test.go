package event

import (
	"encoding/json"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// Synthetic numbers: the check digits are correct, the rest is a pattern.
const (
	someAadhaar = "234123412346"
	someVID     = "9123456789012341"
)

func TestVerhoeff(t *testing.T) {
	for digits, want := range map[string]bool{
		"2363": true, "2364": false, "758722": true, "123451": true, "1428570": true,
		someAadhaar: true, "234123412345": false, "324123412346": false, "234123142346": false,
	} {
		if got := passes(digits); got != want {
			t.Errorf("verhoeff(%s) = %v", digits, got)
		}
	}
	// Every single wrong digit and every swap of unlike neighbors is detected.
	for i := range len(someAadhaar) {
		for c := byte('0'); c <= '9'; c++ {
			if wrong := someAadhaar[:i] + string(c) + someAadhaar[i+1:]; wrong != someAadhaar && passes(wrong) {
				t.Errorf("%s passes", wrong)
			}
		}
	}
}

// passes reports whether the last of the digits is the check digit of the others.
func passes(digits string) bool {
	values := []byte(digits)
	for i := range values {
		values[i] -= '0'
	}
	return verhoeff(values)
}

// withCheckDigit appends the check digit.
func withCheckDigit(digits string) string {
	for c := '0'; ; c++ {
		if s := digits + string(c); passes(s) {
			return s
		}
	}
}

func TestAadhaarInText(t *testing.T) {
	vid := withCheckDigit("912345678901234")
	foreign := "234123412345" // wrong check digit
	hidden := "XXXXXXXX2346"
	for name, c := range map[string]struct{ in, want string }{
		"plain":                   {someAadhaar, hidden},
		"odd groups":              {"23 4123 412346", hidden},
		"within text":             {"id 2341 2341 2346, seen", "id XXXXXXXX2346, seen"},
		"beside letters":          {"no" + someAadhaar + "x", "noXXXXXXXX2346x"},
		"after a house number":    {"12 2341 2341 2346", "12 XXXXXXXX2346"},
		"twice":                   {someAadhaar + "," + someAadhaar, hidden + "," + hidden},
		"overlapping":             {someAadhaar + " 2341 2346", "XXXXXXXX2346 2341 2346"},
		"vid":                     {vid, "XXXXXXXX" + vid[12:]},
		"vid in groups":           {vid[:4] + " " + vid[4:8] + " " + vid[8:12] + " " + vid[12:], "XXXXXXXX" + vid[12:]},
		"wrong check digit":       {foreign, foreign},
		"starts with one":         {withCheckDigit("12345678901"), withCheckDigit("12345678901")},
		"starts with zero":        {withCheckDigit("02345678901"), withCheckDigit("02345678901")},
		"thirteen digits":         {"1" + someAadhaar, "1" + someAadhaar},
		"digits behind":           {someAadhaar + "7", someAadhaar + "7"},
		"eleven digits":           {someAadhaar[:11], someAadhaar[:11]},
		"masked already":          {hidden, hidden},
		"text of no number":       {"Jane Sample, 42", "Jane Sample, 42"},
		"broken characters":       {"\xff" + someAadhaar + "\xff", "\xffXXXXXXXX2346\xff"},
		"nothing":                 {"", ""},
		"number after a dot":      {"0." + someAadhaar, "0." + hidden},
		"calling code":            {"91" + someAadhaar, "91" + hidden},
		"calling code with plus":  {"+91-2341-2341-2346", "+91-" + hidden},
		"calling code with zeros": {"0091" + someAadhaar, "0091" + hidden},
		"calling code and vid":    {"91" + vid, "91XXXXXXXX" + vid[12:]},
		"other calling code":      {"92" + someAadhaar, "92" + someAadhaar},
		"letters between":         {"2341 and 2341 and 2346", "2341 and 2341 and 2346"},
		"in a path": {"https://files.example.com/2341-2341-2346/front.jpg?v=2",
			"https://files.example.com/" + hidden + "/front.jpg?v=2"},
		"in a query": {"https://files.example.com/?q=2341%202341%202346",
			"https://files.example.com/?q=" + hidden},
		"escaped before": {"https://files.example.com/?q=%202341%2D2341%2D2346&v=1",
			"https://files.example.com/?q=%20" + hidden + "&v=1"},
		"in JSON inside a text":      {`{"text":"No.\n2341\n2341\u00a02346\tend"}`, `{"text":"No.\n` + hidden + `\tend"}`},
		"escaped more than once":     {`2341\\n2341\\u00202346`, hidden},
		"in HTML":                    {"2341&nbsp;2341&#160;2346&nbsp;", hidden + "&nbsp;"},
		"in HTML, hexadecimal":       {"&#xA0;2341&#xA0;2341&thinsp;2346", "&#xA0;" + hidden},
		"an ampersand, not escaped":  {"2341&x=2341&y=2346", "2341&x=2341&y=2346"},
		"a backslash, not an escape": {`2341\a2341\a2346`, `2341\a2341\a2346`},
		"percent sign before":        {"5%" + someAadhaar, "5%" + hidden},
		"uuid":                       {"d0300000-0000-4000-8000-" + someAadhaar, "d0300000-0000-4000-8000-" + someAadhaar},
		"longer than a uuid": {"d0300000-0000-4000-8000-" + someAadhaar + "-1",
			"d0300000-0000-4000-8000-" + someAadhaar + "-1"},
		"not quite a uuid":        {"d03-0000-4000-8000-" + someAadhaar, "d03-0000-4000-8000-" + hidden},
		"hexadecimal id":          {"65f0" + someAadhaar + "000d0016", "65f0" + someAadhaar + "000d0016"},
		"short hexadecimal id":    {"ab" + someAadhaar + "cd", "ab" + hidden + "cd"},
		"time":                    {"2025-03-02T20:00:17.004019Z", "2025-03-02T20:00:17.004019Z"},
		"time with a space":       {"2025-03-02 09:00 at", "2025-03-02 09:00 at"},
		"no time":                 {"2341-23-41 2346", hidden},
		"devanagari":              {"Flat 1, २३४१२३४१२३४६", "Flat 1, XXXXXXXX२३४६"},
		"full width":              {"２３４１　２３４１　２３４６", "XXXXXXXX２３４６"},
		"arabic-indic":            {"٢٣٤١٢٣٤١٢٣٤٦", "XXXXXXXX٢٣٤٦"},
		"mathematical":            {"𝟐𝟑𝟒𝟏𝟐𝟑𝟒𝟏𝟐𝟑𝟒𝟔", "XXXXXXXX𝟐𝟑𝟒𝟔"},
		"scripts mixed":           {"2३4१ २3٤1 2３४6", "XXXXXXXX2３४6"},
		"letters of other script": {"घर २३४१ नं २३४१ नं २३४६", "घर २३४१ नं २३४१ नं २३४६"},
	} {
		got := HideAadhaar(c.in)
		if got != c.want {
			t.Errorf("%s: %q became %q, want %q", name, c.in, got, c.want)
		}
		if again := HideAadhaar(got); again != got {
			t.Errorf("%s: %q became %q on the second pass", name, got, again)
		}
	}
}

// separators are placed between the digits of a number.
var separators = map[string]string{
	"nothing": "", "space": " ", "newline": "\n", "carriage return": "\r\n", "tab": "\t", "dash": "-", "dot": ".",
	"slash":      "/",
	"underscore": "_", "comma": ",", "backslash": "\\", "colon": ":", "semicolon": ";", "bar": "|", "star": "*",
	"plus": "+", "equals": "=",
	"no-break space": "\u00a0", "narrow space": "\u202f", "ideographic space": "\u3000", "en dash": "–", "minus": "−",
	"middle dot":       "·",
	"zero width space": "\u200b", "zero width joiner": "\u200d", "word joiner": "\u2060", "byte order mark": "\ufeff",
	"soft hyphen":        "\u00ad",
	"left-to-right mark": "\u200e", "right-to-left mark": "\u200f", "arabic letter mark": "\u061c",
	"isolate": "\u2067", "override": "\u202e",
	"brackets": ")(", "square brackets": "] [", "a mixture": " )\u200b- [", "variation selector": "\ufe0f",
	"danda": "।", "nul": "\x00",
}

// scripts are rows of ten digits, each given by its zero.
var scripts = map[string]rune{
	"latin": '0', "arabic-indic": '٠', "extended arabic-indic": '۰', "devanagari": '०', "bengali": '০',
	"gurmukhi": '੦', "gujarati": '૦', "oriya": '୦',
	"tamil": '௦', "telugu": '౦', "kannada": '೦', "malayalam": '൦', "full width": '０', "double-struck": '𝟘',
	"monospace": '𝟶',
}

// spellings are ways to write digits, by separator and script, whole and in groups of four.
func spellings(digits string) map[string]string {
	all := map[string]string{}
	for script, zero := range scripts {
		written := strings.Map(func(r rune) rune { return zero + r - '0' }, digits)
		for name, separator := range separators {
			single, grouped := strings.Builder{}, strings.Builder{}
			for i, r := range []rune(written) {
				if i > 0 {
					single.WriteString(separator)
				}
				if i > 0 && i%4 == 0 {
					grouped.WriteString(separator)
				}
				single.WriteRune(r)
				grouped.WriteRune(r)
			}
			all[script+", "+name] = grouped.String()
			all[script+", "+name+" between all"] = single.String()
			all["91, "+script+", "+name] = "91" + grouped.String()
			all["+91, "+script+", "+name] = "(+91)" + separator + grouped.String()
		}
	}
	return all
}

// containsDigits reports whether s contains the digits in order, with any separators.
func containsDigits(s, digits string) bool {
	return strings.Contains(strings.Map(func(r rune) rune {
		for _, zero := range scripts {
			if r >= zero && r <= zero+9 {
				return '0' + r - zero
			}
		}
		return -1
	}, s), digits)
}

func TestAadhaarInEverySpelling(t *testing.T) {
	for _, digits := range []string{someAadhaar, withCheckDigit("912345678901234")} {
		for name, written := range spellings(digits) {
			if !containsDigits(written, digits) {
				t.Fatalf("%s: the test cannot see %q", name, written)
			}
			got := HideAadhaar("Flat 1, " + written + ", Example Road")
			if kept := digits[len(digits)-4:]; containsDigits(got, digits) || !containsDigits(got, kept) ||
				!strings.HasSuffix(got,
					", Example Road") {
				t.Errorf("%s: %q became %q", name, written, got)
			}
		}
	}
}

// TestDigitsOfEveryScript: the table of the standard library consists of whole rows of digits.
func TestDigitsOfEveryScript(t *testing.T) {
	n := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !unicode.IsDigit(r) {
			continue
		}
		if got := digitValue(r); int(got) != n%10 {
			t.Errorf("%U is %d, want %d", r, got, n%10)
		}
		n++
	}
	if n < 600 {
		t.Errorf("%d digits", n)
	}
}

func TestMaskedClaims(t *testing.T) {
	for name, c := range map[string]struct {
		in   any
		want any
	}{
		"name":                  {"Jane Sample", "J*** S***"},
		"given_name#hi":         {"अनु", "अ***"},
		"family_name":           {"  van  Sample-Test ", "v*** S***"},
		"also_known_as":         {[]string{"Janie", "JS"}, []any{"J***", "J***"}},
		"father_name":           {"Sam", "S***"},
		"birthdate":             {"1990-04-05", "1990"},
		"birthdate#year":        {"1990", "1990"},
		"birthdate#none":        {"0000-04-05", nil},
		"birthdate#other":       {"05.04.1990", nil},
		"document_number":       {"P1234567", "****4567"},
		"personal_number":       {"12345", "*****"},
		"tax_id":                {"ABCDE1234F", "****234F"},
		"document_number#n":     {json.Number("123456"), "****3456"},
		"phone_number":          {"+919876543210", "****3210"},
		"phone_number_verified": {true, nil},
		"email":                 {"jane.sample@example.com", "j***@example.com"},
		"email#none":            {"not an address", nil},
		"email#empty":           {"@example.com", nil},
		"address": {map[string]string{"street_address": "1 Some St", "country": "India",
			"country_code": "IND", "region": "IN-MH", "postal_code": "400001"}, map[string]any{"country": "India",
			"country_code": "IND", "region": "IN-MH"}},
		"address#text":   {"1 Some St", nil},
		"address#rest":   {map[string]any{"formatted": "1 Some St"}, nil},
		"place_of_birth": {map[string]any{"country": "IN", "locality": "Pune"}, map[string]any{"country": "IN"}},
		"nationalities":  {[]string{"IND", "GBR"}, []any{"IND", "GBR"}},
		"gender":         {"female", "female"},
		"locale":         {"en-IN", "en-IN"},
		"picture":        {"https://example.com/p.jpg", nil},
		"profile":        {"https://example.com/jane", nil},
		"website":        {"https://example.com", nil},
		"occupation":     {"baker", nil},
		"gender#deep":    {map[string]any{"x": "Jane"}, nil},
	} {
		got := maskClaims(Claims{name: c.in})
		if diff := cmp.Diff(c.want, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if again := maskClaims(got); !cmp.Equal(got, again) {
			t.Errorf("%s: %v became %v on the second pass", name, got, again)
		}
	}
}

// protectCases are states before Protect, by behaviour.
func protectCases() map[string]func() Data {
	claims := func(c Claims, docs ...Document) func() Data {
		return func() Data { return Data{ExtractedClaims: c, Documents: docs} }
	}
	ind, are := &Issuer{CountryCode: "IND"}, &Issuer{CountryCode: "ARE"}
	return map[string]func() Data{
		"empty": claims(nil),
		"aadhaar claim": claims(Claims{"note": "uses 2341 2341 2346", "deep": map[string]any{"list": []any{someAadhaar,
			7.0, true, nil}}}),
		"typed claim": claims(Claims{"address": map[string]string{"formatted": someAadhaar},
			"aka": []string{someAadhaar}}),
		"number claim": claims(Claims{"some_id": 234123412346.0, "other_id": json.Number(someAadhaar),
			"third_id": int64(234123412346)}),
		"named claims": claims(Claims{"aadhaar_number": "1111 1111 1111", "uid": "99999999",
			"vid#en": []any{"1111222233334444"}, "video": "1234567", "aadhaar_name": "Jane 111111111111"},
			Document{Issuer: are}),
		"phone":   claims(Claims{"phone_number": "+" + withCheckDigit("91987654321")}),
		"foreign": claims(Claims{"personal_number": someAadhaar}, Document{DocumentNumber: someAadhaar, Issuer: are}),
		"both": claims(Claims{"personal_number": someAadhaar}, Document{DocumentNumber: someAadhaar,
			Issuer: are}, Document{DocumentNumber: someAadhaar, Issuer: ind}),
		"aadhaar card": claims(nil, Document{Type: aadhaarType, DocumentNumber: "1234 5678 9012", Issuer: ind}),
		"aadhaar partial": claims(nil, Document{Type: aadhaarType, DocumentNumber: "XXXX XXXX 9012"},
			Document{Type: aadhaarType}, Document{Type: aadhaarType, DocumentNumber: "unreadable"}),
		"pan":          claims(nil, Document{Type: "in_pan", DocumentNumber: "ABCDE1234F"}),
		"short number": claims(nil, Document{Type: "passport", DocumentNumber: "AB12", Issuer: are}),
		"reviewers": func() Data {
			return Data{Decisions: []DecisionStep{
				{ActorRef: "reviewer@example.com"}, {ActorRef: "agent-01"}, {ActorRef: "@nobody"},
			}}
		},
		"media": func() Data {
			return Data{Media: []Media{
				{Kind: "face", ProviderRef: "https://cdn.example.com/a?sig=1", Field: "images.selfie"},
				{Kind: "front", ProviderRef: "https://cdn.example.com/b"},
				{Kind: "back", ProviderRef: "file-17"},
				{Kind: "odd", ProviderRef: "DATA:image/png;base64,AA", Field: "https://example.com"},
				{Kind: "host", ProviderRef: "cdn.example.com/c", Field: "images.host"},
				{Kind: "query", ProviderRef: "c/d?X-Amz-Signature=1", Field: "images.query"},
				{Kind: "path", ProviderRef: "c/d.jpg"},
			}}
		},
		"verified": func() Data {
			d := approvedState()
			d.VerifiedClaims = NewVerifiedClaims(&d, "in_test")
			return d
		},
		"person": func() Data { return approvedState() },
	}
}

func approvedState() Data {
	return Data{
		Status:   StatusCompleted,
		Decision: Decision{Outcome: OutcomeApproved, Final: true, DecidedAt: "2026-03-02T10:00:00Z"},
		Documents: []Document{
			{DocumentID: "d1", Type: aadhaarType, DocumentNumber: "2341 2341 2346", Issuer: &Issuer{Name: "UIDAI",
				CountryCode: "IND"}},
			{DocumentID: "d2", Type: "passport", DocumentNumber: "P1234567", DateOfIssuance: "2020-01-01",
				DateOfExpiry: "2030-01-01"},
		},
		Checks: []Check{
			{CheckID: "c1", Type: CheckDocumentAuthenticity, Result: ResultPassed, Method: "vri",
				DocumentIDs: []string{"d1"}, PerformedBy: "signzy", Details: map[string]any{"k": someAadhaar}},
			{CheckID: "c2", Type: CheckFaceMatch, Result: ResultPassed, Method: "bvr"},
			{CheckID: "c3", Type: CheckDatabase, Result: ResultFailed, Method: "data"},
			{CheckID: "c4", Type: CheckImageQuality, Result: ResultPassed},
		},
		ExtractedClaims: Claims{
			"name": "Jane Sample", "birthdate": "1990-04-05", "aadhaar_number": someAadhaar, "email": "jane@example.com",
			"phone_number": "+919876543210", "address": map[string]string{"country_code": "IND", "formatted": "1 Some St"},
		},
	}
}

func TestProtect(t *testing.T) {
	number := func(name string, p Profile) string {
		d := protectCases()[name]()
		Protect(&d, p)
		return d.Documents[0].DocumentNumber
	}
	for _, c := range []struct {
		name string
		p    Profile
		want string
	}{
		{"aadhaar card", ProfileFull, "XXXXXXXX9012"},
		{"aadhaar card", ProfileMasked, "****9012"},
		{"aadhaar card", ProfileNone, ""},
		{"aadhaar partial", ProfileFull, "XXXXXXXX9012"},
		{"foreign", ProfileFull, someAadhaar},
		{"foreign", ProfileMasked, "****2346"},
		{"pan", ProfileFull, "ABCDE1234F"},
		{"short number", ProfileMasked, "****"},
		{"short number", ProfileNone, ""},
		{"aadhaar card", ProfileEncrypted, "XXXXXXXX9012"}, // the value that is encrypted
	} {
		if got := number(c.name, c.p); got != c.want {
			t.Errorf("%s, %s: %q, want %q", c.name, c.p, got, c.want)
		}
	}

	full := func(name string) Claims {
		d := protectCases()[name]()
		Protect(&d, ProfileFull)
		return d.ExtractedClaims
	}
	for name, want := range map[string]Claims{
		"aadhaar claim": {"note": "uses XXXXXXXX2346", "deep": map[string]any{"list": []any{"XXXXXXXX2346", 7.0, true, nil}}},
		"typed claim":   {"address": map[string]string{"formatted": "XXXXXXXX2346"}, "aka": []string{"XXXXXXXX2346"}},
		"number claim":  {"some_id": "XXXXXXXX2346", "other_id": "XXXXXXXX2346", "third_id": "XXXXXXXX2346"},
		"named claims": {"aadhaar_number": "XXXXXXXX1111", "uid": "XXXXXXXX9999", "vid#en": []any{"XXXXXXXX4444"},
			"video": "1234567", "aadhaar_name": "Jane XXXXXXXX1111"},
		"phone":   {"phone_number": "+" + withCheckDigit("91987654321")},
		"foreign": {"personal_number": "XXXXXXXX2346"},
		"both":    {"personal_number": "XXXXXXXX2346"},
	} {
		if diff := cmp.Diff(want, full(name)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestProtectMedia(t *testing.T) {
	refs := func(p Profile) (out []string) {
		d := protectCases()["media"]()
		Protect(&d, p)
		for _, m := range d.Media {
			out = append(out, m.ProviderRef)
		}
		return out
	}
	for _, p := range []Profile{ProfileMasked, ProfileNone} {
		want := []string{"images.selfie", "file-17", "images.host", "images.query", "c/d.jpg"}
		if diff := cmp.Diff(want, refs(p)); diff != "" {
			t.Errorf("%s: %s", p, diff)
		}
	}
	if got := refs(ProfileFull); len(got) != 7 || got[1] != "https://cdn.example.com/b" {
		t.Errorf("full: %v", got)
	}
}

// TestProtectReviewers: a reviewer's e-mail address is masked, another id of one is not.
func TestProtectReviewers(t *testing.T) {
	for p, want := range map[Profile][]string{
		ProfileFull:   {"reviewer@example.com", "agent-01", "@nobody"},
		ProfileMasked: {"r***@example.com", "agent-01", ""}, ProfileNone: {"", "agent-01", ""},
	} {
		d := protectCases()["reviewers"]()
		Protect(&d, p)
		var got []string
		for _, step := range d.Decisions {
			got = append(got, step.ActorRef)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q", p, got)
		}
	}
}

// TestProtectReference: the caller's reference is masked like a claim if it is the person's telephone number or an
// e-mail address, and the same again in a state that was protected before.
func TestProtectReference(t *testing.T) {
	for _, c := range []struct{ ref, phone, masked, none string }{
		{"9876543210", "+919876543210", "****3210", ""},
		{"+91 98765-43210", "+919876543210", "****3210", ""},
		{"00919876543210", "+919876543210", "****3210", ""},
		{"09876543210", "+919876543210", "****3210", ""}, // as it is dialled within the country
		{"861234567", "+37061234567", "****4567", ""},
		{"+15550100", "", "****0100", ""},
		{"jane@example.com", "", "j***@example.com", ""},
		{"9876543210", "", "9876543210", "9876543210"},
		{"9876543210", "+15550100", "9876543210", "9876543210"},
		{"19876543210", "+919876543211", "19876543210", "19876543210"},
		{"83210765", "+919873210764", "83210765", "83210765"},
		{"3210", "+919876543210", "3210", "3210"}, // too short to be anybody's
		{"order-543210", "+919876543210", "order-543210", "order-543210"},
	} {
		for p, want := range map[Profile]string{ProfileFull: c.ref, ProfileEncrypted: c.ref, ProfileMasked: c.masked,
			ProfileNone: c.none} {
			d := Data{ExternalReference: c.ref, ExtractedClaims: Claims{"phone_number": c.phone}}
			if Protect(&d, p); d.ExternalReference != want {
				t.Errorf("%s, %s: %q, want %q", p, c.ref, d.ExternalReference, want)
			}
			if Protect(&d, p); d.ExternalReference != want {
				t.Errorf("%s, %s, again: %q, want %q", p, c.ref, d.ExternalReference, want)
			}
		}
	}
}

// TestProtectIsIdempotent also checks the other guarantees for every case: the input's maps stay
// unchanged, and a state that was published and read back is treated like the original.
func TestProtectIsIdempotent(t *testing.T) {
	for name, state := range protectCases() {
		for _, p := range []Profile{"", ProfileFull, ProfileMasked, ProfileNone, ProfileEncrypted, "misspelt"} {
			before := state()
			d := before
			Protect(&d, p)
			if !cmp.Equal(before, state()) {
				t.Errorf("%s, %q: wrote into its input", name, p)
			}
			once := asJSON(t, d)
			Protect(&d, p)
			if twice := asJSON(t, d); twice != once {
				t.Errorf("%s, %q: second pass:\n%s\n%s", name, p, once, twice)
			}
			var back Data
			if err := json.Unmarshal([]byte(once), &back); err != nil {
				t.Fatal(err)
			}
			Protect(&back, p)
			if again := asJSON(t, back); again != once {
				t.Errorf("%s, %q: after reading back:\n%s\n%s", name, p, once, again)
			}
			if (p == ProfileNone || p == "misspelt") && (back.ExtractedClaims != nil || back.VerifiedClaims != nil ||
				back.PII.Profile != ProfileNone) {
				t.Errorf("%s, %q: %s", name, p, once)
			}
		}
	}
}

func TestMaskedStateIsNotPersonal(t *testing.T) {
	d := protectCases()["verified"]()
	d.Checks = nil // Details are not masked
	Protect(&d, ProfileMasked)
	for _, word := range []string{"Jane", "Sample", "1990-", "P1234567", "jane@", "98765", "Some St", "23412341"} {
		if body := asJSON(t, d); strings.Contains(body, word) {
			t.Errorf("%s is left in %s", word, body)
		}
	}
}

func TestNewVerifiedClaims(t *testing.T) {
	d := approvedState()
	Protect(&d, ProfileFull)
	want := `{"verification":{"evidence":[` +
		`{"check_details":[{"check_id":"c1","check_method":"vri","organization":"signzy"},{"check_id":"c2","check_method":"bvr"}],` +
		`"document_details":{"document_number":"XXXXXXXX2346","issuer":{"country_code":"IND","name":"UIDAI"},"type":"in_aadhaar"},"type":"document"},` +
		`{"check_details":[{"check_id":"c2","check_method":"bvr"}],` +
		`"document_details":{"date_of_expiry":"2030-01-01","date_of_issuance":"2020-01-01","document_number":"P1234567","type":"passport"},"type":"document"}],` +
		`"time":"2026-03-02T10:00:00Z","trust_framework":"in_test"},"claims":` + asJSON(t, d.ExtractedClaims) + `}`
	if diff := cmp.Diff(want, asJSON(t, NewVerifiedClaims(&d, "in_test"))); diff != "" {
		t.Error(diff)
	}

	for name, change := range map[string]func(*Data){
		"review":      func(d *Data) { d.Decision.Outcome = OutcomeReview },
		"not final":   func(d *Data) { d.Decision.Final = false },
		"not done":    func(d *Data) { d.Status = StatusInReview },
		"no claims":   func(d *Data) { d.ExtractedClaims = nil },
		"other claim": func(d *Data) { d.ExtractedClaims = Claims{} },
	} {
		d := approvedState()
		change(&d)
		if v := NewVerifiedClaims(&d, "in_test"); v != nil {
			t.Errorf("%s: %v", name, v)
		}
	}
	if v := NewVerifiedClaims(&d, ""); v != nil {
		t.Errorf("no framework: %v", v)
	}
	d.Decision.DecidedAt = ""
	d.Provider.Event = ProviderEvent{ReceivedAt: "2026-03-02T11:00:00Z"}
	d.Documents, d.Checks = nil, nil
	v := NewVerifiedClaims(&d, "in_test")
	if v.Verification["time"] != "2026-03-02T11:00:00Z" || v.Verification["evidence"] != nil {
		t.Errorf("without documents: %v", v.Verification)
	}
}

// FuzzProtect: no panic, a second pass changes nothing, and no Aadhaar number gets through.
func FuzzProtect(f *testing.F) {
	f.Add("name", "Jane Sample", "P1234567", "IND")
	f.Add("aadhaar", "2341 2341 2346", someAadhaar, "")
	f.Add("note", someAadhaar+" 2341 2346-"+someVID, "2341-2341-2346", "ARE")
	f.Add("email", "\xff@x", "+23412341234623412346", "IN")
	f.Add("phone_number", "+234123412346", "0", "ind")
	profiles := []Profile{ProfileFull, ProfileMasked, ProfileNone}
	f.Fuzz(func(t *testing.T, key, value, number, country string) {
		for _, p := range profiles {
			d := Data{
				ExtractedClaims: Claims{key: value, "list": []any{value}, "map": map[string]string{key: value}},
				VerifiedClaims:  &VerifiedClaims{Claims: Claims{key: []string{value}}},
				Documents: []Document{{DocumentNumber: number, Issuer: &Issuer{CountryCode: country}},
					{Type: aadhaarType, DocumentNumber: number}},
				Media:             []Media{{ProviderRef: value, Field: number}},
				ExternalReference: value,
				Provider:          ProviderData{Status: map[string]any{key: value}},
			}
			Protect(&d, p)
			once := asJSON(t, d)
			Protect(&d, p)
			if twice := asJSON(t, d); twice != once {
				t.Fatalf("%s: second pass:\n%s\n%s", p, once, twice)
			}
			texts := []any{d.Documents[1].DocumentNumber, d.ExternalReference, d.Provider.Status, d.Media}
			if d.Documents[0].Issuer.CountryCode == "" || d.Documents[0].Issuer.CountryCode == "IND" {
				texts = append(texts, d.Documents[0].DocumentNumber)
			}
			if baseKey(key) != "phone_number" {
				texts = append(texts, d.ExtractedClaims, d.VerifiedClaims)
			} else if list, ok := d.ExtractedClaims["list"]; ok {
				texts = append(texts, list)
			}
			for _, v := range texts {
				eachText(generic(v), func(s string) { refuseAadhaar(t, s) })
			}
		}
	})
}

// eachText calls see with every string in v.
func eachText(v any, see func(string)) {
	switch v := v.(type) {
	case string:
		see(v)
	case []any:
		for _, item := range v {
			eachText(item, see)
		}
	case map[string]any:
		for _, item := range v {
			eachText(item, see)
		}
	}
}

// exempt are texts in which digits are not a number: dates, UUIDs and hexadecimal ids.
var exempt = regexp.MustCompile(`[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-|[0-9A-Fa-f]{24}|%[0-9A-Fa-f]{2}`)

// refuseAadhaar searches for Aadhaar numbers with another algorithm than the code under test: a pattern at
// every position.
func refuseAadhaar(t *testing.T, s string) {
	t.Helper()
	if exempt.MatchString(s) {
		return
	}
	pattern := regexp.MustCompile(`^[2-9](?:[^\pL0-9]*[0-9]){11}(?:[^0-9]|$)`)
	plain := strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return '0' + rune(digitValue(r))
		}
		return r
	}, s)
	for i := range len(plain) {
		if i > 0 && plain[i-1] >= '0' && plain[i-1] <= '9' {
			continue
		}
		if found := pattern.FindString(plain[i:]); found != "" && passes(digitsOf(found)) {
			t.Fatalf("%q is left in %q", found, s)
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestOnlyHarmlessTextIsNotSearched: a text that is not searched, because it has too few digits without a letter
// between them, contains no number.
func TestOnlyHarmlessTextIsNotSearched(t *testing.T) {
	parts := []string{
		someAadhaar, someVID, someAadhaar[:6], someAadhaar[6:], "२३४१२३४१२३४६", "91", "7", "0", "x", "F", "é", "-", " ",
		"%20", `\n`, `\u00a0`, `\u`, `\`, "&nbsp;", "&#160;", "&#xA0;", "&", ";", "nbsp",
		"%2F", "%aB", "%", "%4", "2026-03-02T09:03:00.454774", "5e551000-0000-4000-8000-000000000005", "/",
	}
	random := rand.New(rand.NewPCG(1, 2))
	searched, found := 0, 0
	for range 200_000 {
		var b strings.Builder
		for range 1 + random.IntN(6) {
			b.WriteString(parts[random.IntN(len(parts))])
		}
		text, anyNumber := b.String(), random.IntN(4) == 0
		want := searchNumbers(text, aadhaarMask, anyNumber)
		if got := hideNumbersIn(text, aadhaarMask, anyNumber); got != want {
			t.Fatalf("%q, any number %t: %q, want %q", text, anyNumber, got, want)
		}
		if mayHoldNumber(text) {
			searched++
		}
		if want != text {
			found++
		}
	}
	if searched < 1000 || found < 1000 || searched > 190_000 {
		t.Errorf("searched %d texts, %d with a number", searched, found)
	}
}
