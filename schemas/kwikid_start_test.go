package schemas

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	kwikidPushRequest = "../normalize/kwikid/client/testdata/push-user-data-request.json"
	kwikidLinkStart   = `{"external_reference": "user-0001", "person": {"phone_number": "+915550100001"}}`
)

// kwikidPush is the documented request, parsed again.
func kwikidPush(t *testing.T) map[string]any {
	t.Helper()
	body, err := os.ReadFile(kwikidPushRequest)
	if err != nil {
		t.Fatal(err)
	}
	return decoded(t, body)
}

// change sets the value at a JSON pointer, or removes it if value is nil.
func change(t *testing.T, doc any, pointer string, value any) {
	t.Helper()
	tokens := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	last := tokens[len(tokens)-1]
	object, ok := walk(doc, tokens[:len(tokens)-1]).(map[string]any)
	switch {
	case !ok:
		t.Fatalf("no object holds %s", pointer)
	case value == nil:
		delete(object, last)
	default:
		object[last] = value
	}
}

// The pointers of the groups in the documented request.
const (
	kwikidPersonal = "/data/0/user_form_data"
	kwikidAddress  = "/data/1/user_form_data"
	kwikidIdentity = "/data/2/user_form_data"
	kwikidFATCA    = "/data/3/user_form_data/FATCA_DECLARATION"
	kwikidFiles    = "/data/4/user_form_data/DOCUMENT_COLLECTION"
)

func TestKwikIDForms(t *testing.T) {
	const (
		date  = "must be a date that exists, as DD-MON-YYYY: 01-FEB-1990"
		file  = "must be an http or https address, or base64 without line breaks"
		need  = "is required"
		blank = "must not be blank"
	)
	tests := map[string]struct {
		at    string
		value any // nil: removed
		want  string
	}{
		"no user":               {"/user_id", nil, need},
		"empty user":            {"/user_id", "", "must not be empty"},
		"no phone":              {"/phone_number", nil, need},
		"phone with a plus":     {"/phone_number", "+915550100001", "must be 6 to 15 digits, such as 5550100001"},
		"no data":               {"/data", nil, need},
		"data is an object":     {"/data", map[string]any{}, "must be an array"},
		"data is empty":         {"/data", []any{}, "must not be empty"},
		"unknown member":        {"/datas", "x", "is not a known member"},
		"another doc_type":      {"/data/0/step_info/doc_type", "form", `must be "forms"`},
		"no label":              {"/data/0/step_info/label", nil, need},
		"no step_info":          {"/data/0/step_info", nil, need},
		"no user_form_data":     {"/data/0/user_form_data", nil, need},
		"no group":              {kwikidPersonal + "/BASIC_INFORMATION", nil, need},
		"group of another form": {kwikidPersonal + "/FATCA_DECLARATION", map[string]any{}, "is not a known member"},
		"group is text":         {kwikidPersonal + "/BASIC_INFORMATION", "x", "must be an object"},
		"no PAN":                {kwikidPersonal + "/BASIC_INFORMATION/pan", nil, need},
		"PAN in lower case": {kwikidPersonal + "/BASIC_INFORMATION/pan", "aaaaa0000a",
			"must be a PAN: five capital letters, four digits and a capital letter, such as AAAAA0000A"},
		"birth date by ISO 8601":   {kwikidPersonal + "/BASIC_INFORMATION/dob", "1990-02-01", date},
		"birth date in lower case": {kwikidPersonal + "/BASIC_INFORMATION/dob", "01-feb-1990", date},
		"day 32":                   {kwikidPersonal + "/BASIC_INFORMATION/ipvDate", "32-MAR-2026", date},
		"31 February":              {kwikidPersonal + "/BASIC_INFORMATION/dob", "31-FEB-1990", date},
		"30 February":              {kwikidPersonal + "/BASIC_INFORMATION/ipvDate", "30-FEB-2024", date},
		"29 February of no leap":   {kwikidFATCA + "/dobDeclaration", "29-FEB-2023", date},
		"29 February 1900":         {kwikidIdentity + "/INPERSON_VERIFICATION/kycDate", "29-FEB-1900", date},
		"31 November":              {kwikidPersonal + "/BASIC_INFORMATION/dob", "31-NOV-1990", date},
		"year 0":                   {kwikidPersonal + "/BASIC_INFORMATION/dob", "01-JAN-0000", date},
		"blank user":               {"/user_id", " ", blank},
		"blank amc":                {kwikidPersonal + "/BASIC_INFORMATION/amc", "  ", blank},
		"blank first name":         {kwikidPersonal + "/PERSONAL_INFORMATION/applicantFirstName", "\t", blank},
		"name of a no-break space": {kwikidPersonal + "/FAMILY_INFORMATION/fatherLastName", "\u00a0", blank},
		"blank that may be empty": {kwikidPersonal + "/FAMILY_INFORMATION/motherTitle", " ",
			"must not be blank: write text, or leave it empty"},
		"blank city": {kwikidAddress + "/PERMANENT_ADDRESS/perCity", "\u200b", blank},
		"mobile in words": {kwikidAddress + "/COMMUNICATION_ADDRESS/commMobileNo", "call me",
			"must be the digits of a mobile number, such as 5550100001"},
		"blank mobile": {kwikidAddress + "/COMMUNICATION_ADDRESS/commMobileNo", " ",
			"must be the digits of a mobile number, such as 5550100001"},
		"blank place":      {kwikidFATCA + "/placeDeclaration", " ", blank},
		"blank document":   {kwikidFiles + "/docSign", " ", file},
		"empty document":   {kwikidFiles + "/docSign", "", file},
		"UID of 11 digits": {kwikidPersonal + "/BASIC_INFORMATION/uidNo", "00000000000", "must be 12 digits"},
		"uploadType":       {kwikidPersonal + "/BASIC_INFORMATION/uploadType", "3", `must be "03"`},
		"ekycType":         {kwikidPersonal + "/BASIC_INFORMATION/ekycType", "O", `must be "I"`},
		"kycType as number": {kwikidPersonal + "/BASIC_INFORMATION/kycType", json.Number("1"),
			`must be one of "1", "2", "3", "4", "5"`},
		"empty amc":    {kwikidPersonal + "/BASIC_INFORMATION/amc", "", "must not be empty"},
		"relationship": {kwikidPersonal + "/FAMILY_INFORMATION/relationship", "M", `must be one of "F", "S"`},
		"no father":    {kwikidPersonal + "/FAMILY_INFORMATION/fatherFirstName", nil, need},
		"mother is a number": {kwikidPersonal + "/FAMILY_INFORMATION/motherTitle", json.Number("1"),
			"must be a string"},
		"title": {kwikidPersonal + "/PERSONAL_INFORMATION/applicantTitle", "Ms",
			`must be one of "Mr", "Mrs", "Miss", "Dr"`},
		"gender": {kwikidPersonal + "/PERSONAL_INFORMATION/gender", "female",
			`must be one of "M", "F", "T"`},
		"citizenship": {kwikidPersonal + "/PERSONAL_INFORMATION/applicantCitizenship", "IN",
			`must be one of "01", "02"`},
		"occupation": {kwikidPersonal + "/PERSONAL_INFORMATION/occupation", "14",
			`must be one of "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "99"`},
		"marital status": {kwikidPersonal + "/PERSONAL_INFORMATION/maritalStatus", "04",
			`must be one of "01", "02", "03"`},
		"applicant status": {kwikidPersonal + "/PERSONAL_INFORMATION/applicantStatus", "X",
			`must be one of "R", "N", "P", "I"`},
		"country code of the mobile": {kwikidAddress + "/COMMUNICATION_ADDRESS/commMobileNoCode", "+91", `must be "91"`},
		"corrected spelling": {kwikidAddress + "/COMMUNICATION_ADDRESS/commPincode", "000000",
			"is not a known member"},
		"no postal code": {kwikidAddress + "/COMMUNICATION_ADDRESS/commpincode", nil, need},
		"address kind": {kwikidAddress + "/COMMUNICATION_ADDRESS/comAddresstype", "06",
			`must be one of "01", "02", "03", "04", "05"`},
		"no number of the proof": {kwikidAddress + "/PERMANENT_ADDRESS/peridentityNo", nil, need},
		"ID proof": {kwikidIdentity + "/IDENTITY_VERIFICATION/idProof", "16",
			`must be one of "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15"`},
		"account kind":            {kwikidIdentity + "/IDENTITY_VERIFICATION/aaplicantKycAccType", "02", `must be "01"`},
		"KYC date":                {kwikidIdentity + "/INPERSON_VERIFICATION/kycDate", "2-MAR-2026", date},
		"no IPV employee":         {kwikidIdentity + "/INPERSON_VERIFICATION/ipvEmployeeName", nil, need},
		"tax jurisdiction":        {kwikidFATCA + "/fatcataxJurisdiction", "No", `must be one of "Y", "N"`},
		"related person":          {kwikidFATCA + "/fatcaRelPerson", "Y", `must be "N"`},
		"KRA info":                {kwikidFATCA + "/kraInfo", "eKYC", `must be "eKYC-eIPV"`},
		"PAN copy":                {kwikidFATCA + "/panCopy", "N", `must be "Y"`},
		"exemption":               {kwikidFATCA + "/exmtCat", "Y", `must be "N"`},
		"photo is no file":        {kwikidFiles + "/docPhoto", "not base64!", file},
		"photo on another scheme": {kwikidFiles + "/docPhoto", "file:///etc/passwd", file},
		"no signature":            {kwikidFiles + "/docSign", nil, need},
		"latitude":                {"/extras/location/latitude", json.Number("91"), "must be at most 90"},
		"longitude as text":       {"/extras/location/longitude", "77.5", "must be a number"},
	}
	set := newSet(t)
	if faults := set.Validate("kwikid", "push_user_data", kwikidPush(t)); faults != nil {
		t.Errorf("the documented request: %v", faults)
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			doc := kwikidPush(t)
			change(t, doc, test.at, test.value)
			want := []Fault{{Path: test.at, Message: test.want}}
			if diff := cmp.Diff(want, set.Validate("kwikid", "push_user_data", doc)); diff != "" {
				t.Error(diff)
			}
			in, ok := strings.CutPrefix(test.at, "/data/")
			if !ok {
				return
			}
			want[0].Path = "/options/forms/" + in
			if diff := cmp.Diff(want, set.Validate("kwikid", "start", kwikidFormsStart(doc))); diff != "" {
				t.Errorf("as a start: %s", diff)
			}
		})
	}
}

// kwikidFormsStart is a start with the forms and extras of a push_user_data request.
func kwikidFormsStart(push map[string]any) map[string]any {
	return map[string]any{
		"external_reference": push["user_id"], "person": map[string]any{"phone_number": push["phone_number"]},
		"options": map[string]any{"forms": push["data"], "extras": push["extras"]},
	}
}

// Address proof 30 is the one missing in the list.
func TestKwikIDAddressProofs(t *testing.T) {
	set := newSet(t)
	for proof, good := range map[string]bool{"01": true, "29": true, "30": false, "31": true, "33": true, "34": false,
		"1": false} {
		doc := kwikidPush(t)
		change(t, doc, kwikidAddress+"/COMMUNICATION_ADDRESS/commAddressProof", proof)
		if faults := set.Validate("kwikid", "push_user_data", doc); (faults == nil) != good {
			t.Errorf("%s: %v", proof, faults)
		}
	}
}

func TestKwikIDStartAccepted(t *testing.T) {
	set := newSet(t)
	for name, body := range map[string]string{
		"only the link":      kwikidLinkStart,
		"ten digits":         `{"external_reference": "u", "person": {"phone_number": "5550100001"}}`,
		"empty options":      `{"external_reference": "u", "person": {"phone_number": "+15550100001"}, "options": {}}`,
		"all of the options": kwikidOptions(`"notify": false, "notification_as_text": true, "link_type": "free", "session_type": "s", "origin": "o", "extras": {"last_kyc_date": "1772000000", "link_expires_in": "900", "x": {}}, "flow_id": "f", "success_url": "https://example.com/ok", "failure_url": "https://example.com/no", "language": "en-IN", "validity_seconds": 900`),
		"more of a person":   `{"external_reference": "u", "person": {"phone_number": "+15550100001", "name": "Testa Sample", "address": {"country": "IN"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if faults := set.Validate("kwikid", "start", decoded(t, []byte(body))); faults != nil {
				t.Error(faults)
			}
		})
	}
	forms := kwikidFormsStart(kwikidPush(t))
	if faults := set.Validate("kwikid", "start", forms); faults != nil {
		t.Errorf("forms: %v", faults)
	}
	delete(forms, "person") // the communication address has a number
	if faults := set.Validate("kwikid", "start", forms); faults != nil {
		t.Errorf("forms without a person: %v", faults)
	}
}

func kwikidOptions(members string) string {
	return strings.TrimSuffix(kwikidLinkStart, "}") + `, "options": {` + members + `}}`
}

func TestKwikIDStartRefused(t *testing.T) {
	const (
		phone = "must be the digits of a phone number: ten of the country of the account as in 5550100001, or all with + " +
			"and the country code as in +915550100001"
		blank = "must not be blank: write text, or leave the member out"
		page  = "must be an http or https address, such as https://app.example.com/done"
	)
	tests := map[string]struct {
		body string
		want []Fault
	}{
		"nothing": {`{}`,
			[]Fault{{Path: "/external_reference", Message: "is required"}, {Path: "/person", Message: "is required"}}},
		"no reference": {`{"person": {"phone_number": "+15550100001"}}`,
			[]Fault{{Path: "/external_reference", Message: "is required"}}},
		"empty reference": {`{"external_reference": "", "person": {"phone_number": "+15550100001"}}`,
			[]Fault{{Path: "/external_reference", Message: "must not be empty"}}},
		"long reference": {`{"external_reference": "` + strings.Repeat("r", 129) +
			`", "person": {"phone_number": "+15550100001"}}`,
			[]Fault{{Path: "/external_reference", Message: "must have at most 128 characters"}}},
		"numeric reference": {`{"external_reference": 1, "person": {"phone_number": "+15550100001"}}`,
			[]Fault{{Path: "/external_reference", Message: "must be a string"}}},
		"no phone number": {`{"external_reference": "u", "person": {"name": "Testa Sample"}}`,
			[]Fault{{Path: "/person/phone_number", Message: "is required"}}},
		"letters as number": {`{"external_reference": "u", "person": {"phone_number": "call me"}}`,
			[]Fault{{Path: "/person/phone_number", Message: phone}}},
		"spaces in a number": {`{"external_reference": "u", "person": {"phone_number": "+1 555 010 0001"}}`,
			[]Fault{{Path: "/person/phone_number", Message: phone}}},
		"unknown option": {kwikidOptions(`"notfy": true`),
			[]Fault{{Path: "/options/notfy", Message: "is not a known member"}}},
		"notify as number": {kwikidOptions(`"notify": 1`),
			[]Fault{{Path: "/options/notify", Message: "must be a boolean"}}},
		"as text as text": {kwikidOptions(`"notification_as_text": "yes"`),
			[]Fault{{Path: "/options/notification_as_text", Message: "must be a boolean"}}},
		"empty link type": {kwikidOptions(`"link_type": ""`),
			[]Fault{{Path: "/options/link_type", Message: "must not be empty"}}},
		"empty session type": {kwikidOptions(`"session_type": ""`),
			[]Fault{{Path: "/options/session_type", Message: "must not be empty"}}},
		"numeric origin": {kwikidOptions(`"origin": 1`),
			[]Fault{{Path: "/options/origin", Message: "must be a string"}}},
		"extras as text": {kwikidOptions(`"extras": "x"`),
			[]Fault{{Path: "/options/extras", Message: "must be an object"}}},
		"life as number": {kwikidOptions(`"extras": {"link_expires_in": 900}`),
			[]Fault{{Path: "/options/extras/link_expires_in", Message: "must be a string"}}},
		"life of nothing": {kwikidOptions(`"extras": {"link_expires_in": "0"}`),
			[]Fault{{Path: "/options/extras/link_expires_in", Message: `must be a number of seconds as text, such as "900"`}}},
		"last KYC as date": {kwikidOptions(`"extras": {"last_kyc_date": "2026-03-02"}`),
			[]Fault{{Path: "/options/extras/last_kyc_date",
				Message: `must be seconds since 1970 as text, such as "1772000000"`}}},
		"place": {kwikidOptions(`"extras": {"location": {"latitude": -91}}`),
			[]Fault{{Path: "/options/extras/location/latitude", Message: "must be at least -90"}}},
		"blank reference": {`{"external_reference": " ", "person": {"phone_number": "+15550100001"}}`,
			[]Fault{{Path: "/external_reference", Message: blank}}},
		"blank link type": {kwikidOptions(`"link_type": " "`), []Fault{{Path: "/options/link_type", Message: blank}}},
		"blank session type": {kwikidOptions(`"session_type": "\u3000"`),
			[]Fault{{Path: "/options/session_type", Message: blank}}},
		"validity as text": {kwikidOptions(`"validity_seconds": "900"`),
			[]Fault{{Path: "/options/validity_seconds", Message: "must be an integer"}}},
		"no validity": {kwikidOptions(`"validity_seconds": 0`),
			[]Fault{{Path: "/options/validity_seconds", Message: "must be at least 1"}}},
		"success is no URL": {kwikidOptions(`"success_url": "x"`), []Fault{{Path: "/options/success_url", Message: page}}},
		"failure is no URL": {kwikidOptions(`"failure_url": "x"`), []Fault{{Path: "/options/failure_url", Message: page}}},
		"language": {kwikidOptions(`"language": "e"`),
			[]Fault{{Path: "/options/language", Message: "must be a language tag, such as en or en-IN"}}},
		"flow": {kwikidOptions(`"flow_id": 7`),
			[]Fault{{Path: "/options/flow_id", Message: "must be a string"}}},
		"no forms": {kwikidOptions(`"forms": []`),
			[]Fault{{Path: "/options/forms", Message: "must not be empty"}}},
		"forms of text": {kwikidOptions(`"forms": ["x"]`),
			[]Fault{{Path: "/options/forms/0", Message: "must be an object"}}},
		"unknown form":        {kwikidOptions(`"forms": [{"step_info": {"doc_type": "forms", "label": "x"}, "user_form_data": {}}]`), []Fault{{Path: "/options/forms/0/step_info/label", Message: `must be one of "Personal Information Collection", "Address Information", "Verification Information", "FATCA Declaration", "Document Collection"`}}},
		"forms and no number": {`{"external_reference": "u", "options": {"forms": [{"step_info": {"doc_type": "forms", "label": "FATCA Declaration"}, "user_form_data": {"FATCA_DECLARATION": {"fatcataxJurisdiction": "N", "fatcaRelPerson": "N", "dobDeclaration": "01-FEB-1990", "placeDeclaration": "x", "kraInfo": "eKYC-eIPV", "panCopy": "Y", "exmtCat": "N"}}}]}}`, []Fault{{Path: "/person", Message: "is required"}}},
	}
	set := newSet(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, set.Validate("kwikid", "start", decoded(t, []byte(test.body)))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Every field of every group is in the documented request, and no other: the tables are complete.
func TestKwikIDTablesAreComplete(t *testing.T) {
	source, _ := newSet(t).Source("kwikid", "push_user_data")
	groups := walk(decoded(t, source), []string{"$defs"}).(map[string]any)
	seen := 0
	for _, step := range kwikidPush(t)["data"].([]any) {
		for group, fields := range walk(step, []string{"user_form_data"}).(map[string]any) {
			known := walk(groups, []string{group, "properties"}).(map[string]any)
			want := slices.Sorted(maps.Keys(fields.(map[string]any)))
			if diff := cmp.Diff(want, slices.Sorted(maps.Keys(known))); diff != "" {
				t.Errorf("%s: %s", group, diff)
			}
			seen++
		}
	}
	if seen != 9 {
		t.Errorf("%d groups", seen)
	}
}
