package normalize

import (
	"slices"
	"strconv"
	"strings"

	"kycbridge"
)

// signzyEvidence collects checks with the reasons that failed ones give.
type signzyEvidence struct {
	checks  []kycbridge.Check
	reasons []kycbridge.Reason
	risk    *kycbridge.Risk
}

// add takes a check; code says what its failure (or warning) means, "" for nothing.
func (e *signzyEvidence) add(c kycbridge.Check, code string) {
	c.Method = checkMethod(c.Type)
	c.ProviderResult = clip(c.ProviderResult, maxCode)
	bad := c.Result == kycbridge.ResultFailed || c.Result == kycbridge.ResultWarning
	if bad && code != "" {
		c.Reasons = []string{code}
		e.because(kycbridge.Reason{Code: code, CheckID: c.CheckID, ProviderCode: c.ProviderCheck})
	}
	e.checks = append(e.checks, c)
}

// because adds a reason unless its code is known already.
func (e *signzyEvidence) because(reason kycbridge.Reason) {
	if !slices.ContainsFunc(e.reasons, func(r kycbridge.Reason) bool { return r.Code == reason.Code }) {
		e.reasons = append(e.reasons, reason)
	}
}

// evidence lists every check of the journey (EVENT section 5). A value that was not sent is no check.
func (j *signzyJourney) evidence(s kycbridge.Settings) signzyEvidence {
	var e signzyEvidence
	j.documentEvidence(&e)
	j.fieldEvidence(&e, s.Policy)
	j.livenessEvidence(&e)
	j.faceEvidence(&e)
	j.ipEvidence(&e)
	if at := j.Captured.Location; at.Latitude != "" && at.Longitude != "" {
		// The browser gave its position; nobody judged it, and it is not carried.
		e.add(kycbridge.Check{
			CheckID: "geolocation", Type: kycbridge.CheckGeolocation, Result: kycbridge.ResultUndetermined,
			ProviderCheck: "capturedData.location",
		}, "")
	}
	j.externalEvidence(&e)
	return e
}

// documentEvidence reads the three-valued document checks. idExpired is none of them: it is "False"
// even where nothing was read (observed), so only its "True" counts, as a reason.
// Source: https://docs.signzy.com/us-apis/complete-status
func (j *signzyJourney) documentEvidence(e *signzyEvidence) {
	status := &j.Document.CompleteStatus
	optical := &status.Optical
	for _, c := range [...]struct {
		id, source, kind, code string
		value                  text
	}{
		{"security", "detailsOptical.security", kycbridge.CheckDocumentAuthenticity, "document.not_authentic", optical.Security},
		{"doc_type", "detailsOptical.docType", kycbridge.CheckDocumentRecognition, "document.not_recognized", optical.DocType},
		{"expiry", "detailsOptical.expiry", kycbridge.CheckDocumentExpiry, "document.expired", optical.Expiry},
		{"mrz", "detailsOptical.mrz", kycbridge.CheckMRZ, "document.mrz_invalid", optical.MRZ},
		{"vds", "detailsOptical.vds", kycbridge.CheckBarcode, "document.barcode_invalid", optical.VDS},
		{"text", "detailsOptical.text", kycbridge.CheckDataConsistency, "data.inconsistent", optical.Text},
		{"rfid", "completeStatus.rfid", kycbridge.CheckChip, "document.chip_invalid", status.RFID},
		{"image_qa", "detailsOptical.imageQA", kycbridge.CheckImageQuality, "image.poor_quality", optical.ImageQA},
		{"image_quality", "imageQuality.result", kycbridge.CheckImageQuality, "image.poor_quality", j.Document.ImageQuality.Result},
		// Last: it fails whenever another one does, and only then says something of its own.
		{"complete_status", "completeStatus.overallStatus", kycbridge.CheckDocumentAuthenticity, j.overallCode(), status.OverallStatus},
	} {
		if result, ok := triState(c.value); ok {
			e.add(kycbridge.Check{
				CheckID: c.id, Type: c.kind, Result: result,
				ProviderCheck: c.source, ProviderResult: string(c.value),
			}, c.code)
		}
	}
	if expired, _ := triState(j.Document.IDExpired); expired == kycbridge.ResultPassed {
		e.because(kycbridge.Reason{Code: "document.expired", ProviderCode: "idExpired"})
	}
}

// overallCode is what a failed overallStatus means: a document that was merely not recognised or is
// out of date must not be called a forgery.
func (j *signzyJourney) overallCode() string {
	optical := &j.Document.CompleteStatus.Optical
	for _, value := range [...]text{optical.DocType, optical.Expiry, optical.ImageQA, optical.MRZ, optical.Text, optical.VDS} {
		if result, _ := triState(value); result == kycbridge.ResultFailed {
			return ""
		}
	}
	return "document.not_authentic"
}

// all lists the comparisons with what the caller knows, by field, with the threshold of a
// policy that speaks of each.
func (m *signzyMatch) all() []signzyComparison {
	return []signzyComparison{
		{"name", "min_name_match", m.FullName},
		{"birthdate", "min_date_of_birth_match", m.DateOfBirth},
		{"document_number", "min_document_number_match", m.DocumentNumber},
		{"address", "min_address_match", m.Address},
	}
}

type signzyComparison struct {
	field, threshold string
	value            text
}

// result judges a comparison: against the account's threshold if there is one, else only the two
// ends of the scale speak for themselves. "0%" is a real zero, "NA" means nothing to compare with.
func (c signzyComparison) result(policy map[string]float64) kycbridge.CheckField {
	f := kycbridge.CheckField{Field: c.field, Result: kycbridge.ResultUndetermined}
	score, ok := percent(string(c.value))
	if !ok {
		if result, _ := triState(c.value); result == kycbridge.ResultNotPerformed {
			f.Result = result
		}
		return f
	}
	f.Score = &score
	least, set := policy[c.threshold]
	switch {
	case set && score >= least, !set && score == 1:
		f.Result = kycbridge.ResultPassed
	case set, score == 0:
		f.Result = kycbridge.ResultFailed
	}
	return f
}

// fieldEvidence is about single fields: what matched, and what could not be read.
func (j *signzyJourney) fieldEvidence(e *signzyEvidence, policy map[string]float64) {
	var fields []kycbridge.CheckField
	for _, c := range j.Match.all() {
		if c.value != "" {
			fields = append(fields, c.result(policy))
		}
	}
	if len(fields) > 0 {
		e.add(kycbridge.Check{
			CheckID: "match_percentage", Type: kycbridge.CheckDataMatch, Result: worst(fields), Fields: fields,
			ProviderCheck: "matchPercentage",
		}, "data.mismatch")
	}
	if j.Document.FieldErrors.some {
		var unread []kycbridge.CheckField
		for _, name := range j.Document.FieldErrors.fields {
			unread = append(unread, kycbridge.CheckField{Field: name, Result: kycbridge.ResultFailed})
		}
		e.add(kycbridge.Check{
			CheckID: "extracted_fields", Type: kycbridge.CheckDataExtraction, Result: kycbridge.ResultFailed, Fields: unread,
			ProviderCheck: "extractedFieldErrors",
		}, "document.data_incomplete")
	}
}

// signzyRan judges a check of the selfie by its value and its status, which is the text "200" for a
// check that ran and "Not Started" for one that did not (observed); under any other status neither
// answer is relied on.
func signzyRan(status, value text) (result kycbridge.Result, sent bool) {
	if ran, ok := triState(status); ok && ran == kycbridge.ResultNotPerformed {
		return ran, true
	}
	result, sent = triState(value)
	if status != "" && status != "200" {
		return kycbridge.ResultUndetermined, true
	}
	if !sent && status != "" {
		return kycbridge.ResultUndetermined, true
	}
	return result, sent
}

func (j *signzyJourney) liveness() (kycbridge.Result, bool) {
	return signzyRan(j.Selfie.Liveness.Status, j.Selfie.Liveness.Liveness)
}

func (j *signzyJourney) faceMatch() (kycbridge.Result, bool) {
	return signzyRan(j.Selfie.FaceMatch.Status, j.Selfie.FaceMatch.Verified)
}

// signzyWord is what the provider said of a selfie check: its answer, else its status.
func signzyWord(value, status text) string {
	if value != "" {
		return string(value)
	}
	return string(status)
}

func (j *signzyJourney) livenessEvidence(e *signzyEvidence) {
	liveness := &j.Selfie.Liveness
	result, ok := j.liveness()
	if !ok {
		return
	}
	c := kycbridge.Check{
		CheckID: "liveness", Type: kycbridge.CheckLiveness, Result: result,
		ProviderCheck: "passiveLiveliness", ProviderResult: signzyWord(liveness.Liveness, liveness.Status),
	}
	if score, ok := ratio(liveness.Score); ok && result != kycbridge.ResultNotPerformed {
		c.Score, c.ScoreRaw = &score, &kycbridge.ScoreRaw{Value: score, Min: 0, Max: 1}
	}
	e.add(c, "face.not_live")
}

// ratio reads a number from 0 to 1.
func ratio(t text) (float64, bool) {
	f, ok := decimal(string(t))
	return f, ok && f <= 1
}

// faceEvidence decides on verified, never on the accompanying sentence.
// Source: https://docs.signzy.com/us-apis/face-match
func (j *signzyJourney) faceEvidence(e *signzyEvidence) {
	match := &j.Selfie.FaceMatch
	if result, ok := j.faceMatch(); ok {
		c := kycbridge.Check{
			CheckID: "face_match", Type: kycbridge.CheckFaceMatch, Result: result,
			ProviderCheck: "faceMatch", ProviderResult: signzyWord(match.Verified, match.Status),
		}
		if score, ok := percent(string(match.MatchPercentage)); ok && result != kycbridge.ResultNotPerformed {
			c.Score = &score
			c.ScoreRaw = &kycbridge.ScoreRaw{Value: percentRaw(match.MatchPercentage), Min: 0, Max: 100}
		}
		e.add(c, "face.mismatch")
	}
	if covered, _ := triState(j.Selfie.Additional.Cover.Result.IsFaceCovered); covered == kycbridge.ResultPassed {
		e.because(kycbridge.Reason{Code: "face.occluded", ProviderCode: "isFaceCovered"})
	}
}

// percentRaw is the number before the sign of a text that percent has read.
func percentRaw(t text) float64 {
	f, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(string(t)), "%")), 64)
	return f
}

// fraudScore is the worst fraud score of the addresses, 0 to 1 and 1 is worst.
func (j *signzyJourney) fraudScore() (float64, bool) {
	worstScore, found := 0.0, false
	for _, ip := range j.IPAddresses {
		if f, ok := decimal(string(ip.FraudScore)); ok && f <= 100 {
			worstScore, found = max(worstScore, f/100), true
		}
	}
	return worstScore, found
}

// ipEvidence is one check over all addresses, none of which is named. Where the account has not
// bought the check there is only a message to say so (observed).
func (j *signzyJourney) ipEvidence(e *signzyEvidence) {
	if len(j.IPAddresses) == 0 {
		return
	}
	c := kycbridge.Check{CheckID: "ip_risk", Type: kycbridge.CheckIPRisk, Result: kycbridge.ResultNotPerformed, ProviderCheck: "ipAddresses"}
	hides, answers, clean := map[string]any{}, 0, 0
	for _, ip := range j.IPAddresses {
		for _, flag := range [...]struct {
			name  string
			value text
		}{{"proxy", ip.Proxy}, {"vpn", ip.VPN}, {"tor", ip.Tor}} {
			result, ok := triState(flag.value)
			if !ok || result == kycbridge.ResultNotPerformed {
				continue
			}
			answers++
			switch result {
			case kycbridge.ResultPassed:
				hides[flag.name] = true
			case kycbridge.ResultFailed:
				clean++
			}
		}
	}
	switch {
	case len(hides) > 0:
		c.Result, c.Details = kycbridge.ResultWarning, hides
	case answers > 0 && clean == 3*len(j.IPAddresses):
		c.Result = kycbridge.ResultPassed
	case answers > 0:
		c.Result = kycbridge.ResultUndetermined
	}
	if score, ok := j.fraudScore(); ok {
		e.risk = &kycbridge.Risk{Score: &score}
	}
	e.add(c, "risk.vpn_or_proxy")
}

// externalEvidence lists the look-ups of the flow by their names; their content stays where it is.
// What True means for a list of wanted or exposed persons is not documented, so such a look-up
// remains undetermined.
func (j *signzyJourney) externalEvidence(e *signzyEvidence) {
	for i, call := range atMost(j.External) {
		c := kycbridge.Check{
			CheckID: "external." + strconv.Itoa(i), Type: kycbridge.CheckDatabase, Result: kycbridge.ResultUndetermined,
			ProviderCheck: clip(string(call.API), maxCode), ProviderResult: string(call.Response.OverallStatus),
		}
		if signzyScreening(string(call.API)) {
			c.Type = kycbridge.CheckAML
		} else if result, ok := triState(call.Response.OverallStatus); ok {
			c.Result = result
		}
		e.add(c, "")
	}
}

// signzyScreening reports whether a look-up is of the anti-money-laundering kind, by its name.
func signzyScreening(api string) bool {
	name := letters(api)
	for _, word := range [...]string{"aml", "sanction", "pepcheck", "pepscreening", "watchlist", "adversemedia"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
