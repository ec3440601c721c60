package simulate

import (
	"regexp"
	"strings"
	"time"
)

// kwikidSteps are the groups of each form by the form's label
// (https://doc.app.getkwikid.com/docs/FormFlow/Integrations).
var kwikidSteps = map[string][]string{
	"Personal Information Collection": {"BASIC_INFORMATION", "FAMILY_INFORMATION", "PERSONAL_INFORMATION"},
	"Address Information":             {"COMMUNICATION_ADDRESS", "PERMANENT_ADDRESS"},
	"Verification Information":        {"IDENTITY_VERIFICATION", "INPERSON_VERIFICATION"},
	"FATCA Declaration":               {"FATCA_DECLARATION"},
	"Document Collection":             {"DOCUMENT_COLLECTION"},
}

// The forms that mandatory fields have.
var (
	kwikidAny  = regexp.MustCompile(`\S`)
	kwikidDate = kwikidDay{}
	kwikidDoc  = regexp.MustCompile(`^(https?://[^\s]+|[A-Za-z0-9+/]+={0,2})$`)
)

// kwikidRule says whether a value has the form of its field.
type kwikidRule interface{ MatchString(value string) bool }

// kwikidDay is a day that exists, as 01-FEB-1990.
type kwikidDay struct{}

// MatchString reports whether value is such a day.
func (kwikidDay) MatchString(value string) bool {
	day, err := time.Parse("02-Jan-2006", value)
	return err == nil && strings.ToUpper(day.Format("02-Jan-2006")) == value
}

func kwikidOneOf(pattern string) *regexp.Regexp { return regexp.MustCompile("^(" + pattern + ")$") }

// kwikidFields are the mandatory fields of each group and what they must look like.
var kwikidFields = map[string]map[string]kwikidRule{
	"BASIC_INFORMATION": {
		"uploadType": kwikidOneOf("03"), "pan": kwikidOneOf("[A-Z]{5}[0-9]{4}[A-Z]"), "dob": kwikidDate, "amc": kwikidAny, "ipvDate": kwikidDate,
		"uidNo": kwikidOneOf("[0-9]{12}"), "ekycType": kwikidOneOf("I"), "kycType": kwikidOneOf("[1-5]"),
	},
	"FAMILY_INFORMATION": {
		"relationship": kwikidOneOf("F|S"), "fatherTitle": kwikidOneOf("Mr|Mrs"), "fatherFirstName": kwikidAny, "fatherLastName": kwikidAny,
	},
	"PERSONAL_INFORMATION": {
		"applicantTitle": kwikidOneOf("Mr|Mrs|Miss|Dr"), "applicantFirstName": kwikidAny, "applicantLastName": kwikidAny,
		"gender": kwikidOneOf("M|F|T"), "maritalStatus": kwikidOneOf("0[1-3]"), "occupation": kwikidOneOf("0[1-9]|1[0-3]|99"),
		"applicantCitizenship": kwikidOneOf("0[12]"), "applicantStatus": kwikidOneOf("R|N|P|I"),
	},
	"COMMUNICATION_ADDRESS": {
		"commAddress1": kwikidAny, "commpincode": kwikidAny, "commCity": kwikidAny, "commDistrict": kwikidAny, "commState": kwikidAny,
		"commCountry": kwikidAny, "commMobileNoCode": kwikidOneOf("91"), "commMobileNo": kwikidAny, "commEmailId": kwikidAny,
		"comAddresstype": kwikidOneOf("0[1-5]"), "commAddressProof": kwikidOneOf("0[1-9]|[12][0-9]|3[1-3]"), "commIdentityNo": kwikidAny,
	},
	"PERMANENT_ADDRESS": {
		"perAddress1": kwikidAny, "perPincode": kwikidAny, "perCity": kwikidAny, "perDistrict": kwikidAny, "perState": kwikidAny,
		"perCountry": kwikidAny, "perAddressProof": kwikidAny, "peridentityNo": kwikidAny,
	},
	"IDENTITY_VERIFICATION": {
		"idProof": kwikidOneOf("0[1-9]|1[0-5]"), "idProofIdentityNo": kwikidAny, "aaplicantKycAccType": kwikidOneOf("01"),
	},
	"INPERSON_VERIFICATION": {
		"ipvDoneBy": kwikidAny, "ipvEmployeeBranch": kwikidAny, "ipvEmployeeCode": kwikidAny, "ipvEmployeeDesignation": kwikidAny,
		"ipvEmployeeName": kwikidAny, "ipvInstitutionCode": kwikidAny, "ipvInstitutionName": kwikidAny, "kycDate": kwikidDate,
	},
	"FATCA_DECLARATION": {
		"fatcataxJurisdiction": kwikidOneOf("Y|N"), "fatcaRelPerson": kwikidOneOf("N"), "dobDeclaration": kwikidDate, "placeDeclaration": kwikidAny,
		"kraInfo": kwikidOneOf("eKYC-eIPV"), "panCopy": kwikidOneOf("Y"), "exmtCat": kwikidOneOf("N"),
	},
	"DOCUMENT_COLLECTION": {
		"docAddressProof": kwikidDoc, "docPhoto": kwikidDoc, "docSign": kwikidDoc, "docPerVerVideo": kwikidDoc,
		"appDocAddrProofCorrespondence": kwikidDoc, "docEsignForm": kwikidDoc,
	},
}
