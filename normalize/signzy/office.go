package signzy

import (
	"encoding/json"
	"strings"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/normalize/values"
)

// The back office of Signzy's onboarding products (GO, VKYC) is a product of its own: its callbacks are about an
// application that a person accepts or rejects, and name no journey.
//
// Documented: the wrapper with merchantSignup and merchantData, whose members are id, status, name, email, mobile,
// realm, flowId, applicationId, onboardingStartDate and the login addresses
// (https://docs.signzy.com/generic-onboarding/callbacks and
// https://docs.signzy.com/generic-onboarding/callback-configuration); the bare object about a new link, with
// signzyAppId (https://docs.signzy.com/vkyc/data-level-callbacks); and actionTime, initialSubmissionDate and
// onboardingEndDate of an accepted application (https://docs.signzy.com/generic-onboarding/callback-api-partner).
// Assumed: that a callback may be wrapped in result or data like an answer of the API, and that it may have
// merchantData.basicDetails, as in https://docs.signzy.com/vkyc/pull-merchant-api.

// The product and the name of a callback of the back office in an event, and what its callbacks have as the
// application that an account may refuse.
const (
	backOffice         = "back_office"
	backOfficeCallback = "back-office-callback"
)

// applicationIDs begins the reference of an application: its id and that of a journey of the same account may be equal,
// and the two are different verifications.
const applicationIDs = "application/"

// The schemas of such a callback: of the object around merchantData, of one with basicDetails in it, and of an
// application without a wrapper.
const (
	schemaBackOffice  = "back_office"
	schemaDetails     = "back_office_details"
	schemaApplication = "application"
)

// application is an application of the back office and its place in a body.
type application struct {
	document.Object
	schema string
	at     string          // JSON pointer to the part that the schema describes
	part   document.Object // that part
	idAt   string          // JSON pointer to the id
}

// applicationOf returns the application of a callback. There is none if the body names a journey: it is not known then
// which of the two the rest of the body describes (see namesApplication). Nor is there one if the body names two.
func applicationOf(doc document.Object) (found application, ok bool) {
	if namesJourney(doc) {
		return application{}, false
	}
	for _, path := range places {
		for _, a := range applicationsIn(doc.Object(path...), pointerTo(path)) {
			switch {
			case !ok:
				found, ok = a, true
			case a.reference() != found.reference():
				return application{}, false
			}
		}
	}
	return found, ok
}

// applicationsIn returns the applications with an id in a part of a body.
func applicationsIn(part document.Object, at string) (found []application) {
	data := part.Object("merchantData")
	details := data.Object("basicDetails")
	for _, a := range [...]application{
		{Object: data, schema: schemaBackOffice, at: at, part: part, idAt: at + "/merchantData/id"},
		{Object: details, schema: schemaDetails, at: at, part: part, idAt: at + "/merchantData/basicDetails/id"},
	} {
		if a.reference() != "" {
			found = append(found, a)
		}
	}
	bare := application{Object: part, schema: schemaApplication, at: at, part: part, idAt: at + "/id"}
	if isBare(part) && bare.reference() != "" {
		found = append(found, bare)
	}
	return found
}

// isBare reports whether a part of a body is an application without a wrapper. An id and a status alone may be of
// anything.
func isBare(part document.Object) bool {
	if part.Has("merchantData") {
		return false // the id is that of the message, if it is one
	}
	for _, member := range [...]string{"signzyAppId", "realm", "autoLoginUrl"} {
		if part.Has(member) {
			return true
		}
	}
	return false
}

// reference returns the id of an application, which its other APIs call merchantId: "" if it has none.
func (a application) reference() string { return idText(a.Object["id"]) }

// idText returns an id, which is text or a JSON number that consists of digits only; "" for any other value.
func idText(v any) string {
	if n, isNumber := v.(json.Number); isNumber && strings.Trim(n.String(), "0123456789") != "" {
		return ""
	}
	return values.ScalarText(v)
}

// identity identifies a callback of the back office.
func (a application) identity() kycbridge.Identity {
	id := kycbridge.Identity{
		Schema: a.schema, At: a.at, Document: a.part, Reference: applicationIDs + a.reference(),
		Event: backOfficeCallback, Missing: a.idAt, Application: backOffice,
	}
	if row, known := officeRows[values.Fold(a.Text("status"))]; known {
		id.Event = row.name
	}
	return id
}

// foreign states why an account does not accept a callback of the back office: it has not chosen to. "" if it does.
func foreign(own any, application string) (why string) {
	settings, _ := own.(Settings)
	if application != backOffice || settings.BackOffice {
		return ""
	}
	return "is a callback of Signzy's back office: it is read if the account has back_office: true"
}

// namesJourney reports whether a body has a journeyId of any form, at a place where a journey may be.
func namesJourney(doc document.Object) bool {
	for _, path := range places {
		if v := doc.Object(path...)["journeyId"]; v != nil && v != "" {
			return true
		}
	}
	return false
}

// namesApplication reports whether a body contains merchantData at a place where an application may be.
func namesApplication(doc document.Object) bool {
	for _, path := range places {
		if doc.Object(path...).Has("merchantData") {
			return true
		}
	}
	return false
}

// pointerTo returns the JSON pointer of a path in a body.
func pointerTo(path []string) string {
	if len(path) == 0 {
		return ""
	}
	return "/" + strings.Join(path, "/")
}
