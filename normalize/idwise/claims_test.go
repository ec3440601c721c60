package idwise

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize/normalizetest"
)

// fetched maps a result that was received on a fixed day.
func fetched(t *testing.T, members string) kycbridge.Observation {
	t.Helper()
	p := kycbridge.Payload{
		Provider: "idwise", Via: event.ViaFetch, ReceivedAt: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC),
		Body: []byte(`{"journey_id":"j","system_decision":"Complete",` + members + `}`),
	}
	o, err := mapPayload(p, kycbridge.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	normalizetest.Lawful(t, o)
	return o
}

// shown is the JSON of a document with these fields, given as alternating labels and values.
func shown(fields ...string) string {
	var read []string
	for i := 0; i+1 < len(fields); i += 2 {
		read = append(read, fmt.Sprintf(`%q:{"value":%q,"read_accuracy":"High","type":"string"}`, fields[i], fields[i+1]))
	}
	return `{"document_type":"Passport","issuing_country_code":"LTU","extracted_fields":{` + strings.Join(read, ",") + `}}`
}

// TestPersonsOfTwoDocuments: data that the applicant object lacks come from the documents, if they agree.
func TestPersonsOfTwoDocuments(t *testing.T) {
	anna := shown("First Name", "ANNA", "Last Name", "ONE", "Birth Date", "1980-01-01", "Sex", "F")
	for name, row := range map[string]struct {
		applicant string
		documents []string
		want      event.Claims
		differ    string
	}{
		"one document": {`{}`, []string{anna},
			event.Claims{"given_name": "ANNA", "family_name": "ONE", "birthdate": "1980-01-01", "gender": "female"}, ""},
		"two of one person": {
			`null`, []string{anna, shown("First Name", "Anna", "Last Name", " One", "Date of Birth", "01/01/1980")},
			event.Claims{"given_name": "ANNA", "family_name": "ONE", "birthdate": "1980-01-01", "gender": "female"}, "",
		},
		"one name whole, one in parts": {
			`[]`, []string{shown("Full Name", "One Anna"), anna},
			event.Claims{"given_name": "ANNA", "family_name": "ONE", "birthdate": "1980-01-01", "gender": "female"}, "",
		},
		"two persons": {
			`{}`, []string{anna, shown("First Name", "BERTA", "Last Name", "TWO", "Birth Date", "1980-01-01", "Sex", "M")},
			event.Claims{"birthdate": "1980-01-01"}, "name gender",
		},
		"two persons with other members": {
			`{}`, []string{anna, shown("Full Name", "BERTA MIDDLE TWO", "Middle Name", "MIDDLE")},
			event.Claims{"birthdate": "1980-01-01", "gender": "female"}, "name",
		},
		"whole name and parts of two persons": {
			`{}`, []string{shown("Full Name", "ANNA ONE", "First Name", "BERTA", "Last Name", "ONE")}, nil, "name",
		},
		"the applicant's name, and a document with parts of another": {
			`{"full_name":"ANNA ONE"}`, []string{shown("Full Name", "Anna One", "First Name", "BERTA", "Last Name", "TWO")},
			event.Claims{"name": "ANNA ONE"}, "",
		},
		"a whole name without the middle name": {
			`{}`, []string{shown("Full Name", "ANNA ONE", "First Name", "ANNA", "Middle Name", "M", "Last Name", "ONE")},
			event.Claims{"name": "ANNA ONE", "given_name": "ANNA", "middle_name": "M", "family_name": "ONE"}, "",
		},
		"a whole name with a comma and a hyphen": {
			`{}`, []string{shown("Full Name", "ONE-TWO, ANNA", "First Name", "ANNA", "Last Name", "ONE TWO")},
			event.Claims{"name": "ONE-TWO, ANNA", "given_name": "ANNA", "family_name": "ONE TWO"}, "",
		},
		"an applicant and a document with another apostrophe": {
			`{"full_name":"Anna O’One"}`, []string{shown("First Name", "ANNA", "Last Name", "O'ONE")},
			event.Claims{"name": "Anna O’One", "given_name": "ANNA", "family_name": "O'ONE"}, "",
		},
		"given names called name": {
			`{}`, []string{shown("Name", "ANNA", "Surname", "ONE")}, event.Claims{"name": "ANNA", "family_name": "ONE"}, "",
		},
		"one middle name": {
			`{}`, []string{shown("First Name", "ANNA", "Last Name", "ONE"),
				shown("First Name", "ANNA", "Middle Name", "M", "Last Name", "ONE")}, nil, "name",
		},
		"everything differs": {
			`{}`, []string{
				shown("Birth Date", "1980-01-01", "Personal Number", "1", "Nationality", "LT", "Address", "1 Road"),
				shown("Birth Date", "1981-01-01", "Personal Number", "2", "Nationality", "LV", "Address", "2 Road"),
			}, nil, "birthdate personal_number nationalities address",
		},
		"one country, two codes": {
			`{}`, []string{shown("Nationality", "IN"), shown("Nationality", "IND")},
			event.Claims{"nationalities": []string{"IND"}}, "",
		},
		"a demonym beside the code": {
			`{}`, []string{shown("Nationality", "Jordanian", "Nationality Code", "JOR")},
			event.Claims{"nationalities": []string{"JOR"}}, "",
		},
		"a code beside text in its place": {
			`{}`, []string{shown("Nationality", "JO", "Nationality Code", "Jordanian"), shown("Nationality", "Jordanian")},
			event.Claims{"nationalities": []string{"JOR"}}, "",
		},
		"the year alone": {`{}`, []string{shown("Year of Birth", "1990")}, event.Claims{"birthdate": "1990"}, ""},
		"the year beside the date": {
			`{}`, []string{shown("Year of Birth", "1980"), anna},
			event.Claims{"given_name": "ANNA", "family_name": "ONE", "birthdate": "1980-01-01", "gender": "female"}, "",
		},
		"the year of another date": {
			`{}`, []string{anna, shown("Year of Birth", "1981")},
			event.Claims{"given_name": "ANNA", "family_name": "ONE", "gender": "female"}, "birthdate",
		},
		"the applicant counts": {
			`{"full_name":"ANNA ONE","birth_date":"1979-05-05"}`,
			[]string{anna, shown("First Name", "BERTA", "Last Name", "TWO", "Birth Date", "1981-01-01")},
			event.Claims{"name": "ANNA ONE", "birthdate": "1979-05-05", "gender": "female"}, "",
		},
		"the applicant and a document of another": {
			`{"full_name":"ANNA ONE"}`, []string{shown("First Name", "BERTA", "Last Name", "TWO")},
			event.Claims{"name": "ANNA ONE"}, "",
		},
		"a dash in place of a name, a number and an address": {
			`{"full_name":"-","personal_number":"-"}`,
			[]string{anna, shown("First Name", "ANNA", "Middle Name", "-", "Last Name", "ONE", "Personal Number", "--",
				"Address", ".")},
			event.Claims{"given_name": "ANNA", "family_name": "ONE", "birthdate": "1980-01-01", "gender": "female"}, "",
		},
		"the applicant and the applicant's document": {
			`{"full_name":"Anna One"}`, []string{anna},
			event.Claims{"name": "Anna One", "given_name": "ANNA", "family_name": "ONE", "birthdate": "1980-01-01",
				"gender": "female"}, "",
		},
	} {
		var steps []string
		for i, d := range row.documents {
			steps = append(steps, fmt.Sprintf(`"%d":%s`, i, d))
		}
		o := fetched(t, `"applicant":`+row.applicant+`,"documents":{`+strings.Join(steps, ",")+`}`)
		if !reflect.DeepEqual(o.ExtractedClaims, row.want) {
			t.Errorf("%s: claims %v, want %v", name, o.ExtractedClaims, row.want)
		}
		c := normalizetest.CheckOf(o, "documents.data_consistency")
		var fields []string
		for _, f := range c.Fields {
			fields = append(fields, f.Field)
			if f.Result != event.ResultFailed || c.Result != event.ResultFailed {
				t.Errorf("%s: %+v", name, c)
			}
		}
		if got := strings.Join(fields, " "); got != row.differ {
			t.Errorf("%s: they differ in %q, want %q", name, got, row.differ)
		}
		if o.Decision.Outcome != event.OutcomeApproved {
			t.Errorf("%s: %s", name, normalizetest.Brief(o))
		}
	}
}

// TestPassportNumberOnOtherDocuments: a visa or a card may show the number of the holder's passport, which is not
// its own.
func TestPassportNumberOnOtherDocuments(t *testing.T) {
	for kind, want := range map[string]string{"Passport": "P1000001", "Visa": "", "Residence Permit": "", "ID Card": ""} {
		for _, fields := range []string{
			shown("Passport Number", "P1000001"),
			shown("Passport Number", "P1000001", "Document Number", "D2000002"),
		} {
			want := want
			if strings.Contains(fields, "D2000002") {
				want = "D2000002"
			}
			o := fetched(t, `"documents":{"0":`+strings.Replace(fields, `"Passport"`, fmt.Sprintf("%q", kind), 1)+`}`)
			if got := o.Documents[0].DocumentNumber; got != want {
				t.Errorf("%s %s: %q, want %q", kind, fields, got, want)
			}
		}
	}
}

// TestDocumentsWithoutAType: what was read from a document is shown although its type is missing or no text; a step in
// which nothing was read is none.
func TestDocumentsWithoutAType(t *testing.T) {
	for fields, want := range map[string]event.Document{
		shown("Document Number", "P1000001"):                      {DocumentNumber: "P1000001"},
		shown("Issue Date", "2025-05-04"):                         {DateOfIssuance: "2025-05-04"},
		shown("Expiry Date", "2035-05-04", "First Name", "TESTA"): {DateOfExpiry: "2035-05-04"},
	} {
		for _, kind := range []string{`null`, `5`, `{"x":"y"}`, `""`} {
			o := fetched(t, `"documents":{"0":`+strings.Replace(fields, `"Passport"`, kind, 1)+`}`)
			want.DocumentID, want.Type, want.Issuer = "0", "unknown", &event.Issuer{CountryCode: "LTU"}
			if !reflect.DeepEqual(o.Documents, []event.Document{want}) {
				t.Errorf("%s %s: %+v", kind, fields, o.Documents)
			}
		}
	}
	o := fetched(t, `"documents":{"0":{"step_title":"Passport","progress":"NotStarted","document_type":null}}`)
	if len(o.Documents) != 0 {
		t.Errorf("a step that was not taken: %+v", o.Documents)
	}
}

// TestUnreadDates: a date that cannot be true is left out and reported at its place; no other date
// replaces it.
func TestUnreadDates(t *testing.T) {
	good := shown("Birth Date", "1990-02-01", "Expiry Date", "2035-05-04T00:00:00Z", "Issue Date", "04.05.2025")
	o := fetched(t, `"applicant":{"birth_date":"1411-07-14"},"documents":{"0":`+good+`}`)
	if o.ExtractedClaims["birthdate"] != nil || o.Documents[0].DateOfExpiry != "2035-05-04" ||
		o.Documents[0].DateOfIssuance != "2025-05-04" {
		t.Errorf("%v %+v", o.ExtractedClaims, o.Documents)
	}
	if got := fieldsOf(o, "applicant.data_extraction"); got != "birthdate undetermined" {
		t.Errorf("applicant: %s", got)
	}
	bad := shown("Birth Date", "2533-02-01", "Expiry Date", "0001-01-01", "Date of Issue", "2026-03-05",
		"Issue Date Hijri", "1446-01-01")
	o = fetched(t, `"documents":{"0":`+good+`,"1":`+bad+`}`)
	if o.ExtractedClaims["birthdate"] != nil || o.Documents[1].DateOfExpiry != "" || o.Documents[1].DateOfIssuance != "" {
		t.Errorf("%v %+v", o.ExtractedClaims, o.Documents)
	}
	if got := fieldsOf(o, "documents.0.data_extraction"); strings.Contains(got, "undetermined") {
		t.Errorf("the first document: %s", got)
	}
	want := "issue_date_hijri passed birthdate undetermined date_of_expiry undetermined date_of_issuance undetermined"
	if got := fieldsOf(o, "documents.1.data_extraction"); got != want {
		t.Errorf("the second document: %s, want %s", got, want)
	}
}

// TestDateOfAnotherCalendarAlone: a date that a document has only in another calendar is reported as unread; beside
// the same date in the common calendar it is no loss. As with any unread date, that of another document does not
// replace it.
func TestDateOfAnotherCalendarAlone(t *testing.T) {
	const readable = "document_number passed"
	for _, c := range []struct{ labels, birthdate, expiry, fields string }{
		{shown("Birth Date", "1990-02-01", "Expiry Date Hijri", "1455-08-20"), "1990-02-01", "",
			"birthdate passed expiry_date_hijri passed date_of_expiry undetermined"},
		{shown("Birth Date Hijri", "1410-07-05"), "", "", "birth_date_hijri passed birthdate undetermined"},
		{shown("Issue_date HIJRI", "1446-01-01"), "", "", "issue_date_hijri passed date_of_issuance undetermined"},
		{shown("Year of Birth Hijri", "1410"), "", "", "year_of_birth_hijri passed birthdate undetermined"},
		{shown("Expiry Date Hijri", "1455-08-20", "Expiry Date", "2033-11-13"), "", "2033-11-13",
			"date_of_expiry passed expiry_date_hijri passed"},
		{shown("Birth Date Hijri", "1410-07-05", "Year of Birth", "1990"), "1990", "",
			"birth_date_hijri passed year_of_birth passed"},
		{shown("Birth Date Hijri", "", "Document Number", "D1"), "", "", "birth_date_hijri passed " + readable},
		{shown("Passport Expiry Date", "2033-11-13", "Document Number", "D1"), "", "",
			readable + " passport_expiry_date passed"},
	} {
		o := fetched(t, `"documents":{"0":`+c.labels+`}`)
		birthdate, _ := o.ExtractedClaims["birthdate"].(string)
		if got := fieldsOf(o, "documents.0.data_extraction"); got != c.fields || birthdate != c.birthdate ||
			o.Documents[0].DateOfExpiry != c.expiry || o.Documents[0].DateOfIssuance != "" {
			t.Errorf("%s: birthdate %q, %+v, fields %s, want %s", c.labels, birthdate, o.Documents[0], got, c.fields)
		}
	}
	two := `"documents":{"0":` + shown("Birth Date", "1990-02-01") +
		`,"1":` + shown("Birth Date Hijri", "1410-07-05") + `}`
	if got := fetched(t, two).ExtractedClaims["birthdate"]; got != nil {
		t.Errorf("of two documents: %v", got)
	}
	o := fetched(t, `"applicant":{"birth_date":"1990-02-01"},`+two)
	if got := o.ExtractedClaims["birthdate"]; got != "1990-02-01" {
		t.Errorf("of the applicant: %v", got)
	}
}

// TestAddressInLines: a document may have the lines of the address in place of the whole.
func TestAddressInLines(t *testing.T) {
	for _, c := range []struct{ labels, want string }{
		{shown("Address Line 1", "1 Example Street", "Address Line 2", "Exampletown"), "1 Example Street\nExampletown"},
		{shown("Address Line 1", "1 Example Street", "Address Line 2", ""), "1 Example Street"},
		{shown("Address Line 1", "-", "Address Line 2", "Exampletown"), "Exampletown"},
		{shown("Address", "2 Whole Road", "Address Line 1", "1 Example Street"), "2 Whole Road"},
		{shown("Address Line 1", "-", "Address Line 2", " "), ""},
	} {
		var want any
		if c.want != "" {
			want = map[string]string{"formatted": c.want}
		}
		o := fetched(t, `"documents":{"0":`+c.labels+`}`)
		if got := o.ExtractedClaims["address"]; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: address %v, want %v", c.labels, got, want)
		}
	}
	o := fetched(t, `"documents":{"0":`+shown("Address Line 1", "1 A", "Address Line 2", "B")+
		`,"1":`+shown("Address", "1 A B")+`,"2":`+shown("Address", "9 C")+`}`)
	if got := fieldsOf(o, "documents.data_consistency"); o.ExtractedClaims["address"] != nil || got != "address failed" {
		t.Errorf("three documents: %v, %s", o.ExtractedClaims["address"], got)
	}
}

// TestBirthYearBesideDate: how well the year was read is not told of the date, and the date has precedence.
func TestBirthYearBesideDate(t *testing.T) {
	o := fetched(t, `"documents":{"0":`+shown("Year of Birth", "1991", "Birth Date", "1990-02-01")+`}`)
	if got := fieldsOf(o, "documents.0.data_extraction"); got != "birthdate passed year_of_birth passed" {
		t.Errorf("fields: %s", got)
	}
	if got := o.ExtractedClaims["birthdate"]; got != "1990-02-01" {
		t.Errorf("birthdate: %v", got)
	}
}

// TestOneDateUnderTwoLabels: two labels, or two spellings of one, with different values are unread; they are not
// guessed.
func TestOneDateUnderTwoLabels(t *testing.T) {
	for _, c := range []struct{ labels, birthdate, fields string }{
		{shown("Birth Date", "1990-02-01", "DOB", "1991-02-01"), "", "birthdate undetermined"},
		{shown("Birth Date", "1990-02-01", "Birth_Date", "1991-02-01"), "", "birthdate undetermined"},
		{shown("Birth Date", "1990-02-01", "DOB", "01/02/1990"), "1990-02-01", "birthdate passed birthdate passed"},
		{shown("Birth Date", "1990-02-01", "Birth_Date", "1990-02-01"), "1990-02-01",
			"birthdate passed birthdate passed"},
		{shown("Birth Date", "1990-02-01", "Expiry Date", "2035-01-01", "Date of Expiry", "2036-01-01"), "1990-02-01",
			"birthdate passed date_of_expiry undetermined"},
		{shown("Birth Date", "1990-02-01", "Document Number", "X1", "Document_Number", "X2"), "1990-02-01",
			"birthdate passed document_number undetermined"},
	} {
		o := fetched(t, `"documents":{"0":`+c.labels+`}`)
		birthdate, _ := o.ExtractedClaims["birthdate"].(string)
		if got := fieldsOf(o, "documents.0.data_extraction"); birthdate != c.birthdate || got != c.fields {
			t.Errorf("%s: birthdate %q, fields %s", c.labels, birthdate, got)
		}
		if doc := o.Documents[0]; doc.DateOfExpiry != "" || doc.DocumentNumber != "" {
			t.Errorf("%s: %+v", c.labels, doc)
		}
	}
}

func fieldsOf(o kycbridge.Observation, id string) string {
	var told []string
	for _, f := range normalizetest.CheckOf(o, id).Fields {
		told = append(told, f.Field+" "+string(f.Result))
	}
	return strings.Join(told, " ")
}

// TestOddLeaves: a value of an unexpected JSON type affects only itself; a value that can be read with
// certainty counts.
func TestOddLeaves(t *testing.T) {
	o := fetched(t, `"selfie":[],"rule_results":"none","aml":[],"device_intelligence":"x","screening_checks":[],"applicant":"ANNA ONE",
	  "flow_id":["f"],"reference_number":1001,"start_time":{},"documents":{"0":{"document_type":"Passport","issuing_country_code":"IN","has_passed_rules":"true",
	    "extracted_fields":{"First Name":"ANNA","Last Name":{"value":{"en":"ONE"}},"Document Number":{"value":12345678},"Personal Number":{"value":1.5}},
	    "face_match_result":{"is_matched":"True","score":"97 %","images":""},"validation_result":[],"images":"none"},"1":[],"2":7}`)
	if d := o.Documents; len(d) != 1 || d[0].DocumentNumber != "12345678" || d[0].Issuer.CountryCode != "IND" {
		t.Errorf("documents: %+v", d)
	}
	if want := (event.Claims{"given_name": "ANNA"}); !reflect.DeepEqual(o.ExtractedClaims, want) {
		t.Errorf("claims: %v", o.ExtractedClaims)
	}
	if c := normalizetest.CheckOf(o, "documents.0.face_match"); c.Result != event.ResultPassed || c.Score == nil ||
		*c.Score != .97 {
		t.Errorf("face match: %+v", c)
	}
	if len(o.Checks) != 1 || o.Session != nil || o.FlowID != "" || o.ExternalReference != "1001" ||
		o.Decision.Outcome != event.OutcomeApproved {
		t.Errorf("%s: %+v", normalizetest.Brief(o), o)
	}
	for _, matches := range []string{`{}`, `"none"`, `7`} {
		o := fetched(t, `"aml":{"applicability":"Applicable","matches":`+matches+`}`)
		if c := normalizetest.CheckOf(o, "aml"); c.Result != event.ResultUndetermined {
			t.Errorf("matches are %s: %+v", matches, c)
		}
	}
}

// TestGroups: a result replaces the groups of facts that it contains, and leaves the other groups
// unchanged.
func TestGroups(t *testing.T) {
	o := fetched(t, `"documents":[],"selfie":[]`)
	if o.Checks != nil || o.Documents != nil || o.ExtractedClaims != nil || o.Media != nil || o.Session != nil {
		t.Errorf("speaks of what it does not hold: %+v", o)
	}
	o = fetched(t, `"documents":{},"selfie":{},"rule_results":{},"applicant":{}`)
	if o.Checks == nil || o.Documents == nil || o.Media == nil {
		t.Errorf("what is empty now stays as it was: %+v", o)
	}
}

// TestNamesInAnyCase: members, and the names of rules, are found in any letter case.
func TestNamesInAnyCase(t *testing.T) {
	o := fetched(t, `"Applicant":{"FULL_NAME":"Anna One"},"RULE_RESULTS":{"SAME_SUBJECT":{"RESULT":"Passed"},"No_AML_Records":{"Result":"Passed"}},
	  "Selfie":{"Status":"Refer","LIVENESS_STATUS_CODE":"face_is_occluded"}`)
	if o.ExtractedClaims["name"] != "Anna One" ||
		normalizetest.CheckOf(o, "rule_results.SAME_SUBJECT").Type != event.CheckDataConsistency ||
		normalizetest.CheckOf(o, "aml").Result != event.ResultPassed || normalizetest.ReasonCodes(o) != "face.occluded" {
		t.Errorf("%v %+v", o.ExtractedClaims, o.Checks)
	}
	id := identify(decode(t, []byte(`{"EVENT":"Finished Journey","Body":{"JOURNEYID":"j","eventid":"e-1"}}`)))
	if id.Reference != "j" || id.EventID != "e-1" || id.Event != "Finished Journey" {
		t.Errorf("%+v", id)
	}
	own := identify(decode(t, []byte(`{"event":"Finished Spot Check","body":{"journeyId":"j","ongoingCheckId":"o"}}`)))
	if own.Reference != "o" {
		t.Errorf("a spot check under its older name: %+v", own)
	}
}
