package ondato

import (
	"slices"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// Reasons of an approval, folded: they state who gave it.
const (
	byMachine = "automaticallyidentified"
	byPerson  = "manuallyidentified"
)

// rejection is the meaning of a rejection's reason; critical means that the applicant gets no further
// attempt. If the reason is itself the result of a check, check is the type of that check.
type rejection struct {
	code     string
	critical bool
	check    string
}

// reasons are the rejection reasons, folded: the API writes PascalCase, the SDK's interface
// SCREAMING_SNAKE. Source: https://ondato.atlassian.net/wiki/x/IgBqpg and the SDK's list of critical
// reasons, https://github.com/ondato/ondato-sdk-react-native
var reasons = map[string]rejection{
	"missingdocumentphoto":           {code: "document.missing"},
	"documentnotaccepted":            {code: "document.type_not_accepted"},
	"datadoesnotmatch":               {code: "data.mismatch", check: event.CheckDataMatch}, // form or registry
	"namemismatch":                   {code: "data.mismatch"},
	"expirationdatemismatch":         {code: "data.mismatch"},
	"incorrectinformationprovided":   {code: "data.mismatch"},
	"sanctioned":                     {code: "aml.sanctions", critical: true, check: event.CheckAML},
	"missingselfiephoto":             {code: "face.missing"},
	"facesdoesnotmatch":              {code: "face.mismatch"},
	"poorphotoquality":               {code: "image.poor_quality", check: event.CheckImageQuality},
	"poorphotolighting":              {code: "image.too_dark", check: event.CheckImageQuality},
	"blurredphoto":                   {code: "image.blurred", check: event.CheckImageQuality},
	"badmediaformat":                 {code: "image.wrong_format"},
	"possiblefraudattempt":           {code: "risk.fraud_suspected", critical: true},
	"unrelatedphoto":                 {code: "image.wrong_content"},
	"morethanoneperson":              {code: "face.multiple"},
	"prohibitedcountryorstate":       {code: "document.country_not_accepted", critical: true},
	"documentisexpired":              {code: "document.expired"},
	"documentwithnonlatincharacters": {code: "document.script_not_supported"},
	"partofdocumentiscovered":        {code: "image.obscured"},
	"partoffaceiscovered":            {code: "face.occluded"},
	"underageperson":                 {code: "data.underage", critical: true},
	"prohibitednationality":          {code: "data.nationality_not_accepted", critical: true},
	"docandbioagedoesntmatch":        {code: "data.age_mismatch", critical: true},
	"duplicatedinfo":                 {code: "risk.duplicate_applicant", critical: true},
	"miscellaneous":                  {code: "review.other", critical: true},
}

// reasonOf returns the reason of a rejection, linked to its check if that check is among checks. For an unknown
// reason it is not known whether the applicant may try again, so Retryable stays nil.
func reasonOf(raw string, checks []event.Check) event.Reason {
	reason := event.Reason{Code: "review.other", ProviderCode: values.Clip(raw, values.MaxCode)}
	known, ok := reasons[values.Fold(raw)]
	if !ok {
		return reason
	}
	reason.Code, reason.Retryable = known.code, values.Ptr(!known.critical)
	if slices.ContainsFunc(checks, func(c event.Check) bool { return c.CheckID == known.check }) {
		reason.CheckID = known.check
	}
	return reason
}

// reasonCheck returns the check whose result is in no list but follows from the reason of the verdict: the check
// that failed, or the review by a person of an approved identification.
func reasonCheck(r document.Object) (c event.Check, ok bool) {
	raw := word(r, "statusReason")
	c = event.Check{ProviderCheck: "statusReason", ProviderResult: values.Clip(raw, values.MaxCode)}
	reason := reasons[values.Fold(raw)]
	switch outcomes[values.Fold(word(r, "status"))] {
	case event.OutcomeRejected:
		c.Type, c.Result, c.Reasons = reason.check, event.ResultFailed, []string{reason.code}
	case event.OutcomeApproved:
		if values.Fold(raw) == byPerson {
			c.Type, c.Result, c.Method = event.CheckAgentReview, event.ResultPassed, "pvr"
		}
	}
	c.CheckID = c.Type
	return c, c.Type != ""
}
