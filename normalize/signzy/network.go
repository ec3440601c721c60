package signzy

import (
	"slices"
	"strconv"
	"strings"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// The reasons for flags of IP addresses.
const (
	hides      = "risk.vpn_or_proxy"
	abused     = "risk.fraud_suspected"
	suspicious = "risk.device_suspicious"
)

// flags are the flags of an IP address, with their names in the event. A flag with a reason is an objection if
// it is true.
var flags = []struct {
	member, name, code string
	needed             bool // if it has no value, the check does not pass
}{
	{"proxy", "proxy", hides, true},
	{"vpn", "vpn", hides, true},
	{"tor", "tor", hides, true},
	{"isCrawler", "crawler", suspicious, false},
	{"recentAbuse", "recent_abuse", abused, false},
	{"botStatus", "bot", suspicious, false},
	{"mobile", "mobile", "", false},
}

// addressParts are the members of an IP address (observed): the flags, and what contains no judgement.
var addressParts = []string{
	"proxy", "vpn", "tor", "isCrawler", "recentAbuse", "botStatus", "mobile", "asn", "isp", "countryCode", "region",
	"city", "organization", "latitude", "longitude", "timezone", "host", "fraudScore", "address", "message",
}

// addresses adds one check for all IP addresses; the addresses themselves are not part of it. If the account
// has not bought the check, the provider sends only a message that says so (observed).
func (e *evidence) addresses(j document.Object) {
	all, odd := part(j, "ipAddresses")
	if all == nil && !odd {
		return
	}
	v := addressVerdict{details: map[string]any{}, unsure: odd}
	for _, address := range values.Sorted(all) {
		told := all.Object(address)
		if !v.read(told) && told.Text("message") == "" {
			v.unsure = true
		}
		e.others(told, "ipAddresses", addressParts...)
	}
	c := event.Check{CheckID: "ip_risk", Type: event.CheckIPRisk, Result: v.result(), ProviderCheck: "ipAddresses"}
	if len(v.countries) == 1 {
		v.details["country"] = v.countries[0]
	}
	if len(v.details) > 0 {
		c.Details = v.details
	}
	if score, ok := fraudScore(j); ok {
		e.risk = &event.Risk{Score: &score}
	}
	e.add(c, v.codes...)
}

// addressVerdict collects the flags of all IP addresses of one journey.
type addressVerdict struct {
	details   map[string]any
	codes     []string
	countries []string // alpha-2, each once
	answered  bool     // at least one flag has a value
	lacks     bool     // at least one address has no value for a needed flag
	unsure    bool     // some value cannot be read
}

// read adds the flags of one address and reports whether it has any.
func (v *addressVerdict) read(address document.Object) (told bool) {
	for _, flag := range flags {
		a := answerAt(address, flag.member)
		told = told || a.sent()
		switch {
		case a.passed() && flag.code != "":
			v.codes = appendNew(v.codes, flag.code)
			fallthrough
		case a.passed():
			v.answered, v.details[flag.name] = true, true
		case a.failed():
			v.answered = true
			if v.details[flag.name] == nil {
				v.details[flag.name] = false
			}
		case a.sent() && a.result != event.ResultNotPerformed:
			v.unsure = true
		case flag.needed:
			v.lacks = true
		}
	}
	if code := values.Alpha2(address.Text("countryCode")); code != "" {
		v.countries = appendNew(v.countries, code)
	}
	return told
}

func (v *addressVerdict) result() event.Result {
	switch {
	case v.codes != nil:
		return event.ResultWarning
	case v.unsure || v.answered && v.lacks:
		return event.ResultUndetermined
	case v.answered:
		return event.ResultPassed
	}
	return event.ResultNotPerformed
}

// fraudScore returns the worst fraud score of the addresses, from 0 to 1; 1 is the worst.
func fraudScore(j document.Object) (worst float64, found bool) {
	addresses := j.Object("ipAddresses")
	for address := range addresses {
		if score, ok := scoreOf(addresses.Object(address)); ok {
			worst, found = max(worst, score), true
		}
	}
	return worst, found
}

// scoreOf returns the fraud score of one address, from 0 to 1.
func scoreOf(address document.Object) (float64, bool) {
	f, ok := address.Number("fraudScore")
	return f / 100, ok && f >= 0 && f <= 100
}

// everyFraudScore returns the same, unless an address has a score that cannot be read: that one may be the worst.
func everyFraudScore(j document.Object) (worst float64, measured bool) {
	addresses := j.Object("ipAddresses")
	for address := range addresses {
		told := addresses.Object(address)
		_, sent := told["fraudScore"]
		if _, ok := scoreOf(told); sent && !ok {
			return 0, false
		}
	}
	return fraudScore(j)
}

// location records that the browser sent its position. The provider does not judge the position, and the event
// does not contain it.
func (e *evidence) location(j document.Object) {
	at := j.Object("capturedData", "location")
	if at.Text("latitude") != "" && at.Text("longitude") != "" {
		e.note(event.Check{
			CheckID: "geolocation", Type: event.CheckGeolocation, Result: event.ResultUndetermined,
			ProviderCheck: "capturedData.location",
		})
	}
}

// lookUps lists the look-ups of the flow by name; their content does not go into the event.
func (e *evidence) lookUps(j document.Object) {
	calls, odd := list(j, "externalApiResponses")
	if odd {
		e.add(event.Check{
			CheckID: "external", Type: event.CheckDatabase, Result: event.ResultUndetermined,
			ProviderCheck: "externalApiResponses",
		})
	}
	for i, item := range calls {
		call, _ := item.(map[string]any)
		e.lookUp(i, call)
	}
}

// registryMismatch is the reason for a look-up with the result False.
const registryMismatch = "data.registry_mismatch"

// lookUp adds a check for one look-up. The documentation does not define what True means for a list of wanted
// or exposed persons, so such a look-up stays undetermined.
func (e *evidence) lookUp(i int, call document.Object) {
	a := answerAt(call.Object("response"), "overallStatus")
	if !a.sent() {
		a = unreadable
	}
	for _, member := range values.Sorted(call) {
		// The input repeats what was asked, and judges nothing.
		if within := failedWithin(map[string]any{member: call[member]}); member != "input" && within.failed() {
			a = within
		}
	}
	e.others(call, "externalApiResponses", "api", "input", "response", "overallStatus", "verified")
	if some(call["response"], refuses) || unknownWithin(call["response"]) {
		e.unexplained("", "externalApiResponses")
	}
	c := event.Check{
		CheckID: "external." + strconv.Itoa(i), Type: event.CheckDatabase, Result: a.result,
		ProviderCheck: call.Text("api"), ProviderResult: a.raw,
	}
	if !isScreening(call.Text("api")) {
		e.add(c, registryMismatch)
		return
	}
	c.Type, c.Result = event.CheckAML, event.ResultUndetermined
	if a.failed() {
		e.object(c.Type, event.Reason{
			Code: registryMismatch, CheckID: c.CheckID, ProviderCode: values.Clip(c.ProviderCheck, values.MaxCode),
		})
	}
	e.add(c)
}

// failedWithin returns an overallStatus or a verified that is False anywhere in a response, which is a free object: a
// look-up of several registries may have one for each. The vendor's look-ups of a person's data state their result as
// verified (https://docs.signzy.com/us-apis/identity-verify-lite).
func failedWithin(v any) (a answer) {
	switch v := v.(type) {
	case map[string]any:
		for _, member := range [...]string{"overallStatus", "verified"} {
			if a = answerAt(v, member); a.failed() {
				return a
			}
		}
		for _, member := range values.Sorted(v) {
			if a = failedWithin(v[member]); a.failed() {
				return a
			}
		}
	case []any:
		for _, item := range v {
			if a = failedWithin(item); a.failed() {
				return a
			}
		}
	}
	return answer{}
}

// unknownWithin reports whether a response contains a yes or a no under any other name than those of failedWithin: it
// may say that the person is wanted, or dead.
func unknownWithin(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for member, inner := range v {
			result := member == "overallStatus" || member == "verified"
			if unknownWithin(inner) && (!result || !isAnswer(inner)) {
				return true
			}
		}
		return false
	case []any:
		return slices.ContainsFunc(v, unknownWithin)
	}
	return isYesOrNo(v)
}

// isScreening reports whether a look-up is an anti-money-laundering screening, by its name.
func isScreening(api string) bool {
	name := values.Letters(api)
	for _, word := range [...]string{"aml", "sanction", "pepcheck", "pepscreening", "watchlist", "adversemedia"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
