package signzy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize/normalizetest"
)

// clean is a completed journey with evidence of every known kind, all of it in favor of the person.
const clean = `{"journeyId":"AB12","currentStatus":"COMPLETED","step":"COMPLETE","completedAt":1772442319271,"updatedAt":"2026-03-02T09:05:17.157Z",
	"flow":{"flowId":"F1","version":3,"test":false},"message":"Journey Completed","mobileStatus":false,"inQueue":false,"_deleted":false,
	"capturedData":{"consent":true,"livenessConsent":false,"country":"IN","idType":"Driving License","idType2":"Passport","verificationType":"DOC","verificationType2":"DOC",
		"location":{"latitude":12.5,"longitude":77.5},"images":{"frontDoc":"https://files.example.com/1.jpeg","backDoc":"","selfie":"https://files.example.com/2.jpeg"}},
	"documentIntelligence":{
		"completeStatus":{"overallStatus":"True","optical":"True","portrait":"True","rfid":"True","message":"success","severity":"NA",
			"detailsRFID":{"overallStatus":"True","CA":"None"},
			"detailsOptical":{"docType":"True","expiry":"True","imageQA":"True","mrz":"True","overallStatus":"True","security":"True","text":"True","vds":"True","pagesCount":2}},
		"imageQuality":{"result":true,"frontIdCheck":{"ImageGlares":true,"ImageFocus":true,"Brightness":"NA"},"backIdCheck":{"Bounds":true}},
		"extractedFieldErrors":[],
		"authenticityCheck":{"frontAuthenticityCheckList":{"photoEmbedType":[{"ElementResult":true,"ElementDiagnose":"pass","ElementType":"face presence"}]},
			"backAuthenticityCheckList":{"imagePattern":[{"ElementResult":true,"ElementDiagnose":"pass","ElementType":"blank"},{"ElementResult":true,"ElementDiagnose":"pass"}]}},
		"graphicFields":{"fieldList":[[{"fieldType":"portrait","value":"https://files.example.com/3.png","docSide":"front"}]]},
		"predictedIdTypeFront":{"DocumentName":"India - Driving License (2021)","P":0.967,"FDSIDList":{"ICAOCode":"IND","dCountryName":"India","dDescription":"Driving License","dMRZ":false}},
		"predictedIdTypeBack":{"DocumentName":"India - Driving License (2021) side B","P":0.9,"FDSIDList":{"ICAOCode":"IND","dDescription":"Driving License"}},
		"idExpired":"False","attempts":1,
		"extractedFields":{"names":"TESTA SAMPLE","Date of Birth":"01/02/1990","Document Number":"X0000001","Date Of Expiry":"04/05/2035"}},
	"documentIntelligence2":{"completeStatus":{"overallStatus":"True","severity":"NA","detailsOptical":{"docType":"True","security":"True"}},"idExpired":"False",
		"predictedIdTypeFront":{"FDSIDList":{"dDescription":"ePassport"}},"imageQuality":{"result":true},"extractedFields":{"Date Of Expiry":"04/05/2035"}},
	"selfieAnalysis":{"passiveLiveliness":{"status":"200","liveness":true,"score":0.99},"faceMatch":{"status":"200","verified":true,"matchPercentage":"97.50%"},
		"additionalFaceChecks":{"maskDetection":{"status":"200","result":{"found":false,"confidence":0}},
			"faceCoverDetection":{"status":"200","result":{"isFaceCovered":false,"faceGears":[]}}},"attempts":1},
	"matchPercentage":{"fullNameMatch":"100%","dateOfBirthMatch":"100%","addressMatch":"96%","documentNumberMatch":"NA"},
	"externalApiResponses":[{"api":"Driving License Verification","input":{"match":false},"response":{"overallStatus":"True","name":"T"}}],
	"ipAddresses":{"203.0.113.7":{"countryCode":"IN","isCrawler":"false","mobile":"false","proxy":"false","vpn":"false","tor":"false","recentAbuse":"false","botStatus":"false","fraudScore":"3"}}}`

var strict = kycbridge.Settings{Own: Settings{Policy: map[string]float64{"min_face_match": 0.8, "min_liveness": 0.5}}}

// overlooking is strict, but overlooks some types of checks.
func overlooking(checks []string) kycbridge.Settings {
	return kycbridge.Settings{Own: Settings{Policy: own(strict).Policy, Overlook: checks}}
}

// judged maps a journey under a policy.
func judged(t testing.TB, journey any, s kycbridge.Settings) kycbridge.Observation {
	t.Helper()
	body, err := json.Marshal(journey)
	if err != nil {
		t.Fatal(err)
	}
	o, err := mapPayload(kycbridge.Payload{Body: body, Via: event.ViaCallback}, s)
	if err != nil {
		t.Fatal(err)
	}
	normalizetest.Lawful(t, o)
	return o
}

func parse(t testing.TB, body string) map[string]any {
	t.Helper()
	var journey map[string]any
	if err := json.Unmarshal([]byte(body), &journey); err != nil {
		t.Fatal(err)
	}
	return journey
}

// judgesNothing are the leaves of clean, or their parents, whose values are not evidence about the person.
var judgesNothing = []string{
	"journeyId", "completedAt", "updatedAt", "flow", "message", "mobileStatus", "inQueue", "_deleted",
	"capturedData/livenessConsent", "capturedData/country", "capturedData/verificationType",
	"capturedData/verificationType2", "capturedData/idType2",
	"capturedData/location", "capturedData/images", "documentIntelligence/completeStatus/message",
	"documentIntelligence/completeStatus/detailsOptical/pagesCount",
	"documentIntelligence/graphicFields", "documentIntelligence/attempts", "documentIntelligence/extractedFields",
	"documentIntelligence2/extractedFields",
	"documentIntelligence/predictedIdTypeFront/DocumentName", "documentIntelligence/predictedIdTypeFront/P",
	"documentIntelligence/predictedIdTypeBack",
	"documentIntelligence/predictedIdTypeFront/FDSIDList/ICAOCode",
	"documentIntelligence/predictedIdTypeFront/FDSIDList/dCountryName",
	"documentIntelligence/predictedIdTypeFront/FDSIDList/dMRZ",
	"documentIntelligence/predictedIdTypeFront/FDSIDList/dDescription", "selfieAnalysis/attempts",
	"selfieAnalysis/passiveLiveliness/score",
	"selfieAnalysis/additionalFaceChecks/maskDetection/result/confidence",
	"selfieAnalysis/additionalFaceChecks/faceCoverDetection/result/faceGears",
	"externalApiResponses/0/api", "externalApiResponses/0/input", "externalApiResponses/0/response/name",
	"ipAddresses/203.0.113.7/countryCode",
	"ipAddresses/203.0.113.7/mobile", "ipAddresses/203.0.113.7/fraudScore",
}

// leaf is a place in clean whose value a test can replace.
type leaf struct {
	path string
	set  func(journey map[string]any, v any)
	was  any
}

// leavesOf lists the leaves of a body below a path.
func leavesOf(v any, path []string) []leaf {
	var all []leaf
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			all = append(all, leavesOf(inner, append(slices.Clone(path), name))...)
		}
	case []any:
		for i, inner := range v {
			all = append(all, leavesOf(inner, append(slices.Clone(path), strconv.Itoa(i)))...)
		}
	default:
		set := func(journey map[string]any, to any) { place(journey, path, to) }
		all = append(all, leaf{strings.Join(path, "/"), set, v})
	}
	return all
}

// place sets the value at a path that exists.
func place(in any, path []string, to any) {
	for _, name := range path[:len(path)-1] {
		in = child(in, name)
	}
	last := path[len(path)-1]
	switch in := in.(type) {
	case map[string]any:
		in[last] = to
	case []any:
		i, _ := strconv.Atoi(last)
		in[i] = to
	}
}

func child(in any, name string) any {
	if list, ok := in.([]any); ok {
		i, _ := strconv.Atoi(name)
		return list[i]
	}
	return in.(map[string]any)[name]
}

// evidenceLeaves are the leaves of clean that are evidence about the person.
func evidenceLeaves(t testing.TB) []leaf {
	t.Helper()
	all := leavesOf(parse(t, clean), nil)
	all = slices.DeleteFunc(all, func(l leaf) bool {
		return strings.HasSuffix(l.path, "/ElementType") ||
			slices.ContainsFunc(judgesNothing,
				func(path string) bool { return l.path == path || strings.HasPrefix(l.path, path+"/") })
	})
	slices.SortFunc(all, func(a, b leaf) int { return strings.Compare(a.path, b.path) })
	return all
}

// against are values for l that are not in favor of the person.
func (l leaf) against() []any {
	odd := []any{nil, "", " ", "Maybe", 7.0, []any{}, map[string]any{}, []any{true}, map[string]any{"value": true},
		strings.Repeat("True", 1000)}
	switch word := strings.ToLower(fmt.Sprint(l.was)); {
	case word == "true":
		return append(odd, false, "False", "FALSE", "false")
	case word == "false" && strings.HasSuffix(l.path, "idExpired"):
		return append(odd, true, "True", "None")
	case word == "false":
		return append(odd, true, "True", "TRUE", "true")
	case strings.HasSuffix(word, "%"):
		return append(odd, "0%", "0.00%", "0 %", "0", 0.0, 100.0)
	case strings.HasSuffix(l.path, "severity"):
		return append(odd, "High", "Low", "medium", false)
	case word == "none" || word == "na":
		return append(odd, false, "False")
	}
	return append(odd, "Driver's cat")
}

// TestEvidenceAgainst: a journey that a policy approves is no longer approved if any single piece of its
// evidence is failed or cannot be read.
func TestEvidenceAgainst(t *testing.T) {
	if o := judged(t, parse(t, clean), strict); o.Decision.Outcome != event.OutcomeApproved || !o.Decision.Final ||
		len(o.Reasons) != 0 {
		t.Fatalf("the clean journey: %s", normalizetest.Brief(o))
	}
	leaves := evidenceLeaves(t)
	if len(leaves) < 50 {
		t.Fatalf("%d leaves only", len(leaves))
	}
	for _, l := range leaves {
		for _, v := range l.against() {
			if l.path == "matchPercentage/addressMatch" && v == 7.0 {
				continue
			}
			journey := parse(t, clean)
			l.set(journey, v)
			o := judged(t, journey, strict)
			if o.Decision.Outcome == event.OutcomeApproved {
				t.Errorf("%s %.40v: %s", l.path, v, normalizetest.Brief(o))
			}
			if o.Decision.Outcome == event.OutcomeReview && len(o.Reasons) == 0 {
				t.Errorf("%s %.40v: review without a reason", l.path, v)
			}
		}
	}
}

// TestEvidenceAgainstIsNotOverlooked: a policy that overlooks some types of checks hides no evidence of
// another type.
func TestEvidenceAgainstIsNotOverlooked(t *testing.T) {
	s := overlooking(slices.Concat(Overlookable(), []string{
		event.CheckDocumentAuthenticity, event.CheckDocumentExpiry, event.CheckFaceMatch, event.CheckLiveness,
		event.CheckDatabase, "consent", "",
	}))
	for _, path := range []string{
		"capturedData/consent", "documentIntelligence/completeStatus/overallStatus",
		"documentIntelligence/completeStatus/optical",
		"documentIntelligence/completeStatus/detailsOptical/security",
		"documentIntelligence/completeStatus/detailsOptical/expiry",
		"documentIntelligence/completeStatus/severity", "documentIntelligence/idExpired",
		"documentIntelligence/authenticityCheck/backAuthenticityCheckList/imagePattern/0/ElementResult",
		"documentIntelligence2/completeStatus/overallStatus", "documentIntelligence2/idExpired",
		"externalApiResponses/0/response/overallStatus",
		"selfieAnalysis/faceMatch/verified", "selfieAnalysis/passiveLiveliness/liveness",
		"selfieAnalysis/additionalFaceChecks/maskDetection/result/found",
		"selfieAnalysis/additionalFaceChecks/faceCoverDetection/result/isFaceCovered",
	} {
		i := slices.IndexFunc(evidenceLeaves(t), func(l leaf) bool { return l.path == path })
		if i < 0 {
			t.Fatalf("no %s", path)
		}
		for _, v := range evidenceLeaves(t)[i].against() {
			journey := parse(t, clean)
			evidenceLeaves(t)[i].set(journey, v)
			if o := judged(t, journey, s); o.Decision.Outcome == event.OutcomeApproved {
				t.Errorf("%s %.40v: approved", path, v)
			}
		}
	}
}

// TestEvidenceAgainstAtRandom: the same with several changes at once.
func TestEvidenceAgainstAtRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	leaves := evidenceLeaves(t)
	for range 3000 {
		journey := parse(t, clean)
		var what []string
		for range 1 + random.IntN(5) {
			l := leaves[random.IntN(len(leaves))]
			values := l.against()
			v := values[random.IntN(len(values))]
			if l.path == "matchPercentage/addressMatch" {
				continue
			}
			func() {
				defer func() { _ = recover() }() // an earlier change has removed the place
				l.set(journey, v)
				what = append(what, fmt.Sprintf("%s %.40v", l.path, v))
			}()
		}
		if o := judged(t, journey, strict); len(what) > 0 && o.Decision.Outcome == event.OutcomeApproved {
			t.Errorf("%v: approved", what)
		}
	}
}

// TestNewEvidence: undocumented evidence that is not clearly in favor of the person counts against an
// approval, wherever it occurs, until a mapping for it exists. Members that judge nothing do not count.
func TestNewEvidence(t *testing.T) {
	for _, c := range []struct {
		name, member, in string
		against          bool
	}{
		{"an answer beside those of the optics", `"hologram":"False"`, `"pagesCount":2`, true},
		{"a word beside them", `"hologram":"Doubtful"`, `"pagesCount":2`, true},
		{"a passed answer beside them", `"hologram":"True"`, `"pagesCount":2`, false},
		{"a number beside them", `"hologram":3`, `"pagesCount":2`, false},
		{"an answer of the document", `"stopList":"False"`, `"severity":"NA",`, true},
		{"an object of answers", `"detailsAge":{"ageCheck":"False"}`, `"severity":"NA",`, true},
		{"a check of the document", `"liveDocument":{"genuine":false}`, `"idExpired":"False","attempts":1`, true},
		{"a note on the document", `"processedIn":{"ms":200,"region":"in"}`, `"idExpired":"False","attempts":1`, false},
		{"an item of an image", `"Shadow":false`, `"ImageFocus":true`, true},
		{"a list of elements", `"hologram":[{"ElementResult":false}]`, `"photoEmbedType"`, true},
		{"another side", `"sideAuthenticityCheckList":{"x":[{"ElementResult":false}]}`, `"frontAuthenticityCheckList"`, true},
		{"a check of the face", `"eyesClosed":{"status":"200","result":{"found":true}}`, `"maskDetection"`, true},
		{"a check of the face that did not run", `"eyesClosed":{"status":"Not Started"}`, `"maskDetection"`, false},
		{"a flag beside its result", `"isFaceCovered":true`, `"result":{"isFaceCovered":false`, true},
		{"another flag beside a result", `"isCovered":true`, `"result":{"isFaceCovered":false`, true},
		{"the same answer beside a result", `"isFaceCovered":false`, `"result":{"isFaceCovered":false`, false},
		{"a flag of an address", `"activeVpn":"true"`, `"isCrawler":"false"`, true},
		{"parts of an address", `"isp":"Example ISP","host":"false","latitude":"12.5","address":"1 Example Road","x":"y"`,
			`"isCrawler":"false"`, false},
		{"the usual spelling of liveness", `"passiveLiveness":{"livenessConfirmed":false}`, `"passiveLiveliness"`, true},
		{"another word for the match", `"matched":false`, `"verified":true`, true},
		{"another comparison", `"nationalityMatch":"0%"`, `"fullNameMatch"`, true},
		{"another consent", `"dataConsent":false`, `"consent":true`, true},
		{"a part of the journey", `"deviceIntelligence":{"rooted":"True"}`, `"message"`, true},
		{"a list in the journey", `"alerts":[{"open":true}]`, `"message"`, true},
		{"a scalar of the journey", `"archived":false`, `"message"`, false},
		{"a refusal in the journey", `"finalStatus":"Rejected"`, `"message"`, true},
		{"a refusal in a part of it", `"verdict":{"outcome":["DECLINED"]}`, `"message"`, true},
		{"a refusal beside the parts of the document", `"verdict":"Rejected"`, `"idExpired":"False","attempts":1`, true},
		{"a refusal beside the match", `"outcome":"failed"`, `"verified":true`, true},
		{"a refusal of an address", `"status":"FAILED"`, `"isCrawler":"false"`, true},
		{"an answer within the result of a mask", `"isTampered":true`, `"found":false`, true},
		{"a refusal within the result of a cover", `"status":"FAILED"`, `"isFaceCovered":false`, true},
		{"an answer of a register that is not documented", `"isDeceased":true`, `"name":"T"`, true},
		{"the same in a list", `"persons":[{"wanted":"True"}]`, `"name":"T"`, true},
		{"a yes of a register in words", `"isDeceased":"Yes"`, `"name":"T"`, true},
		{"a no of a register in words", `"found":"No"`, `"name":"T"`, true},
		{"a failed look-up in words", `"pan":{"overallStatus":"no"}`, `"name":"T"`, true},
		{"Norway", `"countryCode":"NO"`, `"name":"T"`, false},
		{"another word for the match, in words", `"matched":"no"`, `"verified":true`, true},
		{"a refusal of a register", `"status":"FAILED"`, `"name":"T"`, true},
		{"a refusal in a long code", `"status":"` + strings.Repeat("DOCUMENT_", 9) + `REJECTED_2"`, `"name":"T"`, true},
		{"a refusal in a text with JSON", `"raw":"{\"Id\":\"` + strings.Repeat("aB1", 30) + `\",\"s\":\"FAILED\"}"`, `"name":"T"`, true},
		{"an image of a register", `"photo":"` + strings.Repeat("/9j4AAQFaiLx+w", 20) + `"`, `"name":"T"`, false},
		{"an image in the journey", `"photo":"data:image/jpeg;base64,` + strings.Repeat("_9j4AAQFaiLx-w", 20) + `"`, `"message"`, false},
		{"a failed look-up beside its response", `"overallStatus":"False"`, `"api":"Driving`, true},
		{"another answer beside it", `"matched":false`, `"api":"Driving`, true},
		{"a passed look-up beside its response", `"overallStatus":"True"`, `"api":"Driving`, false},
		{"a third document", `"idType3":"Passport"`, `"consent":true`, true},
		{"a third report", `"documentIntelligence3":{"completeStatus":{"overallStatus":"False"}}`, `"message"`, true},
		{"parts of a second report in the first", `"completeStatus2":{"overallStatus":"False"}`,
			`"idExpired":"False","attempts":1`, true},
		{"sanctions that were found, or not",
			`{"api":"AML screening","response":{"overallStatus":"True"}},{"api":"x","response":`,
			`{"api":"Driving License Verification","input":{"match":false},"response":`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(clean, c.in) {
				t.Fatalf("there is no %s", c.in)
			}
			body := strings.Replace(clean, c.in, c.member+","+c.in, 1)
			if strings.HasPrefix(c.in, "{") {
				body = strings.Replace(clean, c.in, c.member, 1)
			}
			if o := judged(t, parse(t, body), strict); (o.Decision.Outcome == event.OutcomeReview) != c.against || !c.against &&
				o.Decision.Outcome != event.OutcomeApproved {
				t.Errorf("%s", normalizetest.Brief(o))
			}
		})
	}
}

// TestRefusedDocument: a text beside the result of a document that refuses it speaks against a document that passed.
func TestRefusedDocument(t *testing.T) {
	for text, outcome := range map[string]event.Outcome{
		"Document type not recognized": event.OutcomeReview, "Document is invalid": event.OutcomeReview,
		"validation FAILED": event.OutcomeReview, "Document validated successfully": event.OutcomeApproved,
		"ok": event.OutcomeApproved,
	} {
		for _, report := range [...]string{"documentIntelligence", "documentIntelligence2"} {
			journey := parse(t, clean)
			status := journey[report].(map[string]any)["completeStatus"].(map[string]any)
			status["message"] = text
			if o := judged(t, journey, strict); o.Decision.Outcome != outcome {
				t.Errorf("%s of %s: %s", text, report, normalizetest.Brief(o))
			}
		}
	}
}

// TestReviewSaysWhy: each kind of evidence against the person has a reason of its own.
func TestReviewSaysWhy(t *testing.T) {
	for _, c := range []struct{ path, value, reason, overlook string }{
		{"capturedData/consent", `false`, "session.consent_declined", ""},
		{"selfieAnalysis/additionalFaceChecks/faceCoverDetection/result/isFaceCovered", `true`, "face.occluded", ""},
		{"selfieAnalysis/additionalFaceChecks/maskDetection/result/found", `"True"`, "face.occluded", ""},
		{"selfieAnalysis/additionalFaceChecks/faceCoverDetection/result/faceGears", `["Glasses","Face Mask"]`,
			"face.occluded", ""},
		{"selfieAnalysis/additionalFaceChecks/faceCoverDetection/result/faceGears", `"MASK"`, "face.occluded", ""},
		{"documentIntelligence/completeStatus/severity", `"High"`, "document.manipulated", ""},
		{"documentIntelligence/completeStatus/optical", `"False"`, "document.not_authentic", ""},
		{"documentIntelligence/completeStatus/detailsOptical/overallStatus", `"False"`, "document.not_authentic", ""},
		{"documentIntelligence/completeStatus/portrait", `"False"`, "document.not_authentic", ""},
		{"documentIntelligence/completeStatus/detailsOptical/security", `"False"`, "document.not_authentic", ""},
		{"documentIntelligence/completeStatus/detailsOptical/expiry", `"False"`, "document.expired", ""},
		{"documentIntelligence/extractedFields/Date Of Expiry", `"04/05/2025"`, "document.expired", ""},
		{"documentIntelligence/completeStatus/detailsOptical/docType", `"False"`, "document.not_recognized",
			"document_recognition"},
		{"documentIntelligence/completeStatus/detailsOptical/mrz", `"False"`, "document.mrz_invalid", "mrz"},
		{"documentIntelligence/completeStatus/detailsOptical/vds", `"False"`, "document.barcode_invalid", "barcode"},
		{"documentIntelligence/completeStatus/detailsOptical/text", `"False"`, "data.inconsistent", "data_consistency"},
		{"documentIntelligence/completeStatus/detailsOptical/imageQA", `"False"`, "image.poor_quality", "image_quality"},
		{"documentIntelligence/completeStatus/rfid", `"False"`, "document.chip_invalid", "chip"},
		{"documentIntelligence/completeStatus/detailsRFID/overallStatus", `"False"`, "document.chip_invalid", "chip"},
		{"documentIntelligence/imageQuality/result", `false`, "image.poor_quality", "image_quality"},
		{"documentIntelligence/imageQuality/frontIdCheck/ImageFocus", `false`, "image.blurred", "image_quality"},
		{"documentIntelligence/imageQuality/frontIdCheck/ImageGlares", `false`, "image.glare", "image_quality"},
		{"documentIntelligence/imageQuality/frontIdCheck/Brightness", `false`, "image.too_dark", "image_quality"},
		{"documentIntelligence/imageQuality/backIdCheck/Bounds", `"false"`, "image.cropped", "image_quality"},
		{"documentIntelligence/authenticityCheck/frontAuthenticityCheckList/photoEmbedType/0/ElementResult", `false`,
			"document.not_authentic", ""},
		{"documentIntelligence/extractedFieldErrors", `[{"fieldName":"Address","errorStatus":"NOT_EXTRACTED"}]`,
			"document.data_incomplete", "data_extraction"},
		{"documentIntelligence/extractedFieldErrors", `[{"fieldName":"Date of Birth","errorStatus":"MISMATCH"}]`,
			"data.mismatch", "data_consistency"},
		{"capturedData/idType", `"Passport"`, "document.type_not_accepted", "document_recognition"},
		{"documentIntelligence/predictedIdTypeBack/FDSIDList/ICAOCode", `"USA"`, "data.mismatch", "document_recognition"},
		{"documentIntelligence2", `null`, "document.missing", ""},
		{"documentIntelligence2/completeStatus", `{}`, "document.missing", ""},
		{"documentIntelligence2/completeStatus/overallStatus", `"False"`, "document.not_authentic", ""},
		{"documentIntelligence2/idExpired", `"True"`, "document.expired", ""},
		{"documentIntelligence2/predictedIdTypeFront/FDSIDList/dDescription", `"Driving License"`,
			"document.type_not_accepted", "document_recognition"},
		{"externalApiResponses/0/response/overallStatus", `"False"`, "data.registry_mismatch", ""},
		{"externalApiResponses/0/response", `{"overallStatus":"True","response":{"verified":false}}`,
			"data.registry_mismatch", ""},
		{"externalApiResponses/0/response/name", `[{"registry":{"overallstatus":false}}]`, "data.registry_mismatch", ""},
		{"externalApiResponses/0", `{"api":"AML screening","response":{"overallStatus":"False"}}`, "data.registry_mismatch",
			"aml"},
		{"matchPercentage/fullNameMatch", `"0%"`, "data.mismatch", "data_match"},
		{"ipAddresses/203.0.113.7/vpn", `"true"`, "risk.vpn_or_proxy", "ip_risk"},
		{"ipAddresses/203.0.113.7/proxy", `true`, "risk.vpn_or_proxy", "ip_risk"},
		{"ipAddresses/203.0.113.7/tor", `"True"`, "risk.vpn_or_proxy", "ip_risk"},
		{"ipAddresses/203.0.113.7/recentAbuse", `"true"`, "risk.fraud_suspected", "ip_risk"},
		{"ipAddresses/203.0.113.7/botStatus", `"true"`, "risk.device_suspicious", "ip_risk"},
	} {
		t.Run(c.path+" "+c.value, func(t *testing.T) {
			journey := parse(t, clean)
			place(journey, strings.Split(c.path, "/"), parse(t, `{"v":`+c.value+`}`)["v"])
			o := judged(t, journey, strict)
			codes := strings.Fields(normalizetest.ReasonCodes(o))
			if o.Decision.Outcome != event.OutcomeReview || codes[0] != manualReview || !slices.Contains(codes, c.reason) {
				t.Errorf("%s", normalizetest.Brief(o))
			}
			for _, kind := range Overlookable() {
				approved := judged(t, journey, overlooking([]string{kind})).Decision.Outcome == event.OutcomeApproved
				if approved != (kind == c.overlook) {
					t.Errorf("overlooking %s: approved %v", kind, approved)
				}
			}
		})
	}
}

// TestLivenessConsent: the consent of the selfie page counts only if the policy names it.
func TestLivenessConsent(t *testing.T) {
	named := kycbridge.Settings{Own: Settings{Policy: map[string]float64{"min_face_match": 0.8,
		"min_liveness_consent": 1}}}
	for value, want := range map[string]event.Outcome{
		`true`: "approved", `"True"`: "approved", `false`: "review", `"None"`: "review", `null`: "review", `{}`: "review",
	} {
		body := strings.Replace(clean, `"livenessConsent":false`, `"livenessConsent":`+value, 1)
		o := judged(t, parse(t, body), named)
		if o.Decision.Outcome != want || want == "review" &&
			!strings.Contains(normalizetest.ReasonCodes(o), "session.consent_declined") {
			t.Errorf("%s: %s", value, normalizetest.Brief(o))
		}
		if o := judged(t, parse(t, body), strict); o.Decision.Outcome != event.OutcomeApproved {
			t.Errorf("%s, not named: %s", value, normalizetest.Brief(o))
		}
	}
}

// An event lists 100 entries at most, a policy judges all: one bad entry after many good ones prevents an approval.
func TestObjectionsBeyondTheLimits(t *testing.T) {
	for _, c := range []struct{ name, path, good, bad string }{
		{"chip", "documentIntelligence/completeStatus/detailsRFID", `"True"`, `"False"`},
		{"lists of elements", "documentIntelligence/authenticityCheck/frontAuthenticityCheckList",
			`[{"ElementResult":true}]`, `[{"ElementResult":false}]`},
		{"image quality", "documentIntelligence/imageQuality/frontIdCheck", `true`, `false`},
		{"comparisons", "matchPercentage", `"100%"`, `"0%"`},
		{"network addresses", "ipAddresses", `{"vpn":"false","proxy":"false","tor":"false"}`,
			`{"vpn":"true","proxy":"false","tor":"false"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			outcome := func(last string) event.Outcome {
				journey := parse(t, clean)
				entries := journey
				for member := range strings.SplitSeq(c.path, "/") {
					entries = entries[member].(map[string]any)
				}
				for i := range 120 {
					entries[fmt.Sprintf("x%03d", i)] = json.RawMessage(c.good)
				}
				entries["z"] = json.RawMessage(last)
				return judged(t, journey, strict).Decision.Outcome
			}
			if got := outcome(c.good); got != event.OutcomeApproved {
				t.Errorf("only good entries: %s", got)
			}
			if got := outcome(c.bad); got != event.OutcomeReview {
				t.Errorf("a bad entry after them: %s", got)
			}
		})
	}
}
