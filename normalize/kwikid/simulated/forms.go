package simulated

import (
	"regexp"
	"strings"
	"time"
)

// steps are the groups of each form by the form's label
// (https://doc.app.getkwikid.com/docs/FormFlow/Integrations).
var steps = map[string][]string{
	"Personal Information Collection": {"BASIC_INFORMATION", "FAMILY_INFORMATION", "PERSONAL_INFORMATION"},
	"Address Information":             {"COMMUNICATION_ADDRESS", "PERMANENT_ADDRESS"},
	"Verification Information":        {"IDENTITY_VERIFICATION", "INPERSON_VERIFICATION"},
	"FATCA Declaration":               {"FATCA_DECLARATION"},
	"Document Collection":             {"DOCUMENT_COLLECTION"},
}

// The rules for the values of mandatory fields.
var (
	anything = regexp.MustCompile(`\S`)
	date     = day{}
	doc      = document{}
)

// rule reports whether a value has the form of its field.
type rule interface{ MatchString(value string) bool }

// day is the rule of a valid calendar date in the form 01-FEB-1990.
type day struct{}

// MatchString reports whether value is such a date.
func (day) MatchString(value string) bool {
	day, err := time.Parse("02-Jan-2006", value)
	return err == nil && strings.ToUpper(day.Format("02-Jan-2006")) == value
}

// document is the rule of a file: its URL, or its content in base64.
type document struct{}

// MatchString reports whether value is one of both. A regular expression would take some 40 ms for a photo.
func (document) MatchString(value string) bool {
	for _, scheme := range []string{"https://", "http://"} {
		if address, ok := strings.CutPrefix(value, scheme); ok {
			return address != "" && !strings.ContainsAny(address, " \t\r\n\f")
		}
	}
	content := strings.TrimSuffix(strings.TrimSuffix(value, "="), "=")
	return content != "" && strings.Trim(content, base64Digits) == ""
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

func oneOf(pattern string) *regexp.Regexp { return regexp.MustCompile("^(" + pattern + ")$") }

// fields are the mandatory fields of each group, with their rules.
var fields = map[string]map[string]rule{
	"BASIC_INFORMATION": {
		"uploadType": oneOf("03"), "pan": oneOf("[A-Z]{5}[0-9]{4}[A-Z]"), "dob": date, "amc": anything, "ipvDate": date,
		"uidNo": oneOf("[0-9]{12}"), "ekycType": oneOf("I"), "kycType": oneOf("[1-5]"),
	},
	"FAMILY_INFORMATION": {
		"relationship": oneOf("F|S"), "fatherTitle": oneOf("Mr|Mrs"), "fatherFirstName": anything, "fatherLastName": anything,
	},
	"PERSONAL_INFORMATION": {
		"applicantTitle": oneOf("Mr|Mrs|Miss|Dr"), "applicantFirstName": anything, "applicantLastName": anything,
		"gender": oneOf("M|F|T"), "maritalStatus": oneOf("0[1-3]"), "occupation": oneOf("0[1-9]|1[0-3]|99"),
		"applicantCitizenship": oneOf("0[12]"), "applicantStatus": oneOf("R|N|P|I"),
	},
	"COMMUNICATION_ADDRESS": {
		"commAddress1": anything, "commpincode": anything, "commCity": anything, "commDistrict": anything,
		"commState":   anything,
		"commCountry": anything, "commMobileNoCode": oneOf("91"), "commMobileNo": anything, "commEmailId": anything,
		"comAddresstype": oneOf("0[1-5]"), "commAddressProof": oneOf("0[1-9]|[12][0-9]|3[1-3]"), "commIdentityNo": anything,
	},
	"PERMANENT_ADDRESS": {
		"perAddress1": anything, "perPincode": anything, "perCity": anything, "perDistrict": anything, "perState": anything,
		"perCountry": anything, "perAddressProof": anything, "peridentityNo": anything,
	},
	"IDENTITY_VERIFICATION": {
		"idProof": oneOf("0[1-9]|1[0-5]"), "idProofIdentityNo": anything, "aaplicantKycAccType": oneOf("01"),
	},
	"INPERSON_VERIFICATION": {
		"ipvDoneBy": anything, "ipvEmployeeBranch": anything, "ipvEmployeeCode": anything, "ipvEmployeeDesignation": anything,
		"ipvEmployeeName": anything, "ipvInstitutionCode": anything, "ipvInstitutionName": anything, "kycDate": date,
	},
	"FATCA_DECLARATION": {
		"fatcataxJurisdiction": oneOf("Y|N"), "fatcaRelPerson": oneOf("N"), "dobDeclaration": date,
		"placeDeclaration": anything,
		"kraInfo":          oneOf("eKYC-eIPV"), "panCopy": oneOf("Y"), "exmtCat": oneOf("N"),
	},
	"DOCUMENT_COLLECTION": {
		"docAddressProof": doc, "docPhoto": doc, "docSign": doc, "docPerVerVideo": doc,
		"appDocAddrProofCorrespondence": doc, "docEsignForm": doc,
	},
}
