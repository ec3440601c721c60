// Package normalizetest contains what the tests of all mappings share: fixtures, the reader built from the schemas,
// and checks that every observation must pass.
package normalizetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
	"kycbridge/schemas"
)

// root is the top of the repository.
func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Reader reads bodies as the service does for a provider.
func Reader(t testing.TB, provider string, forms document.Forms) document.Reader {
	t.Helper()
	set, err := schemas.New()
	if err != nil {
		t.Fatal(err)
	}
	return document.NewReader(set.MemberNames(provider), forms)
}

// Decode reads a body that is JSON.
func Decode(t testing.TB, reader document.Reader, body []byte) document.Object {
	t.Helper()
	doc, faults := reader.Decode(body)
	if len(faults) > 0 {
		t.Fatalf("%s: %v", body, faults)
	}
	return doc
}

// Map decodes and maps a payload; a body that is not a JSON object fails as it does in the service.
func Map(
	reader document.Reader, mapping kycbridge.Mapping, p kycbridge.Payload, s kycbridge.Settings,
) (kycbridge.Observation, error) {
	doc, faults := reader.Decode(p.Body)
	if len(faults) > 0 {
		return kycbridge.Observation{}, errors.New("not the JSON that is accepted")
	}
	return mapping(doc, p, s)
}

// Fixtures reads the bodies of a provider by case.
func Fixtures(t testing.TB, provider string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root(), "test", "fixture", "testdata", provider, "*", "body.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no fixtures of %s: %v", provider, err)
	}
	bodies := map[string][]byte{}
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bodies[filepath.Base(filepath.Dir(path))] = body
	}
	return bodies
}

// Fixture reads the body of a case, unchanged.
func Fixture(t testing.TB, provider, name string) []byte {
	t.Helper()
	body, ok := Fixtures(t, provider)[name]
	if !ok {
		t.Fatalf("there is no case %s of %s", name, provider)
	}
	return body
}

var (
	codePattern   = regexp.MustCompile(`^[a-z]+\.[a-z0-9_]+$`)
	typePattern   = regexp.MustCompile(`^x_[a-z0-9_]+$`)
	detailPattern = regexp.MustCompile(`^([a-z][a-z0-9_]*)?$`)
)

// checkTypes is the vocabulary of check types in schemas/event/data.schema.json.
var checkTypes = map[string]bool{
	event.CheckDocumentRecognition: true, event.CheckDocumentAccepted: true, event.CheckDocumentAuthenticity: true,
	event.CheckDocumentExpiry: true, event.CheckImageQuality: true, event.CheckMRZ: true, event.CheckBarcode: true,
	event.CheckChip: true, event.CheckDataExtraction: true, event.CheckDataConsistency: true,
	event.CheckDataMatch: true, event.CheckDatabase: true, event.CheckFaceMatch: true, event.CheckLiveness: true,
	event.CheckFaceDuplicate: true, event.CheckDuplicate: true, event.CheckAge: true, event.CheckAML: true,
	event.CheckGeolocation: true, event.CheckIPRisk: true, event.CheckDeviceRisk: true, event.CheckContactOTP: true,
	event.CheckQuestionnaire: true, event.CheckAgentReview: true,
}

// Lawful checks what holds of every observation, whatever the payload says.
func Lawful(t testing.TB, o kycbridge.Observation) {
	t.Helper()
	if o.Effect == kycbridge.EffectNone || o.Effect == kycbridge.EffectFetch {
		if o.Ignored == "" {
			t.Error("nothing to publish and no word why")
		}
		return
	}
	if o.Status == "" || o.EventName == "" && o.Effect == kycbridge.EffectVerdict || len(o.References) == 0 ||
		!detailPattern.MatchString(o.StatusDetail) {
		t.Errorf("status %q detail %q event %q references %v", o.Status, o.StatusDetail, o.EventName, o.References)
	}
	d := o.Decision
	if d.Final && (o.Status != event.StatusCompleted || d.Outcome != event.OutcomeApproved &&
		d.Outcome != event.OutcomeRejected) {
		t.Errorf("final %q in status %q", d.Outcome, o.Status)
	}
	isRequest := d.Outcome == event.OutcomeResubmit && o.Effect == kycbridge.EffectReopen
	if d.Outcome != "" && d.Outcome != event.OutcomeNone && o.Effect != kycbridge.EffectVerdict && !isRequest {
		t.Errorf("outcome %q with effect %d", d.Outcome, o.Effect)
	}
	if (o.Effect == kycbridge.EffectEnd) != o.Status.Closed() {
		t.Errorf("effect %d in status %q", o.Effect, o.Status)
	}
	for _, r := range o.Reasons {
		if !codePattern.MatchString(r.Code) {
			t.Errorf("reason code %q", r.Code)
		}
	}
	seen := map[string]bool{}
	for _, c := range o.Checks {
		if !checkTypes[c.Type] && !typePattern.MatchString(c.Type) {
			t.Errorf("check type %q", c.Type)
		}
		if seen[c.CheckID] || c.CheckID == "" {
			t.Errorf("check id %q is not unique", c.CheckID)
		}
		seen[c.CheckID] = true
		if c.Score != nil && !(*c.Score >= 0 && *c.Score <= 1) {
			t.Errorf("score %v", *c.Score)
		}
		if c.Result == "" {
			t.Errorf("check %q without result", c.CheckID)
		}
	}
	for _, doc := range o.Documents {
		if doc.Type == "" || doc.DocumentID == "" {
			t.Errorf("document %+v", doc)
		}
	}
}

var effectNames = map[kycbridge.Effect]string{
	kycbridge.EffectNone: "none", kycbridge.EffectFetch: "fetch", kycbridge.EffectProgress: "progress",
	kycbridge.EffectDoubt: "doubt",
	kycbridge.EffectEnd:   "end", kycbridge.EffectVerdict: "verdict", kycbridge.EffectReopen: "reopen",
	kycbridge.EffectNote: "note",
}

// Brief is what the lifecycle reads of an observation, in one line.
func Brief(o kycbridge.Observation) string {
	if o.Effect == kycbridge.EffectNone || o.Effect == kycbridge.EffectFetch {
		return effectNames[o.Effect] + ": " + o.Ignored
	}
	parts := []string{effectNames[o.Effect], string(o.Status)}
	if o.StatusDetail != "" {
		parts = append(parts, o.StatusDetail)
	}
	if o.Decision.Outcome != "" {
		parts = append(parts, string(o.Decision.Outcome), string(o.Decision.Stage), string(o.Decision.ActorType))
	}
	if o.Decision.Final {
		parts = append(parts, "final")
	}
	for _, step := range o.Decisions {
		parts = append(parts, fmt.Sprintf("[%s %s %s]", step.Stage, step.Outcome, step.ActorType))
	}
	for _, reason := range o.Reasons {
		parts = append(parts, reason.Code)
	}
	for _, action := range o.RequiredActions {
		parts = append(parts, fmt.Sprintf("<%s %s %s>", action.Action, action.ProviderStep, action.Deadline))
	}
	return strings.Join(parts, " ")
}

// CheckOf is the check of an id; the zero value where there is none.
func CheckOf(o kycbridge.Observation, id string) event.Check {
	if i := slices.IndexFunc(o.Checks, func(c event.Check) bool { return c.CheckID == id }); i >= 0 {
		return o.Checks[i]
	}
	return event.Check{}
}

// ReasonCodes are the codes of the reasons in one line.
func ReasonCodes(o kycbridge.Observation) string {
	var list []string
	for _, r := range o.Reasons {
		list = append(list, r.Code)
	}
	return strings.Join(list, " ")
}

// OutcomeOf treats the zero value as what it means.
func OutcomeOf(o kycbridge.Observation) event.Outcome {
	if o.Decision.Outcome == "" {
		return event.OutcomeNone
	}
	return o.Decision.Outcome
}

// Seed gives a fuzz target every body of a provider.
func Seed(f *testing.F, provider string) {
	for _, body := range Fixtures(f, provider) {
		f.Add(body)
	}
}

// Unique fails where two checks share an id.
func Unique(t testing.TB, o kycbridge.Observation) {
	t.Helper()
	seen := map[string]bool{}
	for _, c := range o.Checks {
		if c.CheckID == "" || c.Type == "" || c.Result == "" || seen[c.CheckID] {
			t.Errorf("check %q is incomplete or there twice", c.CheckID)
		}
		seen[c.CheckID] = true
	}
}

// Withhold fails if any of words stands anywhere in the observation.
func Withhold(t testing.TB, o kycbridge.Observation, words ...string) {
	t.Helper()
	raw, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range words {
		if bytes.Contains(raw, []byte(word)) {
			t.Errorf("%q stands in the observation: %s", word, raw)
		}
	}
}

// Words lists the strings of a body, folded, keys and repeated members included.
func Words(body []byte) map[string]bool {
	found := map[string]bool{}
	dec := json.NewDecoder(bytes.NewReader(body))
	for {
		token, err := dec.Token()
		if err == io.EOF || err != nil {
			return found
		}
		if s, ok := token.(string); ok {
			found[values.Fold(s)] = true
		}
	}
}
