package signzy

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize/normalizetest"
)

// fieldsJourney is a journey with these members of extractedFields.
func fieldsJourney(fields string) string {
	return `{"journeyId":"A","currentStatus":"COMPLETED","documentIntelligence":{"extractedFields":{` + fields + `}}}`
}

// unreadFields are the fields of data_extraction that could not be read.
func unreadFields(o kycbridge.Observation) string {
	var unread []string
	for _, c := range o.Checks {
		for _, f := range c.Fields {
			if c.Type == event.CheckDataExtraction && f.Result == event.ResultUndetermined {
				unread = append(unread, f.Field)
			}
		}
	}
	return strings.Join(unread, " ")
}

// TestLabelsTwice: a label with two different values is unread, in any letter case; a label that is not
// used may occur any number of times.
func TestLabelsTwice(t *testing.T) {
	for _, c := range []struct{ fields, birthdate, name, unread string }{
		{`"Date of Birth":"01/02/1990","Date of Birth":"01/02/1991","names":"A"`, "", "A", "birthdate"},
		{`"Date of Birth":"01/02/1990","date_of_birth":"01/02/1991","names":"A"`, "", "A", "birthdate"},
		{`"Date of Birth":"01/02/1990","DATE OF BIRTH":"01/02/1990","names":"A"`, "1990-02-01", "A", ""},
		{`"Date of Birth":"","DATE OF BIRTH":"01/02/1990","names":"A"`, "1990-02-01", "A", ""},
		{`"Date of Birth":["01/02/1990","02/02/1990"],"names":"A"`, "", "A", "birthdate"},
		{`"Date of Birth":["01/02/1990",null],"names":"A"`, "1990-02-01", "A", ""},
		{`"Date of Birth":{"day":1},"names":"A"`, "", "A", "birthdate"},
		{`"Date of Birth":true,"names":"A"`, "", "A", "birthdate"},
		{`"DOB":"02/02/1990","Date of Birth":"01/02/1990","names":"A"`, "", "A", "birthdate"},
		{`"DOB":"1990-02-01","Date of Birth":"01/02/1990","names":"A"`, "1990-02-01", "A", ""},
		{`"DOB":"x","Date of Birth":"01/02/1990","names":"A"`, "1990-02-01", "A", ""},
		{`"DOB":"1990","Date of Birth":"01/02/1990","names":"A"`, "1990-02-01", "A", ""},
		{`"Expiry Date":"04/05/2035","Date Of Expiry":"05/05/2035","date of issue":"04/05/2021","Issue Date":"05/05/2021",` +
			`"names":"A"`, "", "A", "date_of_issuance date_of_expiry"},
		{`"names":"A","NAMES":"B"`, "", "", "name"},
		{`"names":"Jane","NAMES":"JANE"`, "", "JANE", ""},
		{`"names":"A","Full Name":"B","full name":"C"`, "", "A", ""},
		{`"remainderterm":"1","remainderterm":"2","Side1":"front","side1":"back","names":"A"`, "", "A", ""},
		{`"Document Number":"X1","document number":"X2","Date Of Expiry":"04/05/2035","Date Of Expiry":"05/05/2035","Issue Date":"1/1","names":"A"`, "", "A", "document_number date_of_issuance date_of_expiry"},
		{`"Split Address":{"city":["X"]},"split address":{"city":["Y"]},"names":"A"`, "", "A", "address"},
		{`"Split Address":"X","names":"A"`, "", "A", "address"},
		{`"sex":"F","Sex":"M","nationality code":"IND","Nationality Code":"USA","names":"A"`, "", "A",
			"gender nationalities"},
	} {
		o := mapBody(t, fieldsJourney(c.fields), kycbridge.Settings{})
		birthdate, _ := o.ExtractedClaims["birthdate"].(string)
		name, _ := o.ExtractedClaims["name"].(string)
		unread := strings.Fields(unreadFields(o))
		if birthdate != c.birthdate || name != c.name || !sameWords(unread, strings.Fields(c.unread)) {
			t.Errorf("%s: birthdate %q, name %q, unread %v", c.fields, birthdate, name, unread)
		}
	}
}

func sameWords(a, b []string) bool {
	count := map[string]int{}
	for _, word := range a {
		count[word]++
	}
	for _, word := range b {
		count[word]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// TestDates: formats that are read, and dates that cannot be true.
func TestDates(t *testing.T) {
	received := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]string{
		"01/02/1990": "1990-02-01", "21-06-1990": "1990-06-21", "01.02.1990": "1990-02-01", "21 JUN 1990": "1990-06-21",
		"1990-06-21T00:00:00Z": "1990-06-21", "1990": "1990", "1990-06": "1990", "NA": "", "None": "", "": "",
		"03/03/2026": "unread", "01/01/1444": "unread", "0001-01-01": "unread", "01/02/2533": "unread",
		"31/02/1990": "unread", "soon": "unread",
	} {
		body := []byte(fieldsJourney(`"Date of Birth":"` + value + `"`))
		o, err := mapPayload(kycbridge.Payload{Body: body, Via: event.ViaCallback, ReceivedAt: received},
			kycbridge.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		got, _ := o.ExtractedClaims["birthdate"].(string)
		if unreadFields(o) == "birthdate" {
			got += "unread"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}

// TestNativeNames: a name in another script is a claim with its language tag, beside the one in Latin
// letters. It is the claim without a tag only if no other name exists.
func TestNativeNames(t *testing.T) {
	for _, c := range []struct {
		fields string
		want   event.Claims
	}{
		{`"names":"TESTA","Surname And Given Names":"تيستا"`, event.Claims{"name": "TESTA", "name#ar": "تيستا"}},
		{`"names":"टेस्टा","fullname":"TESTA"`, event.Claims{"name": "TESTA", "name#hi": "टेस्टा"}},
		{`"surname":"Тестова","lastname":"TESTOVA"`,
			event.Claims{"family_name": "TESTOVA", "family_name#und-Cyrl": "Тестова"}},
		{`"names":"山田"`, event.Claims{"name": "山田", "name#und-Hani": "山田"}},
		{`"names":"TESTA تيستا"`, event.Claims{"name": "TESTA تيستا"}},
		{`"names":"Zoë Ñandú","fullname":"OTHER"`, event.Claims{"name": "Zoë Ñandú"}},
		{`"names":"12"`, event.Claims{"name": "12"}},
	} {
		if o := mapBody(t, fieldsJourney(c.fields), kycbridge.Settings{}); !reflect.DeepEqual(o.ExtractedClaims, c.want) {
			t.Errorf("%s: %v", c.fields, o.ExtractedClaims)
		}
	}
}

// predicted is a journey with a chosen and a recognized document.
func predicted(chosen, country, name, description, icao string) string {
	return `{"journeyId":"A","currentStatus":"COMPLETED","capturedData":{"idType":"` + chosen + `","country":"` + country + `"},
		"documentIntelligence":{"completeStatus":{"detailsOptical":{"docType":"True"}},"predictedIdTypeFront":{"DocumentName":"` + name + `",
		"FDSIDList":{"dDescription":"` + description + `","ICAOCode":"` + icao + `"}}}}`
}

// TestDocumentTypes: the recognized type takes precedence over the chosen one, and a difference is
// reported.
func TestDocumentTypes(t *testing.T) {
	for _, c := range []struct {
		chosen, country, name, description, icao string
		kind                                     string
		result                                   event.Result
		told                                     string // result of field document_type
	}{
		{"Driving License", "IN", "", "Driving License", "IND", "driving_permit", "passed", ""},
		{"Driving License", "US", "Exampleland - Driving License (2021)", "", "", "driving_permit", "passed", ""},
		{"Passport", "IN", "", "ePassport", "IND", "passport", "passed", ""},
		{"Driving License", "AE", "United Arab Emirates - Resident Id Card (2021)", "Resident Identity Card", "ARE",
			"ae_emirates_id", "warning", "failed"},
		{"Emirates ID", "AE", "", "Resident Identity Card", "ARE", "ae_emirates_id", "passed", ""},
		{"National ID", "AE", "", "Resident Identity Card", "ARE", "ae_emirates_id", "passed", ""},
		{"ID Card", "AE", "", "Identity Card", "AE", "ae_emirates_id", "passed", ""},
		{"Residence Permit", "DE", "", "Resident Identity Card", "D", "residence_permit", "passed", ""},
		{"ID Card", "IN", "", "Aadhaar Card", "IND", "in_aadhaar", "passed", ""},
		{"Aadhaar Card", "IN", "", "Identity Card", "IND", "in_aadhaar", "passed", ""},
		{"ID Card", "IN", "", "PAN Card", "IND", "in_pan", "passed", ""},
		{"Passport", "IN", "", "PAN Card", "IND", "in_pan", "warning", "failed"},
		{"Passport", "IN", "", "Driving License", "IND", "driving_permit", "warning", "failed"},
		{"Passport", "IN", "", "Certificate of something", "IND", "certificate_of_something", "passed", "undetermined"},
		{"Hunting License", "IN", "", "Hunting license", "IND", "hunting_license", "passed", ""},
		{"Hunting License", "IN", "", "Driving License", "IND", "driving_permit", "passed", "undetermined"},
		{"", "IN", "", "Driving License", "IND", "driving_permit", "passed", "undetermined"},
		{"Passport", "IN", "", "", "", "passport", "passed", "undetermined"},
	} {
		o := mapBody(t, predicted(c.chosen, c.country, c.name, c.description, c.icao), kycbridge.Settings{})
		check := checksOf(o)["doc_type"]
		told := ""
		if len(check.Fields) == 1 && check.Fields[0].Field == "document_type" {
			told = string(check.Fields[0].Result)
		}
		kind := ""
		if len(o.Documents) == 1 {
			kind = o.Documents[0].Type
		}
		if c.name+c.description == "" && kind == "" {
			kind = c.kind // no document was presented
		}
		if kind != c.kind || check.Result != c.result || told != c.told {
			t.Errorf("%q, recognised as %q %q: %s, check %s, document_type %q", c.chosen, c.name, c.description, kind,
				check.Result, told)
		}
		if mismatch := strings.Contains(normalizetest.ReasonCodes(o),
			"document.type_not_accepted"); mismatch != (c.told == "failed") {
			t.Errorf("%q: reasons %s", c.chosen, normalizetest.ReasonCodes(o))
		}
	}
	o := mapBody(t, predicted("ID Card", "AE", "", "Identity Card", "AE"), kycbridge.Settings{})
	if o.Documents[0].Issuer.CountryCode != "ARE" {
		t.Errorf("issuer %+v", o.Documents[0].Issuer)
	}
}

// TestSecondDocument: the report of the second document is read wherever it occurs, under an id of its
// own, and no claim comes from it.
func TestSecondDocument(t *testing.T) {
	const report = `{"completeStatus":{"overallStatus":"True","detailsOptical":{"security":"True"}},
		"predictedIdTypeFront":{"FDSIDList":{"dDescription":"Passport","ICAOCode":"IND"}},"extractedFields":{"names":"OTHER","Document Number":"P2"}}`
	first := `"documentIntelligence":{"completeStatus":{"overallStatus":"True"},"predictedIdTypeFront":{"DocumentName":"Driving License"},"extractedFields":{"names":"TESTA","Document Number":"X1"}}`
	for name, body := range map[string]string{
		"a member of the journey": `{"journeyId":"A","currentStatus":"COMPLETED",` + first + `,"documentIntelligence2":` +
			report + `}`,
		"in other letters": `{"journeyId":"A","currentStatus":"COMPLETED",` + first + `,"documentintelligence2":` +
			report + `}`,
		"with a separator": `{"journeyId":"A","currentStatus":"COMPLETED",` + first + `,"documentIntelligence_2":` +
			report + `}`,
		"members of the first part": `{"journeyId":"A","currentStatus":"COMPLETED",` + strings.TrimSuffix(first, "}") + `,` +
			numberedMembers(report) + `}}`,
	} {
		o := mapBody(t, body, kycbridge.Settings{})
		if len(o.Documents) != 2 || o.Documents[0].DocumentNumber != "X1" || o.Documents[1].DocumentID != "document_2" ||
			o.Documents[1].Type != "passport" || o.Documents[1].DocumentNumber != "P2" || o.ExtractedClaims["name"] != "TESTA" {
			t.Errorf("%s: %+v %v", name, o.Documents, o.ExtractedClaims)
		}
		c := checksOf(o)["document_2.security"]
		if c.Result != "passed" || !reflect.DeepEqual(c.DocumentIDs, []string{"document_2"}) ||
			!reflect.DeepEqual(checksOf(o)["complete_status"].DocumentIDs, []string{"document"}) {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// numberedMembers are the members of a report with a 2 appended to their names.
func numberedMembers(report string) string {
	for _, member := range []string{"completeStatus", "predictedIdTypeFront", "extractedFields"} {
		report = strings.Replace(report, `"`+member+`":`, `"`+member+`2":`, 1)
	}
	return strings.TrimSuffix(strings.TrimPrefix(report, "{"), "}")
}

// TestFieldErrors: a field that could not be read is distinguished from a field that was read twice with
// different values.
func TestFieldErrors(t *testing.T) {
	for errors, want := range map[string]string{
		`[{"fieldName":"Date of Birth","errorStatus":"NOT_EXTRACTED","message":"mismatch"}]`:                          "document.data_incomplete",
		`[{"fieldName":"Date of Birth","errorStatus":"MISMATCH"}]`:                                                    "data.mismatch",
		`[{"fieldName":"Date of Birth","errorStatus":"NOT_MATCHED"}]`:                                                 "data.mismatch",
		`[{"fieldName":"Date of Birth","errorStatus":"OCR_BARCODE","message":"Text does not match the barcode"}]`:     "data.mismatch",
		`[{"fieldName":"Address","errorStatus":"NOT_EXTRACTED"},{"fieldName":"Name","errorStatus":"FIELD_MISMATCH"}]`: "document.data_incomplete data.mismatch",
		`[7]`:         "document.data_incomplete",
		`{"0":"x"}`:   "",
		`null`:        "",
		`"NOT READ"`:  "",
		`[]`:          "none",
		`[{},[],"x"]`: "document.data_incomplete",
	} {
		o := mapBody(t, `{"journeyId":"A","currentStatus":"COMPLETED","documentIntelligence":{"extractedFieldErrors":`+errors+`}}`, kycbridge.Settings{})
		if codes := normalizetest.ReasonCodes(o); codes != want && want != "none" ||
			(want == "none") != (len(o.Checks) == 0) {
			t.Errorf("%s: reasons %q, checks %+v", errors, codes, o.Checks)
		}
	}
}
